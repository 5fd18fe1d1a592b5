"""Why a document is refused: one tree of errors, every code with its step.

::

    AttestationError              base; catch this
    |-- MalformedDocumentError    steps 1-12: the bytes are not an attestation document
    |-- CertificateChainError     steps 13-22: the chain does not lead to a trusted root
    |-- SignatureError            step 23: the document's own signature is wrong
    |-- TimeError                 steps 20 and 24: expired, not yet valid, too old, from the future
    |-- PolicyError               a genuine document that is not the one the caller asked for
    `-- ExpectationError          the caller's expectation is unusable, whatever the document

`Code` is the complete list of reasons. Each code belongs to exactly one step of
the procedure (see `nitrosim.attestation.steps`), and names never change once
released: programs may compare them.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

_MAX_RENDERED: Final = 240
"""Characters of an untrusted value that a message shows: a document can hold 16 KiB of text."""


class AttestationError(Exception):
    """A document was refused, or could not be judged.

    Attributes:
        code: stable upper-case name of the reason, one of `Code`.
        step: number (1..28) of the step that refused.
        what: the thing that was checked, in words.
        got: what the document (or the caller) gave, as text; None when there is nothing to show.
        expected: what would have been accepted, as text; None when that is obvious.

    `str(error)` is one printable line: ``CODE: what, got X, expected Y``.

    """

    def __init__(
        self, reason: Code, what: str, *, got: object = None, expected: object = None
    ) -> None:
        self.code: str = reason.name
        self.step: int = reason.step
        # It may contain a name out of the document.
        self.what: str = one_line(what)
        self.got: str | None = None if got is None else one_line(got)
        self.expected: str | None = None if expected is None else one_line(expected)
        parts = [self.what]
        if self.got is not None:
            parts.append(f"got {self.got}")
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        super().__init__(f"{self.code}: {', '.join(parts)}")

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by fields, so that refusals cross process boundaries (pytest-xdist)."""
        return _rebuild, (type(self), self.code, self.what, self.got, self.expected)


class MalformedDocumentError(AttestationError):
    """The bytes are not a well-formed attestation document (steps 1-12)."""


class CertificateChainError(AttestationError):
    """The certificates do not form an acceptable chain from a trusted root (steps 13-22)."""


class SignatureError(AttestationError):
    """The signature over the document does not verify with the leaf's key (step 23)."""


class TimeError(AttestationError):
    """A certificate or the document is outside its time (steps 20 and 24)."""


class PolicyError(AttestationError):
    """The document is well-formed but is not the one the caller asked for."""


class ExpectationError(AttestationError):
    """The caller asked for something that would accept too much or can never match.

    Raised when the expectation is made or before the document is looked at.
    """


