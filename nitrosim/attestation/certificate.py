"""One X.509 certificate of the Nitro PKI, read strictly (step 13).

Facts from the chains of 30 real documents (RFC 5280 names the fields):

* v3, secp384r1 by its curve name, uncompressed point, ecdsa-with-SHA384 without parameters.
* The serial is 21 octets in two of three instance CAs, one more than RFC 5280 allows.
* Leaves have neither key identifiers nor a critical keyUsage; instance CAs had
  no key identifiers until 2024. Profiles that require them refuse real documents.
* Times are UTCTime until 2049; the GovCloud root ends in 2050 and needs GeneralizedTime.
* There are no unique identifiers, name constraints, policies or extended key usages.

Reading stops at form. Algorithm and key are kept as raw bytes so that the step
that judges them can name its own reason. Names are compared as bytes, so only
what is compared byte for byte with a name already read is left undecoded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from nitrosim.attestation import _der as der
from nitrosim.attestation._der import Cursor, DerError
from nitrosim.attestation.extensions import (
    Extensions,
    read_authority_key_id,
    read_basic_constraints,
    read_extensions,
    read_key_usage,
    read_subject_key_id,
)
from nitrosim.attestation.names import read_name

MAX_CERTIFICATE_BYTES: Final = 1024
"""AWS's bound for each certificate in a document; the largest real one has 814 bytes."""

MAX_SERIAL_OCTETS: Final = 21
"""RFC 5280 allows 20; 160-bit random serials with a leading 00 are normal at AWS."""

ECDSA_WITH_SHA384: Final = bytes.fromhex("300a06082a8648ce3d040303")
"""AlgorithmIdentifier of every signature: no parameters (RFC 5758 section 3.2)."""

P384_KEY_PREFIX: Final = bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200")
"""SubjectPublicKeyInfo up to the point: id-ecPublicKey, secp384r1 by name, BIT STRING
of 97 octets without unused bits (RFC 5480). Being of fixed size, it is compared whole."""

_P384_KEY_BYTES: Final = len(P384_KEY_PREFIX) + 97

_VERSION_3: Final = bytes.fromhex("a003020102")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COMMON_NAME: Final = bytes.fromhex("550403")


class CertificateError(Exception):
    """The bytes are not an X.509 v3 certificate in DER; the message says where."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate of the right form, nothing verified.

    Attributes:
        der: the whole certificate.
        signed: the bytes its signature covers (tbsCertificate).
        serial: positive serial number.
        inner_algorithm: AlgorithmIdentifier under the signature, raw.
        outer_algorithm: AlgorithmIdentifier beside the signature, raw.
        issuer: issuer Name, raw DER.
        subject: subject Name, raw DER.
        names: the subject's attributes in order, as (last octets of the OID in hex, text).
        not_before: first second of validity, seconds since 1970 UTC.
        not_after: last second of validity, inclusive, seconds since 1970 UTC.
        key_info: SubjectPublicKeyInfo, raw.
        extensions: extension OID (content octets) -> (critical, value octets), in order.
        is_ca: cA of basicConstraints; False without the extension.
        path_length: pathLenConstraint of basicConstraints, or None.
        key_usage: first octet of keyUsage (digitalSignature is 0x80, keyCertSign 0x04), or
            None without the extension.
        subject_key_id: octets of the extension, or None.
        authority_key_id: keyIdentifier of the extension, or None.
        r: first number of the signature.
        s: second number of the signature.

    """

    der: bytes
    signed: bytes
    serial: int
    inner_algorithm: bytes
    outer_algorithm: bytes
    issuer: bytes
    subject: bytes
    names: tuple[tuple[bytes, str], ...]
    not_before: int
    not_after: int
    key_info: bytes
    extensions: Extensions
    is_ca: bool
    path_length: int | None
    key_usage: int | None
    subject_key_id: bytes | None
    authority_key_id: bytes | None
    r: int
    s: int

    @property
    def common_name(self) -> str:
        """The subject's last CN, or an empty string."""
        return next((text for oid, text in reversed(self.names) if oid == _COMMON_NAME), "")

    @property
    def begins(self) -> datetime:
        """`not_before` as a time, UTC."""
        return moment(self.not_before)

    @property
    def ends(self) -> datetime:
        """`not_after` as a time, UTC."""
        return moment(self.not_after)

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the DER: how roots are pinned."""
        return hashlib.sha256(self.der).digest()


def moment(seconds: int) -> datetime:
    """Turn seconds since 1970 into a UTC time, also before 1970, where some platforms' C cannot."""
    return _EPOCH + timedelta(seconds=seconds)


