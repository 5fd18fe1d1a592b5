"""Signatures at the price of a hash, so that a fuzzer gets behind them.

A mutated document dies at its signature, and so would all that is behind it go untested: a
fuzzer cannot make ECDSA signatures and a verification takes half a millisecond. The verifier
takes its cryptography as an argument (`LoadKey`); here it is a *seal*: two numbers in the range
of a signature that are a hash of the point and the message. Whoever knows the point can seal,
which is the position of an attacker who holds every key of the PKI: what the verifier refuses
then, it refuses for what is said and not for who says it.

`sealed` takes a document, signs its certificates and then itself anew as far as they can be
recognised, and leaves everything else byte for byte as it is.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import cbor2

from fuzzing.tree import Kind, Node, read, write
from nitrosim.attestation.p384 import BadKeyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nitrosim.attestation.p384 import PublicKey

ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffff"
    "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)
_PRIME = 2**384 - 2**128 - 2**96 + 2**32 - 1
_B = int(
    "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe814112"
    "0314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
    16,
)
_SPKI_BEFORE_POINT = 23
_SUBJECT, _SUBJECT_PUBLIC_KEY = 5, 6


class SealKey:
    """A point that checks seals."""

    def __init__(self, point: bytes) -> None:
        self._point = point

    def verify(self, r: int, s: int, message: bytes) -> bool:
        """Tell whether (r, s) is the point's seal over the message."""
        return (r, s) == seal(self._point, message)


def load_seal_key(point: bytes) -> PublicKey:
    """Load an uncompressed point on P-384, as strictly as the real cryptography does."""
    x, y = int.from_bytes(point[1:49], "big"), int.from_bytes(point[49:], "big")
    if len(point) != 97 or point[0] != 0x04 or max(x, y) >= _PRIME:
        raise BadKeyError("not an uncompressed point of 97 bytes")
    if (y * y - x * x * x + 3 * x - _B) % _PRIME:
        raise BadKeyError("not a point on P-384")
    return SealKey(point)


def seal(point: bytes, message: bytes) -> tuple[int, int]:
    """Return what stands for a signature by the point's owner over the message."""
    number = int.from_bytes(hashlib.sha384(point + message).digest(), "big")
    return number % (ORDER - 1) + 1, number * 3 % (ORDER - 1) + 1


def sealed(document: bytes, *, certificates: bool = True) -> bytes:
    """Sign a document anew, and its certificates too unless told otherwise."""
    tree = read(document)
    envelope = tree.children[0] if tree.first == 6 and tree.children else tree
    parts = envelope.children
    if tree.kind is not Kind.CBOR or len(parts) < 4:
        return document
    point = _seal_payload(parts[2], certificates=certificates)
    payload = parts[2].body()
    parts[2].replace(payload)
    message = cbor2.dumps(["Signature1", parts[0].body(), b"", payload])
    r, s = seal(point, message)
    parts[3].replace(r.to_bytes(48, "big") + s.to_bytes(48, "big"))
    return write(tree)


def sealed_chain(chain: list[bytes]) -> list[bytes]:
    """Sign certificates anew, root first."""
    made: list[bytes] = []
    issuer = b""
    for der in chain:
        node = read(der)
        issuer = _seal_certificate(node, issuer)
        made.append(write(node))
    return made


def sealed_list(crl: bytes, chain: Sequence[bytes]) -> bytes:
    """Sign a revocation list anew if its issuer is in the chain."""
    node = read(crl)
    # version, algorithm, issuer
    issuer = write(node.children[0].children[2])
    for der in chain:
        certificate = read(der)
        if issuer == write(certificate.children[0].children[_SUBJECT]):
            _seal_certificate(node, _point(certificate))
    return write(node)


def _seal_payload(payload: Node, *, certificates: bool) -> bytes:
    """Sign the certificates in a payload; return the leaf's point."""
    if not payload.children:
        return b""
    entries = payload.children[0].children
    fields = dict(zip((key.content for key in entries[::2]), entries[1::2], strict=False))
    chain = [*fields[b"cabundle"].children] if b"cabundle" in fields else []
    if b"certificate" in fields:
        chain.append(fields[b"certificate"])
    point = b""
    for holder in chain:
        der = holder.body()
        node = read(der)
        if certificates:
            point = _seal_certificate(node, point)
            holder.replace(write(node))
        else:
            point = _point(node)
    return point


def _seal_certificate(node: Node, issuer: bytes) -> bytes:
    """Replace a certificate's signature by a seal of its issuer, itself when there is none.

    Revocation lists are made of the same three parts. Return the certificate's own point.
    """
    point = _point(node)
    if len(node.children) < 3:
        return point
    signed = write(node.children[0])
    node.children[0] = Node(Kind.RAW, 0, signed)
    r, s = seal(issuer or point, signed)
    value = b"".join(
        bytes((0x02, len(octets))) + octets
        for octets in (n.to_bytes(n.bit_length() // 8 + 1, "big") for n in (r, s))
    )
    node.children[2].replace(b"\0\x30" + bytes((len(value),)) + value)
    return point


def _point(certificate: Node) -> bytes:
    """Return the point in a certificate, as far as there is one."""
    if not certificate.children:
        return b""
    fields = certificate.children[0].children
    return fields[_SUBJECT_PUBLIC_KEY].body()[-97:] if len(fields) > _SUBJECT_PUBLIC_KEY else b""
