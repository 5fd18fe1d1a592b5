"""The certificate in a signature section, and what nitro-cli prints about it.

It stands there as a PEM file, byte for byte what the signer was given; if the file has several
certificates the first one counts. PCR8 measures its DER form.

`describe` gives the five values in OpenSSL's and Rust's spelling, because that is what scripts
compare: names of attributes in their long form, sorted; of a repeated attribute the last value;
values the way Rust prints text for debugging with the double quotes taken out; times like
``Jan  1 00:00:00 2024 GMT`` whatever the language of the machine.
"""

from __future__ import annotations

import binascii
import re
import unicodedata
import warnings
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from nitrosim.eif.errors import Code
from nitrosim.eif.openssl_names import long_name
from nitrosim.eif.serde import Json

_PEM: Final = re.compile(
    rb"^-----BEGIN ((?:X509 )?CERTIFICATE)-----[ \t\r]*\n(.*?)^-----END \1-----[ \t\r]*$",
    re.MULTILINE | re.DOTALL,
)
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"
_RUST_ESCAPES: Final = {"\0": "\\0", "\t": "\\t", "\r": "\\r", "\n": "\\n", "\\": "\\\\"}
_GRAPHEME_EXTENDERS: Final = ("Mn", "Me")
_NOT_TEXT: Final = "error"
"""What stands for a value that is a bit string (observed with the Rust package openssl 0.10.82)."""


class SigningCertificate:
    """The certificate that an image is signed with.

    Attributes:
        der: its DER form, which PCR8 measures.

    """

    def __init__(self, der: bytes, *, offset: int | None = None) -> None:
        """Read the DER form; `offset` is where it is in a file, for messages.

        Raises:
            EifError: `CERTIFICATE`.

        """
        self.der = der
        self._offset = offset
        try:
            # The library warns of names that are too long or empty and of serial numbers below
            # one. nitro-cli prints nothing about them, and a warning must not become an error.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._certificate = x509.load_der_x509_certificate(der)
                # The library reads these parts when they are asked for, OpenSSL does so at once.
                self._issuer, _subject = self._certificate.issuer, self._certificate.subject
                self._begin = self._certificate.not_valid_before_utc
                self._end = self._certificate.not_valid_after_utc
        except (ValueError, TypeError, x509.InvalidVersion) as error:
            # TypeError is what a name with a bit string in it gives.
            raise self._error(str(error)) from error

    @classmethod
    def from_pem(cls, pem: bytes, *, offset: int | None = None) -> SigningCertificate:
        """Take the first certificate of a PEM file.

        Raises:
            EifError: `CERTIFICATE`.

        """
        found = _PEM.search(pem)
        expected = "a certificate in PEM form"
        if found is None:
            raise Code.CERTIFICATE("signing certificate", offset=offset, expected=expected)
        try:
            der = binascii.a2b_base64(b"".join(found[2].split()), strict_mode=True)
        except binascii.Error as error:
            raise Code.CERTIFICATE(
                f"signing certificate ({error})", offset=offset, expected=expected
            ) from error
        return cls(der, offset=offset)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return its key.

        Raises:
            EifError: `CERTIFICATE_KEY` if that is not an elliptic-curve key.

        """
        expected = "an EC key on P-256, P-384 or P-521"
        try:
            key = self._certificate.public_key()
        except (ValueError, UnsupportedAlgorithm) as error:
            raise Code.CERTIFICATE_KEY(
                f"key of the signing certificate ({error})", offset=self._offset, expected=expected
            ) from error
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise Code.CERTIFICATE_KEY(
                "key of the signing certificate",
                offset=self._offset,
                got=type(key).__name__,
                expected=expected,
            )
        return key

    def check_time(self, at: datetime) -> None:
        """Check that the certificate is valid at a time; both ends of its period belong to it.

        Raises:
            EifError: `CERTIFICATE_NOT_YET_VALID`, `CERTIFICATE_EXPIRED`; `TIME_ZONE` if `at`
                has none.

        """
        if at.tzinfo is None:
            raise Code.TIME_ZONE("time to check the certificate at", got=at.isoformat())
        moment = at.astimezone(UTC)
        if moment < self._begin:
            raise Code.CERTIFICATE_NOT_YET_VALID(
                "signing certificate",
                offset=self._offset,
                got=moment.isoformat(),
                expected=f"{self._begin.isoformat()} or later",
            )
        if moment > self._end:
            raise Code.CERTIFICATE_EXPIRED(
                "signing certificate",
                offset=self._offset,
                got=moment.isoformat(),
                expected=f"{self._end.isoformat()} or earlier",
            )

    def describe(self) -> dict[str, Json]:
        """Return the object `SigningCertificate` of describe-eif.

        Raises:
            EifError: `CERTIFICATE` if a part of it cannot be read.

        """
        names = {
            long_name(attribute.oid.dotted_string): _debug_text(attribute.value)
            for attribute in self._issuer
        }
        return {
            "IssuerName": {name: names[name] for name in sorted(names)},
            "Algorithm": long_name(self._certificate.signature_algorithm_oid.dotted_string),
            "NotBefore": _openssl_time(self._begin),
            "NotAfter": _openssl_time(self._end),
            "Signature": self._certificate.signature.hex(":").upper(),
        }

    def _error(self, detail: str) -> Exception:
        return Code.CERTIFICATE(
            f"signing certificate ({detail})", offset=self._offset, expected="X.509 in DER form"
        )


def _openssl_time(time: datetime) -> str:
    month = _MONTHS[3 * time.month - 3 : 3 * time.month]
    return f"{month} {time.day:2d} {time:%H:%M:%S} {time.year} GMT"


def _debug_text(value: str | bytes) -> str:
    """Write text as Rust's debug format does, without its double quotes."""
    if isinstance(value, bytes):
        return _NOT_TEXT
    return "".join(_debug_character(character) for character in value)


def _debug_character(character: str) -> str:
    if character in _RUST_ESCAPES:
        return _RUST_ESCAPES[character]
    if character == '"':
        # Escaped it is \", of which only the quote is taken out.
        return "\\"
    extends = unicodedata.category(character) in _GRAPHEME_EXTENDERS
    if character.isprintable() and not extends:
        return character
    return f"\\u{{{ord(character):x}}}"
