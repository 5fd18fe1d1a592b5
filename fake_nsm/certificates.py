"""Certificates as the Nitro PKI shapes them: X.509 v3, P-384, ecdsa-with-SHA384 (RFC 5280).

This module knows how a certificate is put together; which fields the five levels carry is in
`fake_nsm.profile`, and when they are issued is in `fake_nsm.pki`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_nsm import der

if TYPE_CHECKING:
    from fake_nsm.keys import SigningKey

_ECDSA_WITH_SHA384 = der.sequence(der.object_identifier("1.2.840.10045.4.3.3"))
_EC_PUBLIC_KEY_P384 = der.sequence(
    der.object_identifier("1.2.840.10045.2.1"), der.object_identifier("1.3.132.0.34")
)
_VERSION_3 = der.context_constructed(0, der.integer(2))

_ATTRIBUTE_OIDS = {
    "C": "2.5.4.6",
    "ST": "2.5.4.8",
    "L": "2.5.4.7",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "CN": "2.5.4.3",
}


def distinguished_name(*attributes: tuple[str, str]) -> bytes:
    """Return a Name in DER from (C, ST, L, O, OU or CN; value) pairs, in the order given.

    The country is a PrintableString and everything else a UTF8String, as in real certificates.
    """
    return der.sequence(
        *(
            der.set_of(
                der.sequence(
                    der.object_identifier(_ATTRIBUTE_OIDS[kind]),
                    der.printable_string(value) if kind == "C" else der.utf8_string(value),
                )
            )
            for kind, value in attributes
        )
    )


def key_identifier(public_point: bytes) -> bytes:
    """Return the SHA-1 of the public key's bits (RFC 5280 section 4.2.1.2, method 1)."""
    return hashlib.sha1(public_point, usedforsecurity=False).digest()


def _extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    criticality = der.boolean_true() if critical else b""
    return der.sequence(der.object_identifier(oid), criticality, der.octet_string(value))


def authority_constraints(path_length: int | None) -> bytes:
    """Return critical basicConstraints of a CA, with or without a path length."""
    limit = b"" if path_length is None else der.integer(path_length)
    return _extension("2.5.29.19", der.sequence(der.boolean_true(), limit), critical=True)


def end_entity_constraints() -> bytes:
    """Return critical basicConstraints of a leaf: an empty SEQUENCE."""
    return _extension("2.5.29.19", der.sequence(), critical=True)


def key_usage(bits: int, *, unused_bits: int, critical: bool) -> bytes:
    """Return keyUsage from one byte of bits, the first usage being the highest bit."""
    value = der.bit_string(bytes([bits]), unused_bits=unused_bits)
    return _extension("2.5.29.15", value, critical=critical)


def subject_key_identifier(identifier: bytes) -> bytes:
    """Return subjectKeyIdentifier, 20 bytes."""
    return _extension("2.5.29.14", der.octet_string(identifier))


def authority_key_identifier(identifier: bytes) -> bytes:
    """Return authorityKeyIdentifier with a key identifier only."""
    return _extension("2.5.29.35", der.sequence(der.context_primitive(0, identifier)))


def crl_distribution_point(url: str) -> bytes:
    """Return cRLDistributionPoints with one full name, a URL."""
    full_name = der.context_constructed(0, der.context_primitive(6, url.encode("ascii")))
    point = der.sequence(der.context_constructed(0, full_name))
    return _extension("2.5.29.31", der.sequence(point))


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFields:
    """What an issuer is asked to sign; names are DER, times are seconds since 1970."""

    serial: int
    subject: bytes
    not_before: int
    not_after: int
    extensions: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate that can issue others, together with its private key."""

    certificate: bytes
    name: bytes
    key: SigningKey
    not_before: int
    not_after: int

    @property
    def key_id(self) -> bytes:
        """The key identifier that certificates issued here refer to."""
        return key_identifier(self.key.public_point)


def issue(
    fields: CertificateFields, *, public_point: bytes, issuer_name: bytes, issuer_key: SigningKey
) -> bytes:
    """Return a certificate in DER; it costs one signature."""
    to_be_signed = der.sequence(
        _VERSION_3,
        der.integer(fields.serial),
        _ECDSA_WITH_SHA384,
        issuer_name,
        der.sequence(der.time(fields.not_before), der.time(fields.not_after)),
        fields.subject,
        der.sequence(_EC_PUBLIC_KEY_P384, der.bit_string(public_point)),
        der.context_constructed(3, der.sequence(*fields.extensions)),
    )
    signature = der.bit_string(issuer_key.sign(to_be_signed))
    return der.sequence(to_be_signed, _ECDSA_WITH_SHA384, signature)


def issue_authority(fields: CertificateFields, *, key: SigningKey, issuer: Authority) -> Authority:
    """Return a subordinate CA certified by `issuer`."""
    certificate = issue(
        fields,
        public_point=key.public_point,
        issuer_name=issuer.name,
        issuer_key=issuer.key,
    )
    return _authority(fields, key=key, certificate=certificate)


def issue_self_signed(fields: CertificateFields, *, key: SigningKey) -> Authority:
    """Return a root."""
    certificate = issue(
        fields, public_point=key.public_point, issuer_name=fields.subject, issuer_key=key
    )
    return _authority(fields, key=key, certificate=certificate)


def _authority(fields: CertificateFields, *, key: SigningKey, certificate: bytes) -> Authority:
    return Authority(
        certificate=certificate,
        name=fields.subject,
        key=key,
        not_before=fields.not_before,
        not_after=fields.not_after,
    )
