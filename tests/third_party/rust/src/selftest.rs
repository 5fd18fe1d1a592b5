//! What an application may rely on in the NSM of a fresh enclave that was not
//! started in debug mode, from an unsigned image on an instance without a role.
//! One line per fact; the first fact that does not hold ends the run.

use std::error::Error;

use aws_nitro_enclaves_nsm_api::api::{Digest, ErrorCode, Request, Response};

use crate::Nsm;

const REGISTERS: u16 = 32;
const FIRST_FREE: u16 = 16;
const VALUE_LENGTH: usize = 48;
const EXTENSIONS: u16 = 10;
const FIELD_LIMIT: usize = 1024;

pub fn run() -> Result<(), Box<dyn Error>> {
    let nsm = Nsm::open()?;
    describe(&nsm, &(0..FIRST_FREE).collect::<Vec<_>>())?;
    passed("a fresh enclave has 32 registers, of which 0 to 15 are locked");
    boot_values(&nsm)?;
    passed("0, 1, 2 and 4 are measured, the others are zero");
    refused_indexes(&nsm)?;
    passed("an index above 31 is InvalidIndex for every request that has one");
    locked_registers_refuse(&nsm, 0..FIRST_FREE)?;
    passed("registers locked at boot refuse extension and locking");
    extend_all(&nsm)?;
    passed("16 to 31 can be extended ten times, each time to a new value");
    lock_all(&nsm)?;
    passed("16 can be locked alone and all 32 together, twice");
    describe(&nsm, &(0..REGISTERS).collect::<Vec<_>>())?;
    passed("all 32 registers are reported as locked");
    locked_registers_refuse(&nsm, 0..REGISTERS)?;
    passed("registers locked by the application refuse extension and locking");
    documents(&nsm)?;
    passed("a document can be had with none, some and all fields of 1024 bytes");
    random(&nsm)?;
    passed("GetRandom gives 256 bytes, different each time");
    println!("selftest complete");
    Ok(())
}

fn passed(fact: &str) {
    println!("ok {fact}");
}

fn wrong<T>(what: &str, got: &Response) -> Result<T, Box<dyn Error>> {
    Err(format!("{what}: got {got:?}").into())
}

fn describe(nsm: &Nsm, expected_locked: &[u16]) -> Result<(), Box<dyn Error>> {
    match nsm.ask(Request::DescribeNSM) {
        Response::DescribeNSM {
            version_major: 1,
            max_pcrs: REGISTERS,
            digest: Digest::SHA384,
            ref module_id,
            ref locked_pcrs,
            ..
        } if locked_pcrs.iter().eq(expected_locked) && module_id.contains("-enc") => Ok(()),
        other => wrong("DescribeNSM", &other),
    }
}

fn value(nsm: &Nsm, index: u16, expected_lock: bool) -> Result<Vec<u8>, Box<dyn Error>> {
    match nsm.ask(Request::DescribePCR { index }) {
        Response::DescribePCR { lock, data }
            if lock == expected_lock && data.len() == VALUE_LENGTH =>
        {
            Ok(data)
        }
        other => wrong(&format!("DescribePCR {index}"), &other),
    }
}

fn boot_values(nsm: &Nsm) -> Result<(), Box<dyn Error>> {
    for index in 0..REGISTERS {
        let measured = value(nsm, index, index < FIRST_FREE)?
            .iter()
            .any(|byte| *byte != 0);
        if measured != matches!(index, 0 | 1 | 2 | 4) {
            return Err(format!("register {index}: measured is {measured}").into());
        }
    }
    Ok(())
}

fn refused_indexes(nsm: &Nsm) -> Result<(), Box<dyn Error>> {
    for index in [REGISTERS, 255, 256, u16::MAX] {
        let requests = [
            Request::DescribePCR { index },
            extension(index),
            Request::LockPCR { index },
        ];
        for request in requests {
            match nsm.ask(request) {
                Response::Error(ErrorCode::InvalidIndex) => (),
                other => return wrong(&format!("index {index}"), &other),
            }
        }
    }
    match nsm.ask(Request::LockPCRs {
        range: REGISTERS + 1,
    }) {
        Response::Error(ErrorCode::InvalidIndex) => Ok(()),
        other => wrong("LockPCRs 33", &other),
    }
}

fn extension(index: u16) -> Request {
    Request::ExtendPCR {
        index,
        data: vec![1, 2, 3],
    }
}

fn locked_registers_refuse(
    nsm: &Nsm,
    indexes: impl Iterator<Item = u16>,
) -> Result<(), Box<dyn Error>> {
    for index in indexes {
        let before = value(nsm, index, true)?;
        for request in [extension(index), Request::LockPCR { index }] {
            match nsm.ask(request) {
                Response::Error(ErrorCode::ReadOnlyIndex) => (),
                other => return wrong(&format!("locked register {index}"), &other),
            }
        }
        if before != value(nsm, index, true)? {
            return Err(format!("a refused request changed register {index}").into());
        }
    }
    Ok(())
}

fn extend_all(nsm: &Nsm) -> Result<(), Box<dyn Error>> {
    for index in FIRST_FREE..REGISTERS {
        let mut previous = value(nsm, index, false)?;
        for _ in 0..EXTENSIONS {
            match nsm.ask(extension(index)) {
                Response::ExtendPCR { data } if data.len() == VALUE_LENGTH && data != previous => {
                    previous = data;
                }
                other => return wrong(&format!("ExtendPCR {index}"), &other),
            }
        }
        if previous != value(nsm, index, false)? {
            return Err(format!("register {index} is not what ExtendPCR answered").into());
        }
    }
    Ok(())
}

fn lock_all(nsm: &Nsm) -> Result<(), Box<dyn Error>> {
    match nsm.ask(Request::LockPCR { index: FIRST_FREE }) {
        Response::LockPCR => (),
        other => return wrong("LockPCR 16", &other),
    }
    for range in [0, REGISTERS, REGISTERS] {
        match nsm.ask(Request::LockPCRs { range }) {
            Response::LockPCRs => (),
            other => return wrong(&format!("LockPCRs {range}"), &other),
        }
    }
    Ok(())
}

fn documents(nsm: &Nsm) -> Result<(), Box<dyn Error>> {
    let (absent, empty, full) = (None, Some(0), Some(FIELD_LIMIT));
    for [user_data, nonce, public_key] in [
        [absent, absent, absent],
        [empty, empty, absent],
        [full, absent, absent],
        [absent, full, absent],
        [absent, absent, full],
        [full, full, full],
    ] {
        let field = |length: Option<usize>| length.map(|length| vec![0xa5; length].into());
        let carried: usize = [user_data, nonce, public_key].iter().flatten().sum();
        let request = Request::Attestation {
            user_data: field(user_data),
            nonce: field(nonce),
            public_key: field(public_key),
        };
        match nsm.ask(request) {
            Response::Attestation { document } if document.len() > carried => (),
            other => return wrong(&format!("Attestation with {carried} bytes"), &other),
        }
    }
    Ok(())
}

fn random(nsm: &Nsm) -> Result<(), Box<dyn Error>> {
    let mut previous = Vec::new();
    for _ in 0..EXTENSIONS {
        match nsm.ask(Request::GetRandom) {
            Response::GetRandom { random } if random.len() == 256 && random != previous => {
                previous = random;
            }
            other => return wrong("GetRandom", &other),
        }
    }
    Ok(())
}
