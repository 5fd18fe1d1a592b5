//! verify ROOT.pem DOCUMENT PCR0 NONCE: is it genuine, of this image, and an answer to me?

use nsm_nitro_enclave_utils::api::nsm::AttestationDoc;
use nsm_nitro_enclave_utils::{time::Time, verify::AttestationDocVerifierExt};
use rustls_pki_types::{pem::PemObject, CertificateDer};
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let [root, document, pcr0, nonce]: [String; 4] = env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "four arguments")?;
    let root = CertificateDer::from_pem_file(root)?;
    let found = AttestationDoc::from_cose(&fs::read(document)?, &root, Time::system_time())
        .map_err(|error| format!("{error:?}"))?;
    if found.pcrs.get(&0).map(hex::encode) != Some(pcr0) {
        return Err("another image: PCR0 differs".into());
    }
    if found.nonce.map(hex::encode) != Some(nonce) {
        return Err("not an answer to me: the nonce differs".into());
    }
    println!("{}", found.module_id);
    Ok(())
}
