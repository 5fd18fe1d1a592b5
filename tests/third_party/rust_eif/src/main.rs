//! The official crate for Enclave Image Files, asked line by line.
//!
//! Every line of standard input is a request in JSON, {"do": name, ...}; every line of standard
//! output the answer: {"ok": value} or {"error": text}, with {"panic": true} beside the text
//! where the crate gives up.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, BufRead, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use aws_nitro_enclaves_image_format::defs::EifIdentityInfo;
use aws_nitro_enclaves_image_format::utils::eif_reader::{EifReader, SignCertificateInfo};
use aws_nitro_enclaves_image_format::utils::{
    EifBuilder, EifSigner, PcrSignatureChecker, SignKeyData,
};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use sha2::{Digest, Sha384};

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
enum Request {
    Build {
        kernel: String,
        cmdline: String,
        ramdisks: Vec<String>,
        metadata: EifIdentityInfo,
        flags: u16,
        output: String,
        signer: Option<Credentials>,
    },
    Describe {
        path: String,
    },
    Sign {
        path: String,
        signer: Credentials,
    },
    Check {
        path: String,
    },
    Json {
        text: String,
    },
}

#[derive(Deserialize)]
struct Credentials {
    certificate: String,
    key: String,
}

impl Credentials {
    fn load(&self) -> Result<SignKeyData, String> {
        SignKeyData::new(&self.key, Path::new(&self.certificate))
    }
}

/// What describe-eif prints.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    eif_version: u16,
    measurements: BTreeMap<String, String>,
    is_signed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_certificate: Option<SignCertificateInfo>,
    #[serde(rename = "CheckCRC")]
    check_crc: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature_check: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    build_time: String,
    build_tool: String,
    build_tool_version: String,
    operating_system: String,
    kernel_version: String,
    docker_info: Value,
    #[serde(flatten)]
    custom: Value,
}

fn describe(path: String) -> Result<Value, String> {
    let mut reader = EifReader::from_eif(path)?;
    let measurements = reader.get_measurements()?;
    let is_signed = measurements.contains_key("PCR8");
    let signing_certificate = match is_signed {
        true => Some(reader.get_certificate_info(measurements.clone())?),
        false => None,
    };
    let identity = reader.get_metadata();
    let description = Description {
        eif_version: reader.get_header().version,
        measurements,
        is_signed,
        signing_certificate,
        check_crc: reader.check_crc(),
        signature_check: reader.sign_check,
        image_name: identity.as_ref().map(|known| known.img_name.clone()),
        image_version: identity.as_ref().map(|known| known.img_version.clone()),
        metadata: identity.map(|known| Metadata {
            build_time: known.build_info.build_time,
            build_tool: known.build_info.build_tool,
            build_tool_version: known.build_info.build_tool_version,
            operating_system: known.build_info.img_os,
            kernel_version: known.build_info.img_kernel,
            docker_info: known.docker_info,
            custom: known.custom_info,
        }),
    };
    let text = serde_json::to_string_pretty(&description).map_err(|error| error.to_string())?;
    Ok(json!(text))
}

fn answer(request: Request) -> Result<Value, String> {
    match request {
        Request::Build { kernel, cmdline, ramdisks, metadata, flags, output, signer } => {
            let signer = signer.map(|credentials| credentials.load()).transpose()?;
            let mut builder = EifBuilder::new(
                Path::new(&kernel),
                cmdline,
                signer,
                Sha384::new(),
                flags,
                metadata,
            );
            for ramdisk in &ramdisks {
                builder.add_ramdisk(Path::new(ramdisk));
            }
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(output)
                .map_err(|error| error.to_string())?;
            Ok(json!(builder.write_to(&mut file)))
        }
        Request::Describe { path } => describe(path),
        Request::Sign { path, signer } => {
            let signer = EifSigner::new(Some(signer.load()?)).ok_or("no signer")?;
            signer.sign_image(&path)?;
            Ok(Value::Null)
        }
        Request::Check { path } => {
            PcrSignatureChecker::from_eif(&path)?.verify()?;
            Ok(Value::Null)
        }
        Request::Json { text } => {
            let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let pretty = serde_json::to_string_pretty(&value).map_err(|error| error.to_string())?;
            Ok(json!([value.to_string(), pretty]))
        }
    }
}

fn main() -> io::Result<()> {
    panic::set_hook(Box::new(|_| {}));
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            let request = serde_json::from_str(&line).map_err(|error| error.to_string())?;
            answer(request)
        }));
        let said = match outcome {
            Ok(Ok(value)) => json!({ "ok": value }),
            Ok(Err(error)) => json!({ "error": error }),
            Err(_) => json!({ "error": "panic", "panic": true }),
        };
        writeln!(output, "{said}")?;
        output.flush()?;
    }
    Ok(())
}
