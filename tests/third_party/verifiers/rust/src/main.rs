//! Puts attestation documents to Rust verifiers: one job per line in, one verdict per line out.
//!
//! A job is five fields with tabs between: id, time in milliseconds, root (path of the DER),
//! document (path), and the document's certificates, root first (DER in hex, commas between;
//! `-` if nobody could find them). The only argument says which verifier is asked.

mod attestation_doc_validation;
mod aws_nitro_enclaves_cose;
mod nsm_nitro_enclave_utils;

use ::nsm_nitro_enclave_utils::api::{nsm::AttestationDoc, ByteBuf};
use serde_json::{json, Value};
use std::any::Any;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::panic;

/// What a verifier is asked.
pub struct Job {
    pub time_ms: u64,
    pub root: Vec<u8>,
    pub document: Vec<u8>,
    pub certificates: Vec<Vec<u8>>,
}

/// What it answers: with what it read, if it tells; or with its own reason.
pub enum Verdict {
    Accept(Option<Value>),
    Refuse(String),
    Unsupported(String),
}

/// What a verifier read in a document that it accepts; bytes are in hex, absent ones null.
pub fn content(document: &AttestationDoc) -> Value {
    let pcrs = document.pcrs.iter();
    let digits = |field: &Option<ByteBuf>| field.as_ref().map(hex::encode);
    json!({
        "module_id": document.module_id,
        "timestamp_ms": document.timestamp,
        "pcrs": pcrs
            .map(|(index, value)| (index.to_string(), hex::encode(value)))
            .collect::<BTreeMap<_, _>>(),
        "public_key": digits(&document.public_key),
        "user_data": digits(&document.user_data),
        "nonce": digits(&document.nonce),
    })
}

fn parse(line: &str) -> (String, Job) {
    let fields: Vec<&str> = line.split('\t').collect();
    let [id, time, root, document, certificates] = fields[..] else {
        panic!("a job has five fields: {line}");
    };
    let job = Job {
        time_ms: time.parse().expect("time in milliseconds"),
        root: std::fs::read(root).expect("root"),
        document: std::fs::read(document).expect("document"),
        certificates: match certificates {
            "-" => Vec::new(),
            found => found
                .split(',')
                .map(|digits| hex::decode(digits).expect("hex"))
                .collect(),
        },
    };
    (id.to_string(), job)
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_default()
}

fn main() -> io::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let judge: fn(&Job) -> Verdict = match name.as_str() {
        "attestation-doc-validation" => attestation_doc_validation::judge,
        "aws-nitro-enclaves-cose" => aws_nitro_enclaves_cose::judge,
        "nsm-nitro-enclave-utils" => nsm_nitro_enclave_utils::judge,
        _ => panic!("no verifier is called {name:?}"),
    };
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let (id, job) = parse(&line?);
        let (verdict, reason, content) = match panic::catch_unwind(|| judge(&job)) {
            Ok(Verdict::Accept(content)) => ("accept", String::new(), content),
            Ok(Verdict::Refuse(reason)) => ("refuse", reason, None),
            Ok(Verdict::Unsupported(reason)) => ("unsupported", reason, None),
            Err(panic) => ("crash", message(panic.as_ref()), None),
        };
        let answer = json!({"id": id, "verdict": verdict, "reason": reason, "content": content});
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}
