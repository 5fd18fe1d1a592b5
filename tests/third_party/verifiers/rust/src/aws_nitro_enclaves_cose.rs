//! AWS's own COSE crate: the envelope, and the signature with the key of the leaf certificate.

use crate::{Job, Verdict};
use aws_nitro_enclaves_cose::crypto::{Hash, MessageDigest, SignatureAlgorithm, SigningPublicKey};
use aws_nitro_enclaves_cose::error::CoseError;
use aws_nitro_enclaves_cose::CoseSign1;
use p384::ecdsa::signature::hazmat::PrehashVerifier;
use p384::ecdsa::{Signature, VerifyingKey};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::der::Decode;
use x509_cert::Certificate;

struct Hashes;

impl Hash for Hashes {
    fn hash(digest: MessageDigest, data: &[u8]) -> Result<Vec<u8>, CoseError> {
        Ok(match digest {
            MessageDigest::Sha256 => Sha256::digest(data).to_vec(),
            MessageDigest::Sha384 => Sha384::digest(data).to_vec(),
            MessageDigest::Sha512 => Sha512::digest(data).to_vec(),
        })
    }
}

struct Key(VerifyingKey);

impl SigningPublicKey for Key {
    fn get_parameters(&self) -> Result<(SignatureAlgorithm, MessageDigest), CoseError> {
        Ok((SignatureAlgorithm::ES384, MessageDigest::Sha384))
    }

    fn verify(&self, digest: &[u8], signature: &[u8]) -> Result<bool, CoseError> {
        let signature = Signature::from_slice(signature)
            .map_err(|error| CoseError::SignatureError(Box::new(error)))?;
        Ok(self.0.verify_prehash(digest, &signature).is_ok())
    }
}

fn key(leaf: &[u8]) -> Option<Key> {
    let certificate = Certificate::from_der(leaf).ok()?;
    let info = certificate.tbs_certificate.subject_public_key_info;
    let point = info.subject_public_key.as_bytes()?;
    VerifyingKey::from_sec1_bytes(point).ok().map(Key)
}

pub fn judge(job: &Job) -> Verdict {
    let message = match CoseSign1::from_bytes(&job.document) {
        Ok(message) => message,
        Err(error) => return Verdict::Refuse(error.to_string()),
    };
    let Some(key) = job.certificates.last().and_then(|leaf| key(leaf)) else {
        return Verdict::Unsupported("no P-384 key was found for it".into());
    };
    match message.verify_signature::<Hashes>(&key) {
        Ok(true) => Verdict::Accept(None),
        Ok(false) => Verdict::Refuse("the signature does not verify".into()),
        Err(error) => Verdict::Refuse(error.to_string()),
    }
}
