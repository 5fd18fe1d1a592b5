"""Edits of certificates that several groups of cases share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from forgery import chains, der, keys
from forgery.certificates import Level
from forgery.forge import Forge

BASIC_CONSTRAINTS = "551d13"
KEY_USAGE = "551d0f"
SUBJECT_KEY_ID = "551d0e"
AUTHORITY_KEY_ID = "551d23"
CRL_DISTRIBUTION_POINTS = "551d1f"
UNKNOWN = "2a0304"
"""1.2.3.4, which means nothing to anybody."""


EC_ALGORITHM = bytes.fromhex("301006072a8648ce3d020106052b81040022")
"""AlgorithmIdentifier of keys: id-ecPublicKey, secp384r1."""

PRIME = (1 << 384) - (1 << 128) - (1 << 96) + (1 << 32) - 1
"""p of P-384."""


def elements(content: bytes) -> list[bytes]:
    """Split content octets, which must be right, into the elements they are made of."""
    found = []
    while content:
        rest = der.content(content)
        size = content[1]
        if size >= 0x80:
            size = int.from_bytes(content[2 : 2 + (size & 0x7F)], "big")
        end = len(content) - len(rest) + size
        found.append(content[:end])
        content = content[end:]
    return found


def stretched(element: bytes) -> bytes:
    """Encode an element's length in one octet more than it needs."""
    content = der.content(element)
    octets = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    if len(content) >= 0x80:
        octets = b"\0" + octets
    return bytes([element[0], 0x80 | len(octets)]) + octets + content


def retagged(element: bytes, tag: int) -> bytes:
    """Replace an element's tag."""
    return bytes([tag]) + element[1:]


def add(forge: Forge, level: str, extension: bytes) -> Forge:
    """Put an extension, right or wrong, behind those of one certificate."""
    return forge.change(level, extensions=(*forge.levels[level].extensions, extension))


def issuer_of(forge: Forge, level: str) -> Level:
    """Return the plan of the certificate that issues this one."""
    order = list(forge.levels)
    return forge.levels[order[max(order.index(level) - 1, 0)]]


def sign_again(
    forge: Forge,
    level: str,
    change: Callable[[bytes], bytes] = bytes,
    sign: Callable[[bytes], bytes] | None = None,
) -> Forge:
    """Change the signed part of one certificate as a whole, or the way it is signed."""
    key = issuer_of(forge, level).key

    def after(certificate: bytes) -> bytes:
        signed, algorithm, _ = elements(der.content(certificate))
        signed = change(signed)
        signature = sign(signed) if sign else keys.sign_der(key, signed)
        return der.tlv(0x30, signed, algorithm, bits(signature))

    return forge.change(level, after=after)


def seal(forge: Forge, level: str, write: Callable[[int, int], bytes]) -> Forge:
    """Write the signature of one certificate another way; `write` gets the true r and s."""

    def after(certificate: bytes) -> bytes:
        signed, algorithm, signature = elements(der.content(certificate))
        r, s = decode_dss_signature(der.content(signature)[1:])
        return der.tlv(0x30, signed, algorithm, write(r, s))

    return forge.change(level, after=after)


def bits(content: bytes) -> bytes:
    """Encode a BIT STRING without unused bits."""
    return der.tlv(0x03, b"\0", content)


def info(algorithm: bytes, point: bytes) -> bytes:
    """Encode a SubjectPublicKeyInfo."""
    return der.tlv(0x30, algorithm, bits(point))


def numbers(*values: int) -> bytes:
    """Encode a SEQUENCE of INTEGERs, as ECDSA signatures are."""
    return der.tlv(0x30, *map(der.integer, values))


def rekey(forge: Forge, level: str, key: ec.EllipticCurvePrivateKey) -> Forge:
    """Give one level another key, and the key identifiers that go with it."""
    forge.change(level, key=key)
    if has(forge, level, SUBJECT_KEY_ID):
        forge.extend(level, chains.subject_key_id(key))
    order = list(forge.levels)
    for below in order[order.index(level) + 1 :][:1]:
        if has(forge, below, AUTHORITY_KEY_ID):
            forge.extend(below, chains.authority_key_id(key))
    return forge


def has(forge: Forge, level: str, oid: str) -> bool:
    """Tell whether a certificate has an extension."""
    name = der.tlv(0x06, bytes.fromhex(oid))
    return any(der.content(e).startswith(name) for e in forge.levels[level].extensions)


def insert(forge: Forge, above: str, level: str, **changes: Any) -> Forge:
    """Put one more CA below a CA: like it, with a key and a serial number of its own."""
    pattern = forge.levels[above]
    key = keys.key(f"{forge.label}/{level}")
    plan: dict[str, Level] = {}
    for name, old in forge.levels.items():
        plan[name] = old
        if name == above:
            serial = chains.number(f"{forge.label}/{level} serial", 128)
            plan[level] = replace(pattern, key=key, serial=serial, edit=None, after=None)
    forge.levels = plan
    forge.change(level, **changes)
    if has(forge, level, AUTHORITY_KEY_ID):
        forge.extend(level, chains.authority_key_id(pattern.key))
    return rekey(forge, level, key)