def read_certificate(data: bytes) -> Certificate:
    """Read a certificate. Raises `CertificateError` for anything that is not strict DER."""
    try:
        return _read(data)
    except DerError as error:
        raise CertificateError(str(error)) from error


def _read(data: bytes) -> Certificate:
    outer = Cursor(data)
    certificate = outer.enter(der.SEQUENCE)
    outer.finish()
    signed_at = certificate.pos
    tbs = certificate.enter(der.SEQUENCE)
    signed = data[signed_at : certificate.pos]
    outer_algorithm = _algorithm(certificate)
    r, s = read_signature(certificate)
    certificate.finish()

    if not tbs.known(_VERSION_3, len(_VERSION_3)):
        tbs.element(0xA0)
        raise DerError("a version other than v3")
    serial_at = tbs.pos
    serial = tbs.integer()
    # Tag and length take two octets.
    if serial <= 0 or tbs.pos - serial_at - 2 > MAX_SERIAL_OCTETS:
        raise DerError(f"a serial number that is not 1 to {MAX_SERIAL_OCTETS} octets, positive")
    inner_algorithm = _algorithm(tbs)
    # The issuer will be compared with a subject that has been read; no need to read it twice.
    issuer = tbs.element(der.SEQUENCE)
    validity = tbs.enter(der.SEQUENCE)
    not_before, not_after = read_time(validity), read_time(validity)
    validity.finish()
    subject_at = tbs.pos
    names = read_name(tbs)
    subject = data[subject_at : tbs.pos]
    key_info = tbs.known(P384_KEY_PREFIX, _P384_KEY_BYTES) or tbs.element(der.SEQUENCE)
    # Unique identifiers (tags 81, 82) do not occur and are refused here.
    wrapper = tbs.enter(0xA3)
    tbs.finish()
    extensions = read_extensions(wrapper)
    is_ca, path_length = read_basic_constraints(extensions)
    return Certificate(
        der=data,
        signed=signed,
        serial=serial,
        inner_algorithm=inner_algorithm,
        outer_algorithm=outer_algorithm,
        issuer=issuer,
        subject=subject,
        names=names,
        not_before=not_before,
        not_after=not_after,
        key_info=key_info,
        extensions=extensions,
        is_ca=is_ca,
        path_length=path_length,
        key_usage=read_key_usage(extensions),
        subject_key_id=read_subject_key_id(extensions),
        authority_key_id=read_authority_key_id(extensions),
        r=r,
        s=s,
    )


def _algorithm(cursor: Cursor) -> bytes:
    """Return the next element, an AlgorithmIdentifier: usually the one of this PKI."""
    return cursor.known(ECDSA_WITH_SHA384, len(ECDSA_WITH_SHA384)) or cursor.element(der.SEQUENCE)


def read_signature(certificate: Cursor) -> tuple[int, int]:
    """Read the BIT STRING with the ECDSA-Sig-Value (RFC 3279 section 2.2.3): r and s.

    Raises `DerError`.
    """
    start, end = certificate.header(der.BIT_STRING)
    if end - start < 2 or certificate.data[start] != 0:
        raise DerError(f"a signature BIT STRING that is empty or has unused bits at byte {start}")
    numbers = Cursor(certificate.data, start + 1, end)
    numbers.pos, last = numbers.header(der.SEQUENCE)
    if last != end:
        raise DerError(f"{end - last} bytes left over at byte {last}")
    r, s = numbers.integer(), numbers.integer()
    numbers.finish()
    return r, s


def read_time(validity: Cursor) -> int:
    """Read a Time as seconds since 1970.

    UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5).
    Raises `DerError`.
    """
    at = validity.pos
    if validity.peek() == der.UTC_TIME:
        text = validity.content(der.UTC_TIME)
        century = b"19" if text[:2] >= b"50" else b"20"
        digits, full = text[:-1], 12
    else:
        text = validity.content(der.GENERALIZED_TIME)
        century, digits, full = b"", text[:-1], 14
    if len(digits) != full or not digits.isdigit() or text[-1:] != b"Z":
        raise DerError(f"a time that is not digits and Z at byte {at}")
    if not century and digits < b"2050":
        raise DerError(f"a GeneralizedTime before 2050 at byte {at}")
    date, clock = (century + digits[:-6]).decode(), digits[-6:].decode()
    # Python's own reader of ISO 8601 may take hour 24 for the next day's midnight.
    if clock >= "24":
        raise DerError(f"a time that does not exist at byte {at}")
    try:
        time = datetime.fromisoformat(f"{date}T{clock}Z")
    except ValueError as error:
        raise DerError(f"a time that does not exist at byte {at}") from error
    return int((time - _EPOCH).total_seconds())
