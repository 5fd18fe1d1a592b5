"""Signatures of images, made anew: what comes behind a good signature is reached only with one.

The keys are fixed and everybody's. A certificate of one of them is a certificate of an image in
the repository with another key in it; its own signature is then wrong, which nobody looks at.
"""

from __future__ import annotations

import binascii
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fuzzing import library, plain
from fuzzing.tree import Kind, Node, read, write

if TYPE_CHECKING:
    from collections.abc import Callable

_SCALAR = 0x1234567
_KEY_IN_CERTIFICATE = 6
_PEM = b"-----%s CERTIFICATE-----\n"
_TAG = 6
_UNREADABLE = (
    *(cbor2.CBORDecodeError, OverflowError, RecursionError),
    *(TypeError, ValueError, LookupError),
)
"""What cbor2 raises, and what it is to look for something in the wrong kind of value."""


@dataclass(frozen=True, eq=False)
class Scheme:
    """A curve with what belongs to it in COSE: algorithm, hash, bytes of r and of s."""

    curve: ec.EllipticCurve
    number: int
    digest: hashes.HashAlgorithm
    width: int

    @functools.cached_property
    def key(self) -> ec.EllipticCurvePrivateKey:
        """The key on this curve."""
        return ec.derive_private_key(_SCALAR, self.curve)

    def sign(self, message: bytes) -> bytes:
        """Return r and s. They are others each time, and the answer about them is the same."""
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(self.digest)))
        return r.to_bytes(self.width, "big") + s.to_bytes(self.width, "big")


SCHEMES = (
    Scheme(ec.SECP256R1(), -7, hashes.SHA256(), 32),
    Scheme(ec.SECP384R1(), -35, hashes.SHA384(), 48),
    Scheme(ec.SECP521R1(), -36, hashes.SHA512(), 66),
)


def scheme_of(curve: str) -> Scheme | None:
    """Return the scheme for a curve by its name."""
    return next((scheme for scheme in SCHEMES if scheme.curve.name == curve), None)


def public_keys() -> list[Any]:
    """Return a public key for each scheme, and two that there is no scheme for."""
    other = ec.derive_private_key(_SCALAR, ec.SECP256K1())
    odd = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    return [*(scheme.key.public_key() for scheme in SCHEMES), other.public_key(), odd.public_key()]


def certificate_of(public_key: Any) -> bytes:
    """Return a certificate with this key, in PEM form."""
    node = read(from_pem((library.IMAGES / "hello-signed-es384.cert.pem").read_bytes()))
    info = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    node.children[0].children[_KEY_IN_CERTIFICATE] = Node(Kind.RAW, 0, info)
    return to_pem(write(node))


def to_pem(der: bytes) -> bytes:
    """Write a certificate as text."""
    text = binascii.b2a_base64(der, newline=False)
    lines = [text[at : at + 64] + b"\n" for at in range(0, len(text), 64)]
    return _PEM % b"BEGIN" + b"".join(lines) + _PEM % b"END"


def from_pem(pem: bytes) -> bytes:
    """Return the bytes of the one certificate in a text, as far as it is one."""
    lines = [line for line in pem.split(b"\n") if not line.startswith(b"-")]
    try:
        return binascii.a2b_base64(b"".join(lines))
    except binascii.Error:
        return b""


def section(certificate: bytes, cose: bytes) -> bytes:
    """Write the content of a signature section, every byte as a number of its own."""
    entry = {"signing_certificate": list(certificate), "signature": list(cose)}
    return cbor2.dumps([entry])


def _read_section(content: bytes) -> tuple[bytes, bytes] | None:
    """Return certificate and COSE structure of a signature section; None for anything else."""
    try:
        first = cbor2.loads(content)[0]
        certificate, cose = first["signing_certificate"], first["signature"]
        if isinstance(certificate, list) and isinstance(cose, list):
            return bytes(certificate), bytes(cose)
    except _UNREADABLE:
        return None
    return None


def found(image: bytes) -> tuple[bytes, bytes] | None:
    """Return certificate and COSE structure of an image; None if it has none."""
    for kind, begin, end in plain.walk(image):
        if kind == plain.SIGNATURE:
            return _read_section(image[begin + plain.SECTION_HEADER : end])
    return None


def payload(pcr0: bytes) -> bytes:
    """Write what is signed."""
    return cbor2.dumps({"register_index": 0, "register_value": list(pcr0)})


def message(protected: bytes, content: bytes) -> bytes:
    """Write the structure that a signature is over."""
    return cbor2.dumps(["Signature1", protected, b"", content])


@dataclass(frozen=True)
class Parts:
    """A COSE structure as cbor2 reads it."""

    protected: bytes
    content: bytes
    signature: bytes
    algorithm: int

    def written(self) -> bytes:
        """Return the structure as anybody would write it."""
        return cbor2.dumps([self.protected, {}, self.content, self.signature])


def read_structure(cose: bytes) -> Parts | None:
    """Read a COSE structure, tagged or not; None for anything else."""
    try:
        read = cbor2.loads(cose)
        fields = read.value if isinstance(read, cbor2.CBORTag) else read
        header, _unprotected, content, signature = fields
        algorithm = cbor2.loads(header)[1]
    except _UNREADABLE:
        return None
    if type(algorithm) is int and isinstance(content, bytes) and isinstance(signature, bytes):
        return Parts(header, content, signature, algorithm)
    return None


def protected(algorithm: int) -> bytes:
    """Write a protected header."""
    return cbor2.dumps({1: algorithm})


def structure(scheme: Scheme) -> bytes:
    """Write a COSE structure that is not signed yet."""
    return cbor2.dumps([protected(scheme.number), {}, payload(bytes(48)), b""])


def is_signed(key: ec.EllipticCurvePublicKey, scheme: Scheme, parts: Parts) -> bool:
    """Tell whether a COSE structure has a good signature."""
    signature = parts.signature
    if len(signature) != 2 * scheme.width:
        return False
    halves = signature[: scheme.width], signature[scheme.width :]
    r, s = (int.from_bytes(half, "big") for half in halves)
    signed_message = message(parts.protected, parts.content)
    try:
        key.verify(encode_dss_signature(r, s), signed_message, ec.ECDSA(scheme.digest))
    except InvalidSignature:
        return False
    return True


def signed(cose: bytes, scheme: Scheme, content: bytes | None) -> bytes:
    """Sign a COSE structure anew, whatever it says; over `content` unless that is None."""
    tree = read(cose)
    envelope = tree.children[0] if tree.first == _TAG and tree.children else tree
    fields = envelope.children
    if tree.kind is not Kind.CBOR or len(fields) < 4:
        return cose
    if content is not None:
        fields[2].replace(content)
    fields[3].replace(scheme.sign(message(fields[0].body(), fields[2].body())))
    return write(tree)


def with_signature(image: bytes, change: Callable[[bytes, bytes], bytes]) -> bytes:
    """Change the first signature section; `change` is given certificate and COSE structure."""
    there = found(image)
    if there is None:
        return image
    _kind, begin, end = next(place for place in plain.walk(image) if place[0] == plain.SIGNATURE)
    return plain.replaced(image, begin, end, change(*there))
