"""One certificate: what it should say, and how its parts are changed before it is signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec

from forgery import der, keys

Parts: TypeAlias = dict[str, bytes]
"""The encoded parts of a certificate by name, in their order.

version, serial, algorithm, issuer, validity, subject, key, extensions (these are signed),
outer_algorithm, signature (empty: it is made).
"""

ECDSA_WITH_SHA384 = bytes.fromhex("300a06082a8648ce3d040303")
ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")

_SIGNED_PARTS = 8


@dataclass(frozen=True, kw_only=True)
class Level:
    """The plan of one certificate.

    Attributes:
        subject: common name.
        order: attributes of the subject's name, in order.
        key: its key.
        begin: notBefore.
        end: notAfter.
        extensions: encoded extensions, in order.
        serial: serial number.
        signer: signs in place of the issuer's key, when given.
        edit: changes parts before they are signed, when given.
        after: changes the whole certificate after it was signed, when given.

    """

    subject: str
    order: str
    key: ec.EllipticCurvePrivateKey
    begin: datetime
    end: datetime
    extensions: tuple[bytes, ...]
    serial: int
    signer: ec.EllipticCurvePrivateKey | None = None
    edit: Callable[[Parts], None] | None = None
    after: Callable[[bytes], bytes] | None = None


def make(level: Level, issuer: Level) -> bytes:
    """Make a certificate as its plan says, signed with the issuer's key."""
    parts: Parts = {
        "version": bytes.fromhex("a003020102"),
        "serial": der.integer(level.serial),
        "algorithm": ECDSA_WITH_SHA384,
        "issuer": der.name(issuer.subject, issuer.order),
        "validity": der.tlv(0x30, der.moment(level.begin), der.moment(level.end)),
        "subject": der.name(level.subject, level.order),
        "key": keys.key_info(level.key),
        "extensions": der.tlv(0xA3, der.tlv(0x30, *level.extensions)),
        "outer_algorithm": ECDSA_WITH_SHA384,
        "signature": b"",
    }
    if level.edit:
        level.edit(parts)
    signed = der.tlv(0x30, *list(parts.values())[:_SIGNED_PARTS])
    signature = parts["signature"] or der.tlv(
        0x03, b"\0", keys.sign_der(level.signer or issuer.key, signed)
    )
    certificate = der.tlv(0x30, signed, parts["outer_algorithm"], signature)
    return level.after(certificate) if level.after else certificate
