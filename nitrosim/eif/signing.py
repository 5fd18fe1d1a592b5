"""Signing an image's PCR0, and verifying such a signature.

The key decides about everything: ECDSA with SHA-256 on P-256, SHA-384 on P-384, SHA-512 on P-521
(RFC 9053 section 2.1), and the same hash for the Sig_structure. A `Signer` is the seam behind
which a key may be anywhere; `PemSigner` has it in a file.

Verification exists at two times. When a file is *described*, the signature must be good and
PCR0 is compared; a difference is a result, not an error, and the certificate's validity is not
looked at. When an image is *started*, nitro-cli checks the signature and the certificate's
period, and the hypervisor that what was signed is this image's PCR0.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from nitrosim.eif.certificate import SigningCertificate
from nitrosim.eif.errors import Code
from nitrosim.eif.signature import (
    PcrSignature,
    Sign1,
    pcr_payload,
    protected_header,
    read_sign1,
    signed_bytes,
    write_section,
)

_KMS_ARN: Final = re.compile(
    r"arn:aws(?:-[a-z-]+)?:kms:[a-z0-9-]+:[0-9]{12}:key[:/][a-zA-Z0-9-]+", re.ASCII
)
_EXPECTED_KEY: Final = "an EC private key on P-256, P-384 or P-521 in PEM form, not encrypted"
_PEM_KEY: Final = re.compile(
    rb"^-----BEGIN ((?:EC )?PRIVATE KEY|ENCRYPTED PRIVATE KEY)-----.*?^-----END \1-----",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Algorithm:
    """A COSE algorithm: its number, its hash, and the bytes of r and of s."""

    number: int
    digest: hashes.HashAlgorithm
    width: int


_ALGORITHMS: Final = {
    "secp256r1": _Algorithm(-7, hashes.SHA256(), 32),
    "secp384r1": _Algorithm(-35, hashes.SHA384(), 48),
    "secp521r1": _Algorithm(-36, hashes.SHA512(), 66),
}


class Signer(Protocol):
    """Something that can sign for a certificate."""

    @property
    def certificate(self) -> bytes:
        """Content of a PEM file; it goes into the image as it is."""
        ...

    @property
    def algorithm(self) -> int:
        """Number of the COSE algorithm: -7, -35 or -36."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, r then s."""
        ...


