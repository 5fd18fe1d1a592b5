"""The root of a test PKI: made by each user or test session, saved and taken back as PEM.

It can never be taken for the root of AWS: other key, other names, and `RootAuthority.from_pem`
takes nothing whose subject is not that of a test root.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from fake_nsm import profile
from fake_nsm.certificates import Authority, issue_self_signed
from fake_nsm.errors import PkiError
from fake_nsm.keys import P384Key
from fake_nsm.profile import DAY

if TYPE_CHECKING:
    from fake_nsm.sources import Clock, Entropy

EARLIEST = profile.ROOT_NOT_BEFORE + 7 * DAY
"""Seconds since 1970: from here on every certificate of a chain begins after its root does."""
LATEST = profile.ROOT_NOT_AFTER - DAY
"""Seconds since 1970."""


def check_covered(seconds: int) -> None:
    """Raise `PkiError` for a time at which chains under a test root are not valid."""
    if not EARLIEST <= seconds <= LATEST:
        raise PkiError(
            f"the clock says {seconds} seconds since 1970, but test roots and their chains cover "
            f"{EARLIEST} to {LATEST} (November 2019 to October 2049): set the clock"
        )


class RootAuthority:
    """The self-signed root of a test PKI, made by each user or test session for itself.

    `certificate_der` is the trust anchor and `sha256` its fingerprint in lower-case hex;
    `certificate_pem` and `private_key_pem` are what `from_pem` takes back.
    """

    def __init__(self, authority: Authority, key: P384Key) -> None:
        self.authority = authority
        self.certificate_der = authority.certificate
        self.sha256 = hashlib.sha256(authority.certificate).hexdigest()
        self._key = key

    @classmethod
    def create(cls, *, clock: Clock, entropy: Entropy) -> Self:
        """Return a new root.

        Raises `PkiError` if the clock is outside the validity that all test roots share
        (2019-10-28 to 2049-10-28).
        """
        check_covered(clock() // 1000)
        key = P384Key.generate(entropy)
        fields = profile.root_fields(key.public_point, entropy=entropy)
        return cls(issue_self_signed(fields, key=key), key)

    @classmethod
    def from_pem(cls, certificate_pem: str, private_key_pem: str) -> Self:
        """Take back a root that was saved as PEM.

        Raises `PkiError` if the certificate is damaged, does not belong to the key, or is not a
        test root; `InvalidValueError` if the key is damaged.
        """
        key = P384Key.from_pem(private_key_pem)
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
            name = certificate.subject.public_bytes()
            point = certificate.public_key().public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
            )
        except (ValueError, UnsupportedAlgorithm) as error:
            raise PkiError(f"not a PEM certificate of this PKI: {error}") from error
        if name != profile.ROOT_NAME:
            subject = certificate.subject.rfc4514_string()
            raise PkiError(f"not the root of a test PKI: its subject is {subject}")
        if point != key.public_point:
            raise PkiError("the root certificate and the private key do not belong together")
        authority = Authority(
            certificate=certificate.public_bytes(serialization.Encoding.DER),
            name=name,
            key=key,
            not_before=int(certificate.not_valid_before_utc.timestamp()),
            not_after=int(certificate.not_valid_after_utc.timestamp()),
        )
        return cls(authority, key)

    @property
    def certificate_pem(self) -> str:
        """The certificate as PEM: public, this is what verifiers are given."""
        certificate = x509.load_der_x509_certificate(self.certificate_der)
        return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    @property
    def private_key_pem(self) -> str:
        """The private key as unencrypted PKCS #8 PEM: a secret of the user."""
        return self._key.to_pem()

    def to_pem(self) -> tuple[str, str]:
        """Return `certificate_pem` and `private_key_pem`."""
        return self.certificate_pem, self.private_key_pem
