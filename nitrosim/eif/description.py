"""What ``nitro-cli describe-eif`` prints about an image, key by key.

Present always, in this order: EifVersion, Measurements, IsSigned, CheckCRC. With a signature
section SigningCertificate comes before CheckCRC and SignatureCheck after it; with metadata,
ImageName, ImageVersion and Metadata are last. In Metadata the keys of the custom metadata follow
DockerInfo without an object around them.

A wrong checksum or a signature over another PCR0 is part of the description. A signature that
does not verify is an error, E35 of nitro-cli. Whether the certificate has ended is not looked at.

Source: nitro-cli 1.4 and 1.5; aws-nitro-enclaves-image-format 0.5.0.
"""

from __future__ import annotations

from nitrosim.eif.errors import Code
from nitrosim.eif.hash_algorithm import DEFAULT_CLI_VERSION
from nitrosim.eif.metadata import Metadata
from nitrosim.eif.reader import Eif
from nitrosim.eif.serde import Json, write_pretty


def describe(eif: Eif, version: str = DEFAULT_CLI_VERSION) -> dict[str, Json]:
    """Return the object that a nitro-cli of this version prints about an image.

    Raises:
        EifError: `CERTIFICATE`, `CERTIFICATE_KEY`, `COSE`, `SIGNATURE_INVALID` (nitro-cli: E35);
            `CUSTOM_METADATA` (nitro-cli: E17); `CLI_VERSION`, `CLOSED`.

    """
    measurements = eif.measure()
    description: dict[str, Json] = {
        "EifVersion": eif.header.version,
        "Measurements": {**measurements.as_json(version)},
        "IsSigned": eif.is_signed,
    }
    signature_check: bool | None = None
    if eif.signature is not None:
        # Only who has a signature pays for the cryptography library.
        from nitrosim.eif.signing import verify  # noqa: PLC0415 - see above

        verified = verify(eif.signature.entries[0])
        description["SigningCertificate"] = verified.certificate.describe()
        signature_check = verified.is_over(measurements.pcr0)
    description["CheckCRC"] = eif.checksum_is_right
    if signature_check is not None:
        description["SignatureCheck"] = signature_check
    if eif.metadata is not None:
        description["ImageName"] = eif.metadata.image_name
        description["ImageVersion"] = eif.metadata.image_version
        description["Metadata"] = describe_metadata(eif.metadata)
    return description


def describe_metadata(metadata: Metadata) -> dict[str, Json]:
    """Return the object `Metadata`, which describe-enclaves prints too.

    Raises:
        EifError: `CUSTOM_METADATA`.

    """
    build = metadata.build
    described: dict[str, Json] = {
        "BuildTime": build.time,
        "BuildTool": build.tool,
        "BuildToolVersion": build.tool_version,
        "OperatingSystem": build.operating_system,
        "KernelVersion": build.kernel_version,
        "DockerInfo": metadata.docker_info,
    }
    if metadata.custom is None:
        return described
    if not isinstance(metadata.custom, dict):
        raise Code.CUSTOM_METADATA(
            "custom metadata", got=type(metadata.custom).__name__, expected="an object"
        )
    # DEVIATION: Custom metadata with a key such as BuildTime replaces that value in descriptions;
    # nitro-cli prints the key twice.
    return described | metadata.custom


def describe_as_text(eif: Eif, version: str = DEFAULT_CLI_VERSION) -> str:
    """Return the text that nitro-cli prints, without the final line break; raises as `describe`."""
    return write_pretty(describe(eif, version))
