"""The reader for revocation lists.

Whatever the bytes: a list, or the one error for lists that cannot be used. A list reads in the
cryptography package as it does here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding

from fuzzing import library, oracle
from nitrosim.attestation import AttestationError
from nitrosim.attestation.revocation import RevocationList, read_revocation_lists

if TYPE_CHECKING:
    from collections.abc import Sequence

_MADE = datetime(2026, 6, 1, tzinfo=UTC)


def seeds() -> Sequence[bytes]:
    """Return the lists of the corpus, and some with more in them."""
    return [*library.revocation_lists(), _made(), _made(1, 1 << 158), _made(7, reason=True)]


def target(data: bytes) -> None:
    """Read, and compare."""
    try:
        (ours,) = read_revocation_lists([data])
    except AttestationError as error:
        oracle.check_refusal(error)
        code = error.code
    else:
        _check(ours, data)
        code = "REVOCATION_LIST"
    assert code == "REVOCATION_LIST"


def _check(ours: RevocationList, data: bytes) -> None:
    theirs = oracle.readable(lambda: x509.load_der_x509_crl(data))
    if theirs is None:
        return
    assert ours.signed == theirs.tbs_certlist_bytes
    assert theirs.next_update_utc is not None
    assert ours.this_update == theirs.last_update_utc.timestamp()
    assert ours.next_update == theirs.next_update_utc.timestamp()
    assert ours.revoked == {entry.serial_number for entry in theirs}


def _made(*serials: int, reason: bool = False) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fuzz")])
    builder = x509.CertificateRevocationListBuilder(name, _MADE, _MADE + timedelta(days=1))
    for serial in serials:
        entry = x509.RevokedCertificateBuilder(serial, _MADE)
        if reason:
            entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags.superseded), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    if reason:
        builder = builder.add_extension(x509.CRLNumber(5), critical=False)
    key = ec.derive_private_key(1, ec.SECP384R1())
    return builder.sign(key, SHA384(), ecdsa_deterministic=True).public_bytes(Encoding.DER)
