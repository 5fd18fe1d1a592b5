"""Trust anchors: SHA-256 pins of root certificates.

A document brings its root along as cabundle[0]. It is never trusted because it
is there, nor because of its name: false "AWS roots" with the right subject, serial
and signature but an invented key are in circulation. A root is accepted only when
the SHA-256 of its whole DER is one of the verifier's pins. So no root file has to be
shipped, and one 32-byte value is all there is to check.

The root is another one in each AWS partition.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from nitrosim.attestation.certificate import CertificateError, read_certificate
from nitrosim.attestation.errors import Code

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.x509 import Certificate as X509Certificate

    Root: TypeAlias = bytes | str | X509Certificate

Partition: TypeAlias = Literal["aws", "aws-us-gov"]
"""Name of an AWS partition, as in ARNs."""

AWS_ROOTS: Final[dict[str, bytes]] = {
    # CN=aws.nitro-enclaves, 2019-10-28 to 2049-10-28. Published by AWS as
    # AWS_NitroEnclaves_Root-G1.zip; equal to cabundle[0] of 30 of 30 real documents.
    "aws": bytes.fromhex("641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"),
    # CN=aws-us-gov.nitro-enclaves, 2020-09-10 to 2050-09-10. Printed in the EC2 guide for GovCloud.
    "aws-us-gov": bytes.fromhex("20bcd30a3e168ea03789e1c45912bc123c4de3c977b8a6e1c125c7929d668b3b"),
}
"""Partition -> SHA-256 of its root's DER. The China root is not publicly known to us."""

_PIN_BYTES: Final = 32
_HEX_PIN: Final = re.compile(r"[0-9A-Fa-f]{64}")
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


def partition_pin(partition: Partition) -> bytes:
    """Return the pin of an AWS partition's root. Raises `ExpectationError` for another name."""
    pin = AWS_ROOTS.get(partition)
    if pin is None:
        raise Code.NO_ROOTS("partition", got=repr(partition), expected=" or ".join(AWS_ROOTS))
    return pin


def pins(roots: Iterable[Root]) -> frozenset[bytes]:
    """Turn trust anchors in any of their forms into SHA-256 pins.

    Each one is a pin (32 bytes, or 64 hex digits), a certificate (DER bytes, PEM text
    or bytes with one or more certificates), or a `cryptography.x509.Certificate`.

    Raises `ExpectationError` for an empty list and for anything else.
    """
    # One string or bytes object would otherwise be taken apart into characters.
    if isinstance(roots, str | bytes):
        raise Code.NO_ROOTS("roots", got=type(roots).__name__, expected="a list of roots")
    found: set[bytes] = set()
    for root in roots:
        found.update(_pins_of(root))
    if not found:
        raise Code.NO_ROOTS("roots", got="none", expected="at least one")
    return frozenset(found)


def _pins_of(root: Root) -> list[bytes]:
    if isinstance(root, str | bytes):
        if isinstance(root, bytes):
            if len(root) == _PIN_BYTES:
                return [root]
            if not root.lstrip().startswith(b"-----BEGIN"):
                return [_certificate_pin(root)]
            text = root.decode("ascii", "replace")
        else:
            text = root
            if _HEX_PIN.fullmatch(text):
                return [bytes.fromhex(text)]
        blocks = _PEM.findall(text)
        if not blocks:
            raise Code.NO_ROOTS(
                "a root", got=f"{len(text)} characters", expected="PEM, DER or a SHA-256 pin"
            )
        return [_certificate_pin(_unwrap(block)) for block in blocks]
    # Imported only when it can matter: it takes longer than verifying ten documents.
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415
    from cryptography.x509 import Certificate as X509Certificate  # noqa: PLC0415

    if not isinstance(root, X509Certificate):
        raise Code.NO_ROOTS("a root", got=type(root).__name__, expected="pin or certificate")
    return [_certificate_pin(root.public_bytes(Encoding.DER))]


def _unwrap(block: str) -> bytes:
    try:
        return base64.b64decode("".join(block.split()), validate=True)
    except binascii.Error as error:
        raise Code.NO_ROOTS("a root in PEM", got=str(error), expected="base64") from error


def _certificate_pin(der: bytes) -> bytes:
    try:
        read_certificate(der)
    except CertificateError as error:
        raise Code.NO_ROOTS(
            f"a root ({error})", got=f"{len(der)} bytes", expected="a certificate in strict DER"
        ) from error
    return hashlib.sha256(der).digest()
