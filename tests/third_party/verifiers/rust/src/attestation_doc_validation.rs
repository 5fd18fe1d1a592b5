//! Evervault's crate: all of a document, with the root that is built in and the time it is now.
//!
//! There are two of it, equal but for the root: the published one, and a copy with another
//! `nitro.pem`. Both ask the operating system for the time, so this program answers instead of
//! the C library: a function of the executable comes before one of a shared library.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{content, Job, Verdict};
use sha2::{Digest, Sha256};

/// SHA-256 of the root certificate of the commercial partition, as AWS publishes it.
const AWS: &str = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b";

/// The root that the copy has in its `nitro.pem`.
static CORPUS: &[u8] = include_bytes!("../../target/attestation-doc-validation/src/nitro.der");

static NOW_MS: AtomicU64 = AtomicU64::new(0);

/// Answers for the C library: the time of the job, and for other clocks what the kernel says.
///
/// # Safety
///
/// `time` is a valid pointer, as everywhere.
#[no_mangle]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> i32 {
    let now = NOW_MS.load(Ordering::Relaxed);
    if clock != libc::CLOCK_REALTIME || now == 0 {
        return libc::syscall(libc::SYS_clock_gettime, clock, time) as i32;
    }
    (*time).tv_sec = (now / 1000) as libc::time_t;
    (*time).tv_nsec = (now % 1000 * 1_000_000) as libc::c_long;
    0
}

pub fn judge(job: &Job) -> Verdict {
    NOW_MS.store(job.time_ms, Ordering::Relaxed);
    let judged = if job.root == CORPUS {
        attestation_doc_validation_corpus::validate_and_parse_attestation_doc(&job.document)
            .map(|document| content(&document))
            .map_err(|error| error.to_string())
    } else if format!("{:x}", Sha256::digest(&job.root)) == AWS {
        attestation_doc_validation::validate_and_parse_attestation_doc(&job.document)
            .map(|document| content(&document))
            .map_err(|error| error.to_string())
    } else {
        return Verdict::Unsupported("the root is built in".into());
    };
    match judged {
        Ok(content) => Verdict::Accept(Some(content)),
        Err(reason) => Verdict::Refuse(reason),
    }
}
