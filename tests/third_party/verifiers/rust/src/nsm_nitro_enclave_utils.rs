//! The crate nsm-nitro-enclave-utils: all of a document, with root and time of the caller.

use crate::{content, Job, Verdict};
use nsm_nitro_enclave_utils::api::nsm::AttestationDoc;
use nsm_nitro_enclave_utils::time::Time;
use nsm_nitro_enclave_utils::verify::AttestationDocVerifierExt;

pub fn judge(job: &Job) -> Verdict {
    let now = job.time_ms;
    let time = Time::new(Box::new(move || now));
    match AttestationDoc::from_cose(&job.document, &job.root, time) {
        Ok(document) => Verdict::Accept(Some(content(&document))),
        Err(error) => Verdict::Refuse(format!("{error:?}")),
    }
}
