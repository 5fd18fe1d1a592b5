//! An enclave and parent program as a Rust team would ship it: a static binary
//! with the official NSM crate and the vsock crate. It knows nothing of nitrosim.

mod selftest;

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::process::ExitCode;
use std::thread;

use aws_nitro_enclaves_nsm_api::api::{Request, Response};
use aws_nitro_enclaves_nsm_api::driver::{nsm_exit, nsm_init, nsm_process_request};
use vsock::{VsockAddr, VsockListener, VsockStream, VMADDR_CID_ANY};

type Outcome = Result<(), Box<dyn Error>>;

const USAGE: &str = "usage: third-party listen PORT            echo server, concurrent
       third-party dial CID PORT TEXT     send TEXT, print the answer
       third-party attest NONCEHEX        use every kind of NSM request, print a document
       third-party ping-attest PORT       serve documents for nonces
       third-party cid                    print the local context ID
       third-party selftest               check the NSM of a fresh enclave";

/// Answer status bytes and the largest nonce of the hello_attestation protocol.
const STATUS_DOCUMENT: u8 = 0;
const STATUS_ERROR: u8 = 1;
const MAX_NONCE: u32 = 1024;

/// The first register that an application may extend and lock.
const LOCKED_PCR: u16 = 16;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["listen", port] => serve(port, echo),
        ["dial", cid, port, text] => dial(cid, port, text),
        ["attest", nonce] => attest(nonce),
        ["ping-attest", port] => serve(port, answer_nonce),
        ["cid"] => print_cid(),
        ["selftest"] => selftest::run(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("third-party: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The open module; closed when dropped.
pub struct Nsm(i32);

impl Nsm {
    pub fn open() -> Result<Self, Box<dyn Error>> {
        match nsm_init() {
            -1 => Err("cannot open /dev/nsm".into()),
            fd => Ok(Nsm(fd)),
        }
    }

    pub fn ask(&self, request: Request) -> Response {
        nsm_process_request(self.0, request)
    }
}

impl Drop for Nsm {
    fn drop(&mut self) {
        nsm_exit(self.0);
    }
}

fn print_cid() -> Outcome {
    println!("cid {}", vsock::get_local_cid()?);
    Ok(())
}

/// Accept connections for ever and handle each in a thread of its own.
fn serve(port: &str, handle: fn(&VsockStream) -> Outcome) -> Outcome {
    let listener = VsockListener::bind_with_cid_port(VMADDR_CID_ANY, port.parse()?)?;
    println!("listening {}", describe(&listener.local_addr()?));
    loop {
        let (stream, peer) = listener.accept()?;
        println!(
            "peer {} local {}",
            describe(&peer),
            describe(&stream.local_addr()?)
        );
        thread::spawn(move || {
            if let Err(error) = handle(&stream) {
                println!("connection failed: {error}");
            }
        });
    }
}

fn describe(address: &VsockAddr) -> String {
    format!("{}:{}", address.cid(), address.port())
}

/// Send back what is read, and half-close when the peer has half-closed.
fn echo(stream: &VsockStream) -> Outcome {
    io::copy(&mut &*stream, &mut &*stream)?;
    stream.shutdown(Shutdown::Write)?;
    Ok(())
}

fn dial(cid: &str, port: &str, text: &str) -> Outcome {
    let mut stream = VsockStream::connect_with_cid_port(cid.parse()?, port.parse()?)?;
    println!(
        "peer {} local {}",
        describe(&stream.peer_addr()?),
        describe(&stream.local_addr()?)
    );
    stream.write_all(text.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    println!("answer {answer}");
    Ok(())
}

fn attest(nonce: &str) -> Outcome {
    let nonce = from_hex(nonce)?;
    let nsm = Nsm::open()?;
    match nsm.ask(Request::GetRandom) {
        Response::GetRandom { random } => println!("random {}", to_hex(&random)),
        other => return Err(format!("GetRandom: {other:?}").into()),
    }
    match nsm.ask(Request::DescribeNSM) {
        Response::DescribeNSM {
            module_id,
            max_pcrs,
            locked_pcrs,
            digest,
            ..
        } => println!("module {module_id} {digest:?} max_pcrs {max_pcrs} locked {locked_pcrs:?}"),
        other => return Err(format!("DescribeNSM: {other:?}").into()),
    }
    let extend = |data: &[u8]| {
        nsm.ask(Request::ExtendPCR {
            index: LOCKED_PCR,
            data: data.to_vec(),
        })
    };
    match extend(b"third-party") {
        Response::ExtendPCR { data } => println!("extended {}", to_hex(&data)),
        other => return Err(format!("ExtendPCR: {other:?}").into()),
    }
    match nsm.ask(Request::LockPCR { index: LOCKED_PCR }) {
        Response::LockPCR => (),
        other => return Err(format!("LockPCR: {other:?}").into()),
    }
    match nsm.ask(Request::DescribePCR { index: LOCKED_PCR }) {
        Response::DescribePCR { lock, data } => {
            println!("pcr {LOCKED_PCR} {lock} {}", to_hex(&data));
        }
        other => return Err(format!("DescribePCR: {other:?}").into()),
    }
    println!("extend when locked: {:?}", extend(b"again"));
    println!("document {}", to_hex(&document(&nsm, nonce)?));
    Ok(())
}

fn document(nsm: &Nsm, nonce: Vec<u8>) -> Result<Vec<u8>, String> {
    let request = Request::Attestation {
        user_data: None,
        nonce: Some(nonce.into()),
        public_key: None,
    };
    match nsm.ask(request) {
        Response::Attestation { document } => Ok(document),
        other => Err(format!("Attestation: {other:?}")),
    }
}

/// Speak the protocol of sample_apps/hello_attestation for one connection.
fn answer_nonce(stream: &VsockStream) -> Outcome {
    let mut stream = stream;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MAX_NONCE {
        return Err(format!("frame of {length} bytes, limit {MAX_NONCE}").into());
    }
    let mut nonce = vec![0; length as usize];
    stream.read_exact(&mut nonce)?;
    let (status, body) = match document(&Nsm::open()?, nonce) {
        Ok(document) => (STATUS_DOCUMENT, document),
        Err(reason) => (STATUS_ERROR, reason.into_bytes()),
    };
    let mut frame = u32::try_from(body.len() + 1)?.to_be_bytes().to_vec();
    frame.push(status);
    frame.extend(body);
    stream.write_all(&frame)?;
    Ok(())
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return Err("not an even number of hexadecimal digits".into());
    }
    let pairs = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
    Ok(pairs
        .map(|pair| u8::from_str_radix(pair, 16))
        .collect::<Result<_, _>>()?)
}