class Code(Enum):
    """Every reason for a refusal: the step it belongs to, its error class and its meaning."""

    def __init__(self, step: int, error: type[AttestationError], meaning: str) -> None:
        self.step = step
        self.error = error
        self.meaning = meaning

    def __call__(
        self, what: str, *, got: object = None, expected: object = None
    ) -> AttestationError:
        """Make the error for this reason (the caller raises it)."""
        return self.error(self, what, got=got, expected=expected)

    # A. Bytes
    NOT_BYTES = 1, MalformedDocumentError, "the document is not a bytes object"
    EMPTY = 1, MalformedDocumentError, "the document has no bytes"
    TOO_LARGE = 1, MalformedDocumentError, "the document is larger than any NSM response"
    CBOR_MALFORMED = 2, MalformedDocumentError, "the envelope is not well-formed CBOR"
    FOREIGN_TAG = 2, MalformedDocumentError, "a tag other than one leading 18 in the envelope"
    TRAILING_BYTES = 2, MalformedDocumentError, "bytes follow the envelope"
    NOT_COSE_SIGN1 = 3, MalformedDocumentError, "the envelope is not [bstr, map, bstr, bstr]"
    DETACHED_PAYLOAD = 3, MalformedDocumentError, "the payload is null"
    LIMIT_EXCEEDED = (
        4,
        MalformedDocumentError,
        "nesting or number of items of the envelope above the limit",
    )

    # B. COSE
    PROTECTED_HEADER = 5, MalformedDocumentError, "the protected header is not exactly {1: -35}"
    WRONG_ALGORITHM = 5, MalformedDocumentError, "the algorithm is not ES384 (integer -35)"
    CRITICAL_HEADER = 5, MalformedDocumentError, "the protected header has a crit label"
    UNPROTECTED_HEADER = 6, MalformedDocumentError, "the unprotected header is not empty"
    SIGNATURE_LENGTH = 7, MalformedDocumentError, "the signature is not 96 bytes"
    SIGNATURE_RANGE = 7, MalformedDocumentError, "r or s of the signature is not in 1..n-1"

    # C. Payload
    PAYLOAD_MALFORMED = 8, MalformedDocumentError, "the payload is not well-formed CBOR"
    PAYLOAD_LIMIT = (
        8,
        MalformedDocumentError,
        "nesting or number of items of the payload above the limit",
    )
    PAYLOAD_NOT_MAP = 8, MalformedDocumentError, "the payload is not a map"
    PAYLOAD_TRAILING_BYTES = 8, MalformedDocumentError, "bytes follow the map in the payload"
    DUPLICATE_KEY = 9, MalformedDocumentError, "a map has the same key twice"
    FORBIDDEN_TYPE = (
        10,
        MalformedDocumentError,
        "a tag, float, undefined, chunked string or odd map key",
    )
    WRONG_TYPE = 10, MalformedDocumentError, "a field has another CBOR type than it must have"
    MISSING_FIELD = 11, MalformedDocumentError, "a mandatory field is missing or null"
    UNKNOWN_FIELD = 11, MalformedDocumentError, "an unknown field in strict mode"
    WRONG_DOCUMENT_TYPE = (
        11,
        PolicyError,
        "an enclave document where NitroTPM was asked for, or vice versa",
    )
    MODULE_ID = 12, MalformedDocumentError, "module_id does not have the form of its kind"
    DIGEST = 12, MalformedDocumentError, "digest is not SHA384"
    TIMESTAMP_RANGE = 12, MalformedDocumentError, "timestamp is zero or after the year 9999"
    PCR_COUNT = 12, MalformedDocumentError, "no PCRs, or more than there are"
    PCR_INDEX = 12, MalformedDocumentError, "a PCR index that does not exist"
    PCR_LENGTH = 12, MalformedDocumentError, "a PCR that is not 48 bytes"
    FIELD_LENGTH = (
        12,
        MalformedDocumentError,
        "an optional field over 1024 bytes, in strict mode",
    )

    # D. Chain
    CERTIFICATE_COUNT = 13, CertificateChainError, "cabundle is empty or too long"
    CERTIFICATE_SIZE = 13, CertificateChainError, "a certificate is empty or over 1024 bytes"
    CERTIFICATE_MALFORMED = 13, CertificateChainError, "a certificate is not strict DER X.509 v3"
    UNTRUSTED_ROOT = 14, CertificateChainError, "cabundle[0] is not a configured root"
    ISSUER_MISMATCH = 15, CertificateChainError, "an issuer name is not the previous subject"
    CERTIFICATE_SIGNATURE = 15, CertificateChainError, "a certificate's signature does not verify"
    CERTIFICATE_ALGORITHM = (
        16,
        CertificateChainError,
        "a signature algorithm is not ecdsa-with-SHA384",
    )
    CERTIFICATE_KEY = 16, CertificateChainError, "a key is not an uncompressed point on P-384"
    NOT_A_CA = 17, CertificateChainError, "an issuer lacks critical basicConstraints with CA"
    PATH_LENGTH = 17, CertificateChainError, "more CAs below an issuer than its pathLen"
    KEY_USAGE = 17, CertificateChainError, "keyUsage does not fit the certificate's place"
    LEAF_IS_CA = 17, CertificateChainError, "the leaf is a CA or has a pathLen"
    UNKNOWN_CRITICAL_EXTENSION = 18, CertificateChainError, "a critical extension we do not process"
    CONSTRAINING_EXTENSION = (
        18,
        CertificateChainError,
        "name constraints or policies, which we do not process",
    )
    AUTHORITY_KEY_ID = 19, CertificateChainError, "the authority key id is not the issuer's key id"
    CERTIFICATE_EXPIRED = 20, TimeError, "a certificate had ended at the evaluation time"
    CERTIFICATE_NOT_YET_VALID = 20, TimeError, "a certificate had not begun at the evaluation time"
    REVOCATION_LIST = 21, CertificateChainError, "a given CRL cannot be used"
    CERTIFICATE_REVOKED = 21, CertificateChainError, "a certificate is on a given CRL"
    IDENTITY_MISMATCH = 22, CertificateChainError, "module_id, certificate names and PCR4 disagree"

    # E. Signature
    BAD_SIGNATURE = 23, SignatureError, "the document's signature does not verify"

    # F. Time
    TIMESTAMP_OUTSIDE_LEAF = 24, TimeError, "the timestamp is outside the leaf's validity"
    DOCUMENT_TOO_OLD = 24, TimeError, "the document is older than the caller's maximum age"
    DOCUMENT_FROM_FUTURE = (
        24,
        TimeError,
        "the timestamp is ahead of the clock by more than the skew",
    )
    CLOCK = 24, ExpectationError, "the clock, or a period of time given by the caller, is unusable"

    # G. Policy
    NO_ROOTS = 14, ExpectationError, "no trust anchors, or one that cannot be read"
    CHAIN_CACHE = 13, ExpectationError, "the number of chains to remember is not zero or more"
    DOCUMENT_TYPE = 11, ExpectationError, "the caller asked for a kind that does not exist"
    NO_POLICY = 25, ExpectationError, "no PCR policy was given"
    EMPTY_POLICY = 25, ExpectationError, "a policy that asks for nothing"
    PCR_EXPECTATION = 25, ExpectationError, "an expected PCR that can never match"
    PCR_ABSENT = 25, PolicyError, "an expected PCR is not in the document"
    PCR_MISMATCH = 25, PolicyError, "a PCR has another value than expected"
    NO_ALTERNATIVE = 25, PolicyError, "none of several alternatives matches"
    ZERO_EXPECTATION = 26, ExpectationError, "an all-zero expected PCR"
    DEBUG_MODE = 26, PolicyError, "PCR0, 1 or 2 is all zero: the enclave runs in debug mode"
    LAUNCH_PCR_ABSENT = 26, PolicyError, "PCR0, 1 or 2 is missing: debug mode cannot be excluded"
    EMPTY_EXPECTATION = 27, ExpectationError, "an expected nonce, user_data or public_key is empty"
    NONCE_ABSENT = 27, PolicyError, "a nonce is expected and the document has none"
    NONCE_MISMATCH = 27, PolicyError, "the nonce is another one"
    USER_DATA_ABSENT = 27, PolicyError, "user_data is expected and the document has none"
    USER_DATA_MISMATCH = 27, PolicyError, "the user_data is another one"
    PUBLIC_KEY_ABSENT = 27, PolicyError, "a public_key is expected and the document has none"
    PUBLIC_KEY_MISMATCH = 27, PolicyError, "the public_key is another one"


def one_line(value: object) -> str:
    """Return a value that an attacker may have chosen as one printable line of bounded length.

    At most 240 characters. What is such a line already stays as it is.
    """
    text = value.hex() if isinstance(value, bytes) else str(value)
    if not text.isprintable():
        text = text.encode("unicode_escape").decode("ascii")
    if len(text) > _MAX_RENDERED:
        end = f"... ({len(text)} characters)"
        text = text[: _MAX_RENDERED - len(end)] + end
    return text


def _rebuild(
    error: type[AttestationError], code: str, what: str, got: str | None, expected: str | None
) -> AttestationError:
    return error(Code[code], what, got=got, expected=expected)
