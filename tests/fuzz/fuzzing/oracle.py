"""What other libraries say about the same bytes: cbor2 about CBOR, cryptography about X.509.

Neither is as strict as the readers under test, so they are asked only about what those have
accepted: then both must see the same. `check_chain` goes further and asks, in the other
library's terms, whether a chain that was accepted may be believed at all.
"""

from __future__ import annotations

import functools
import hashlib
import pickle
import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nitrosim.attestation import AttestationError
from nitrosim.attestation.errors import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime, timedelta

    from nitrosim.attestation import Claims
    from nitrosim.attestation.certificate import Certificate

    IsSigned = Callable[[bytes, int, int, bytes], bool]

_Parameters = ParamSpec("_Parameters")
_Answer = TypeVar("_Answer")

_ECDSA_WITH_SHA384 = "1.2.840.10045.4.3.3"
_UNDERSTOOD = ("2.5.29.19", "2.5.29.15", "2.5.29.14", "2.5.29.35")
_CONSTRAINING = ("2.5.29.30", "2.5.29.32", "2.5.29.33", "2.5.29.36", "2.5.29.54")
_MOST_SAID = 800
_OPTIONAL = ("public_key", "user_data", "nonce")


def _quietly(check: Callable[_Parameters, _Answer]) -> Callable[_Parameters, _Answer]:
    """Keep the library from warning: of names that are too long, of what it will refuse one day."""

    @functools.wraps(check)
    def quiet(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Answer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return check(*args, **kwargs)

    return quiet


def check_refusal(error: Exception) -> None:
    """Assert that a refusal is one short printable line, and that its code is of its step and kind.

    It is the same on the other side of a process boundary.
    """
    assert str(error).isprintable()
    if isinstance(error, AttestationError):
        assert len(str(error)) <= _MOST_SAID
        assert str(error) == str(pickle.loads(pickle.dumps(error)))
        code = Code[error.code]
        assert code.step == error.step
        assert code.error is type(error)


def same(one: object, other: object) -> bool:
    """Tell whether two decoded values are equal in value and in type, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return same(list(one), list(other)) and same(list(one.values()), list(other.values()))
    return one == other


def check_envelope(data: bytes, *, protected: bytes, payload: bytes, r: int, s: int) -> None:
    """Assert that an envelope is the one that cbor2 makes of these parts, tagged or not."""
    signature = r.to_bytes(48, "big") + s.to_bytes(48, "big")
    envelope = cbor2.dumps([protected, {}, payload, signature])
    assert data in {envelope, b"\xd2" + envelope}


def check_content(claims: Claims, document: bytes) -> None:
    """Assert that claims say what cbor2 reads in the document."""
    envelope = cbor2.loads(document)
    parts = envelope.value if isinstance(envelope, cbor2.CBORTag) else envelope
    fields = cbor2.loads(parts[2])
    kind = {True: "pcrs", False: "nitrotpm_pcrs"}[fields.get("pcrs") is not None]
    assert {"pcrs": "enclave", "nitrotpm_pcrs": "nitrotpm"}[kind] == claims.document_type
    assert same(fields["module_id"], claims.module_id)
    assert same(fields["timestamp"], claims.timestamp_ms)
    assert same(dict(sorted(fields[kind].items())), dict(claims.pcrs))
    assert same(fields["certificate"], claims.certificate)
    assert same(fields["cabundle"], list(claims.cabundle))
    for name in _OPTIONAL:
        assert same(fields.get(name), getattr(claims, name))
    known = {"digest", "module_id", "timestamp", kind, "certificate", "cabundle", *_OPTIONAL}
    others = [name for name, value in fields.items() if name not in known]
    # The PCR field of the other kind may be there as null.
    absent = {"pcrs", "nitrotpm_pcrs"} - {kind}
    assert [name for name in others if name not in absent] == list(claims.unknown_fields)
    assert all(fields[name] is None for name in absent if name in fields)


def check_certificate(ours: Certificate, theirs: x509.Certificate) -> None:
    """Assert that two readings of one certificate agree."""
    assert theirs.public_bytes(Encoding.DER) == ours.der
    assert theirs.tbs_certificate_bytes == ours.signed
    assert theirs.serial_number == ours.serial
    assert theirs.not_valid_before_utc == ours.begins
    assert theirs.not_valid_after_utc == ours.ends
    names = readable(lambda: theirs.subject)
    if names is not None:
        assert [a.value for a in names] == [text for _, text in ours.names]
        assert [a.oid.dotted_string for a in names] == [dotted(o) for o, _ in ours.names]
        common = names.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        assert (common[-1].value if common else "") == ours.common_name
    extensions = readable(lambda: theirs.extensions)
    if extensions is not None:
        _check_extensions(ours, extensions)


def _check_extensions(ours: Certificate, theirs: x509.Extensions) -> None:
    assert [(dotted(oid), critical) for oid, (critical, _) in ours.extensions.items()] == [
        (extension.oid.dotted_string, extension.critical) for extension in theirs
    ]
    constraints = found(theirs, x509.BasicConstraints)
    assert (constraints.ca if constraints else False) == ours.is_ca
    assert (constraints.path_length if constraints else None) == ours.path_length
    usage = found(theirs, x509.KeyUsage)
    assert (usage is None) == (ours.key_usage is None)
    if usage and ours.key_usage is not None:
        assert usage.digital_signature == bool(ours.key_usage & 0x80)
        assert usage.key_cert_sign == bool(ours.key_usage & 0x04)
    subject_key = found(theirs, x509.SubjectKeyIdentifier)
    assert (subject_key.digest if subject_key else None) == ours.subject_key_id
    authority_key = found(theirs, x509.AuthorityKeyIdentifier)
    assert (authority_key.key_identifier if authority_key else None) == ours.authority_key_id


def readable(question: Callable[[], _Answer]) -> _Answer | None:
    """Return what the library says; None when it cannot read that part.

    It refuses repetitions in names, and malformed extensions of kinds that the verifier ignores.
    """
    try:
        return _quietly(question)()
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None


def found(extensions: x509.Extensions, kind: type[Any]) -> Any:
    """Return the value of an extension, None without it."""
    return next((e.value for e in extensions if isinstance(e.value, kind)), None)


def dotted(oid: bytes) -> str:
    """Write the content octets of an object identifier as people do."""
    numbers, number = [], 0
    for octet in oid:
        number = number << 7 | octet & 0x7F
        if octet < 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


@_quietly
def check_chain(
    claims: Claims,
    *,
    pin: bytes,
    at: datetime,
    leeway: timedelta,
    strict: bool,
    is_signed: IsSigned,
) -> None:
    """Assert that the chain of accepted claims may be believed.

    `is_signed(point, r, s, message)` is the cryptography that was used.
    """
    ders = (*claims.cabundle, claims.certificate)
    assert pin == hashlib.sha256(ders[0]).digest()
    assert 2 <= len(ders) <= 11
    chain = [x509.load_der_x509_certificate(der) for der in ders]
    for der, certificate in zip(ders, chain, strict=True):
        assert len(der) <= 1024
        assert certificate.signature_algorithm_oid.dotted_string == _ECDSA_WITH_SHA384
        assert certificate.not_valid_before_utc <= at + leeway
        assert at <= certificate.not_valid_after_utc
    for issuer, certificate in pairwise(chain):
        names = readable(lambda: (issuer.subject, certificate.issuer))  # noqa: B023 - called at once
        assert names is None or names[0] == names[1]
        r, s = decode_dss_signature(certificate.signature)
        assert is_signed(_point(issuer), r, s, certificate.tbs_certificate_bytes)
    assert _point(chain[-1])
    leaf = chain[-1]
    assert leaf.not_valid_before_utc <= claims.timestamp <= leaf.not_valid_after_utc
    _check_profile(chain)
    if strict:
        _check_names(claims, chain)


@_quietly
def check_not_listed(claims: Claims, lists: Iterable[bytes]) -> None:
    """Assert that no certificate is on the list of its issuer."""
    read = [x509.load_der_x509_crl(data) for data in lists]
    for der in (*claims.cabundle, claims.certificate):
        certificate = x509.load_der_x509_certificate(der)
        for crl in read:
            listed = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
            assert listed is None or crl.issuer != certificate.issuer


def _check_profile(chain: list[x509.Certificate]) -> None:
    """Assert that each certificate may do what it does (RFC 5280, section 6)."""
    read = [
        readable(functools.partial(getattr, certificate, "extensions")) for certificate in chain
    ]
    for i, extensions in enumerate(read):
        if extensions is None:
            continue
        for extension in extensions:
            assert extension.oid.dotted_string not in _CONSTRAINING
            assert not extension.critical or extension.oid.dotted_string in _UNDERSTOOD
        constraints = found(extensions, x509.BasicConstraints)
        usage = found(extensions, x509.KeyUsage)
        assert usage
        if i == len(chain) - 1:
            assert constraints is None or (not constraints.ca and constraints.path_length is None)
            assert usage.digital_signature
            assert not usage.key_cert_sign
        else:
            assert constraints
            assert constraints.ca
            assert usage.key_cert_sign
            below = sum(ca.issuer != ca.subject for ca in chain[i + 1 : -1])
            assert constraints.path_length is None or below <= constraints.path_length
        authority = found(extensions, x509.AuthorityKeyIdentifier)
        issuer = read[max(i - 1, 0)]
        if authority and authority.key_identifier is not None and issuer is not None:
            key = found(issuer, x509.SubjectKeyIdentifier)
            assert key
            assert key.digest == authority.key_identifier


def _check_names(claims: Claims, chain: list[x509.Certificate]) -> None:
    """Assert that module, names and PCR4 are of one machine."""
    names = [
        certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[-1].value
        for certificate in chain[1:]
    ]
    leaf = str(names[-1])
    assert leaf.startswith(f"{claims.module_id}.")
    region = leaf[len(claims.module_id) + 1 :].split(".", maxsplit=1)[0]
    assert region
    assert all(region in str(name).split(".") for name in names)
    machine = "-".join(claims.module_id.split("-")[:2])
    if len(names) > 1:
        assert str(names[-2]).split(".")[0] == machine
    if claims.document_type == "enclave":
        assert hashlib.sha384(bytes(48) + machine.encode()).digest() == claims.pcrs.get(4)


def point(der: bytes) -> bytes:
    """Return the point of a certificate, which must be one on P-384."""
    return _point(x509.load_der_x509_certificate(der))


def _point(certificate: x509.Certificate) -> bytes:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP384R1)
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