class PemSigner:
    """Signs with a private key from a PEM file.

    The same image, certificate and key give the same signature (RFC 6979) where the cryptography
    library can do that.
    """

    def __init__(self, certificate: bytes, private_key: bytes) -> None:
        """Take the contents of two PEM files.

        Raises:
            EifError: `CERTIFICATE`, `CERTIFICATE_KEY`, `PRIVATE_KEY`, `KEY_MISMATCH`.

        """
        self._key = _load_key(private_key)
        self._algorithm = _algorithm_of(self._key.public_key())
        public = SigningCertificate.from_pem(certificate).public_key()
        # DEVIATION: Signing with a private key that is not the certificate's is refused; nitro-cli
        # then writes an image that neither it nor the hypervisor accepts.
        if public.public_numbers() != self._key.public_key().public_numbers():
            raise Code.KEY_MISMATCH("private key", expected="the key of the certificate")
        self._certificate = certificate

    @classmethod
    def from_files(cls, certificate: str | os.PathLike[str], private_key: str) -> Self:
        """Read two PEM files; `private_key` is a path, as nitro-cli's ``--private-key``.

        Raises:
            EifError: `KMS_KEY` if it is the ARN of a key in AWS KMS, and as the constructor.
            OSError: a file cannot be read.

        """
        # DEVIATION: Keys in AWS KMS are not supported for signing images; nitro-cli asks KMS to
        # sign when --private-key is an ARN.
        if is_kms_key(private_key):
            raise Code.KMS_KEY("private key", got=private_key, expected="a path of a PEM file")
        return cls(Path(certificate).read_bytes(), Path(private_key).read_bytes())

    @property
    def certificate(self) -> bytes:
        """Content of a PEM file."""
        return self._certificate

    @property
    def algorithm(self) -> int:
        """Number of the COSE algorithm."""
        return self._algorithm.number

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, r then s."""
        r, s = decode_dss_signature(self._key.sign(message, _scheme(self._algorithm.digest)))
        width = self._algorithm.width
        return r.to_bytes(width, "big") + s.to_bytes(width, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSignature:
    """A signature that verifies with its certificate.

    Attributes:
        certificate: of the signer.
        payload: what was signed.

    """

    certificate: SigningCertificate
    payload: bytes

    def is_over(self, pcr0: bytes) -> bool:
        """Tell whether this PCR0, 48 bytes, was signed."""
        return self.payload == pcr_payload(0, pcr0)


def is_kms_key(name: str) -> bool:
    """Tell whether nitro-cli would take the name of a private key for one in AWS KMS."""
    return _KMS_ARN.fullmatch(name) is not None


def sign_pcr0(signer: Signer, pcr0: bytes) -> bytes:
    """Sign a PCR0 of 48 bytes; returns the content of a signature section.

    Raises:
        EifError: `SIGNATURE_INVALID` if what the signer made is not a signature of its
            certificate's key; `CERTIFICATE`, `CERTIFICATE_KEY`, or what the signer raises.

    """
    protected, payload = protected_header(signer.algorithm), pcr_payload(0, pcr0)
    structure = Sign1(
        protected=protected,
        algorithm=signer.algorithm,
        payload=payload,
        signature=signer.sign(signed_bytes(protected, payload)),
    )
    cose = structure.to_bytes()
    verify(PcrSignature(certificate=signer.certificate, cose=cose))
    return write_section(signer.certificate, cose)


def verify(entry: PcrSignature) -> VerifiedSignature:
    """Verify a signature with the certificate beside it, whatever it is over.

    Raises:
        EifError: `CERTIFICATE`, `CERTIFICATE_KEY`, `COSE`, `SIGNATURE_INVALID`.

    """
    certificate = SigningCertificate.from_pem(entry.certificate, offset=entry.certificate_offset)
    key = certificate.public_key()
    algorithm = _algorithm_of(key, entry.certificate_offset)
    structure = read_sign1(entry.cose, offset=entry.cose_offset)
    if structure.algorithm != algorithm.number:
        raise Code.SIGNATURE_INVALID(
            "algorithm of the signature",
            offset=entry.cose_offset,
            got=structure.algorithm,
            expected=f"{algorithm.number}, by the certificate's key",
        )
    width = algorithm.width
    if len(structure.signature) != 2 * width:
        raise Code.SIGNATURE_INVALID(
            "signature",
            offset=entry.cose_offset,
            got=f"{len(structure.signature)} bytes",
            expected=f"{2 * width}, by the certificate's key",
        )
    r, s = (
        int.from_bytes(half, "big")
        for half in (structure.signature[:width], structure.signature[width:])
    )
    try:
        key.verify(
            encode_dss_signature(r, s),
            signed_bytes(structure.protected, structure.payload),
            ec.ECDSA(algorithm.digest),
        )
    except InvalidSignature as error:
        raise Code.SIGNATURE_INVALID("signature", offset=entry.cose_offset) from error
    return VerifiedSignature(certificate=certificate, payload=structure.payload)


def verify_for_boot(entry: PcrSignature, pcr0: bytes, *, at: datetime) -> VerifiedSignature:
    """Verify a signature as it is when an enclave is started at the time `at`.

    Raises:
        EifError: as `verify`, and `CERTIFICATE_NOT_YET_VALID`, `CERTIFICATE_EXPIRED`,
            `PCR0_MISMATCH`; `TIME_ZONE` if `at` has none.

    """
    verified = verify(entry)
    verified.certificate.check_time(at)
    # ASSUMPTION: The hypervisor refuses an image whose signature is over another PCR0; the
    # specification says that the signature is verified against PCR0, and nobody has tried.
    if not verified.is_over(pcr0):
        raise Code.PCR0_MISMATCH(
            "signed payload",
            offset=entry.cose_offset,
            got=verified.payload,
            expected=f"index 0 and {pcr0.hex()}",
        )
    return verified


def _scheme(digest: hashes.HashAlgorithm) -> ec.ECDSA:
    # DEVIATION: Signatures are deterministic (RFC 6979), nitro-cli's are different each time;
    # so an image can be built and signed again with the same bytes.
    try:
        return ec.ECDSA(digest, deterministic_signing=True)
    except UnsupportedAlgorithm:
        return ec.ECDSA(digest)


def _algorithm_of(key: ec.EllipticCurvePublicKey, offset: int | None = None) -> _Algorithm:
    algorithm = _ALGORITHMS.get(key.curve.name)
    if algorithm is None:
        raise Code.CERTIFICATE_KEY(
            "curve of the key",
            offset=offset,
            got=key.curve.name,
            expected="P-256, P-384 or P-521",
        )
    return algorithm


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    # `openssl ecparam -genkey` puts the parameters of the curve before the key.
    found = _PEM_KEY.search(pem)
    if found is None:
        raise Code.PRIVATE_KEY("private key", expected=_EXPECTED_KEY)
    try:
        key = serialization.load_pem_private_key(found[0] + b"\n", password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # TypeError is what an encrypted key gives. The library's texts may quote the key: they
        # stay in the chain of exceptions.
        raise Code.PRIVATE_KEY("private key", expected=_EXPECTED_KEY) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Code.PRIVATE_KEY("private key", got=type(key).__name__, expected=_EXPECTED_KEY)
    if key.curve.name not in _ALGORITHMS:
        raise Code.PRIVATE_KEY("private key", got=key.curve.name, expected=_EXPECTED_KEY)
    return key
