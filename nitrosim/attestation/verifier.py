"""The verifier: from bytes that anyone may have sent to a document that can be believed.

`Verifier.verify` follows one procedure of 28 steps (listed in
`nitrosim.attestation.steps`), in order, and each place in the code that
performs one bears its number. In words:

A, B. The bytes must be one untagged or 18-tagged COSE_Sign1 of bounded size, with
   the one protected header that says ES384, an empty unprotected header, and a
   96-byte signature (`cose`).
C. The payload must be one CBOR map with the known fields in their exact types, of the
   kind (enclave or NitroTPM) that was asked for (`payload`).
D. Its certificates must lead from one of *our* roots to the leaf, each signed by the one
   before, all P-384, all valid at one time, each allowed to do what it does (`chain`).
E. The leaf's key must have signed the bytes exactly as they were received.
F. The timestamp must lie within the leaf's validity and, live, be recent (`clock`).
G. The PCRs must satisfy the caller's policy, the enclave must not run in debug mode, and
   nonce, user_data and public_key must be the expected ones (`policy`, `demands`).

Rules for all of it: it raises and never returns a verdict to forget; nothing is
optional by omission; the caller's own mistakes (no policy, an empty nonce, an
all-zero PCR) are errors too; no exception but `AttestationError` comes out, whatever the bytes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from nitrosim.attestation.chain import ChainRules, verify_chain
from nitrosim.attestation.chain_cache import DEFAULT_CHAINS, ChainCache
from nitrosim.attestation.clock import (
    Clock,
    Live,
    TimeMode,
    check_age,
    read_clock,
    system_clock,
    utc_text,
)
from nitrosim.attestation.cose import read_sign1
from nitrosim.attestation.demands import Demands
from nitrosim.attestation.errors import AttestationError, Code
from nitrosim.attestation.model import DocumentType, VerifiedDocument, _verified
from nitrosim.attestation.p384 import LoadKey, load_key
from nitrosim.attestation.payload import read_payload
from nitrosim.attestation.policy import Policy
from nitrosim.attestation.revocation import read_revocation_lists
from nitrosim.attestation.roots import Partition, partition_pin, pins
from nitrosim.attestation.steps import Observer, Trail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nitrosim.attestation.roots import Root

_LIVE: Final = Live()
_NO_LEEWAY: Final = timedelta(0)


class Verifier:
    """Verifies attestation documents against fixed roots. Immutable, reusable, thread-safe.

    Example::

        verifier = Verifier.aws()
        document = verifier.verify(received, Pcrs({0: ..., 1: ..., 2: ...}), nonce=sent)
        print(document.user_data)
    """

    __slots__ = ("_now", "_rules")

    def __init__(
        self,
        roots: Iterable[Root],
        *,
        now: Clock = system_clock,
        crls: Iterable[bytes] = (),
        load_key: LoadKey = load_key,
        chain_cache: int = DEFAULT_CHAINS,
    ) -> None:
        """Fix the trust anchors.

        Args:
            roots: one or more of: SHA-256 pin (32 bytes or 64 hex digits), certificate as DER
                bytes, as PEM, or as a `cryptography.x509.Certificate`.
            now: the clock for `Live`, called once per verification.
            crls: DER of revocation lists to apply; none are ever fetched.
            load_key: the ECDSA implementation (see `nitrosim.attestation.p384`).
            chain_cache: how many verified chains to remember (see
                `nitrosim.attestation.chain_cache`); 0 to verify all of each one every time.

        Raises `ExpectationError` for no or unreadable roots or a `chain_cache` below zero,
        `CertificateChainError` for an unreadable list.

        """
        self._now = now
        self._rules = ChainRules(
            pins=pins(roots),
            load_key=load_key,
            revocation=read_revocation_lists(crls),
            cache=ChainCache(chain_cache),
        )

    @classmethod
    def aws(
        cls,
        partition: Partition = "aws",
        *,
        now: Clock = system_clock,
        crls: Iterable[bytes] = (),
        load_key: LoadKey = load_key,
        chain_cache: int = DEFAULT_CHAINS,
    ) -> Self:
        """Trust the root of one AWS partition (commercial by default) and no other.

        The other arguments are those of `Verifier`.

        Raises `ExpectationError` for a partition whose root is not known.
        """
        root = partition_pin(partition)
        return cls([root], now=now, crls=crls, load_key=load_key, chain_cache=chain_cache)

    def verify(  # noqa: PLR0913 - what a caller may demand; all but two by keyword
        self,
        document: bytes,
        policy: Policy,
        *,
        nonce: bytes | None = None,
        user_data: bytes | None = None,
        public_key: bytes | None = None,
        time: TimeMode = _LIVE,
        document_type: DocumentType = DocumentType.ENCLAVE,
        allow_debug: bool = False,
        strict: bool = True,
        observer: Observer | None = None,
    ) -> VerifiedDocument:
        """Verify a document and return its content.

        Args:
            document: the COSE_Sign1 bytes as the module gave them.
            policy: what the PCRs must be; `UnsafeSkipPcrs()` to demand nothing.
            nonce: bytes that must be in the document; None to demand nothing.
            user_data: as `nonce`.
            public_key: as `nonce`.
            time: `Live(max_age, skew)` for fresh documents, `Historic()` for archived ones.
            document_type: the kind of module that must have issued it.
            allow_debug: accept enclaves in debug mode, whose PCR0, 1, 2 and 8 are zero.
            strict: refuse unknown fields, optional fields over 1024 bytes, and names
                that do not fit module_id. Everything else is the same without it.
            observer: called with a `StepReport` after each step.

        Raises `AttestationError` in one of its kinds, with the reason as `code`, and nothing else.

        """
        trail = Trail(observer)
        try:
            demands = Demands(
                policy=policy,
                nonce=nonce,
                user_data=user_data,
                public_key=public_key,
                time=time,
                document_type=document_type,
                allow_debug=allow_debug,
                strict=strict,
            )
            return self._verify(document, demands, trail)
        except AttestationError as error:
            trail.failed(error.step, str(error))
            raise

    def _verify(self, document: bytes, demands: Demands, trail: Trail) -> VerifiedDocument:
        # The caller's own mistakes first: they do not depend on the document.
        demands.check()
        time = demands.time

        # (1)-(7) bytes and COSE, (8)-(12) payload.
        envelope = read_sign1(document, trail)
        claims = read_payload(
            envelope.payload, trail, expected_type=demands.document_type, strict=demands.strict
        )

        # (13)-(22) chain, at one evaluation time. The timestamp may be used before the
        # signature is known to be good, because nothing is believed until it is.
        at = read_clock(self._now) if isinstance(time, Live) else claims.timestamp
        chain = verify_chain(
            claims,
            self._rules,
            trail,
            at=at,
            leeway=time.skew if isinstance(time, Live) else _NO_LEEWAY,
            strict=demands.strict,
        )

        # (23) Over the bytes as received.
        if not chain.leaf_key.verify(envelope.r, envelope.s, envelope.signed_bytes()):
            raise Code.BAD_SIGNATURE(
                "signature of the document",
                got="one that does not verify",
                expected=f"one by {chain.leaf.common_name!r}",
            )
        if trail.heard:
            trail.passed(23, "by {}", chain.leaf.common_name)
        if not chain.remembered:
            self._rules.cache.remember(chain)

        # (24) Now the timestamp is authentic. Certificates count seconds.
        leaf = chain.leaf
        if not leaf.not_before * 1000 <= claims.timestamp_ms <= leaf.not_after * 1000:
            raise Code.TIMESTAMP_OUTSIDE_LEAF(
                "timestamp",
                got=utc_text(claims.timestamp),
                expected=f"{utc_text(leaf.begins)} to {utc_text(leaf.ends)}",
            )
        if isinstance(time, Live):
            age = check_age(claims.timestamp, at, time)
            trail.passed(24, "live: {:.3f} s old", age.total_seconds())
        else:
            trail.passed(24, "historic: issued {}, freshness not judged", at)

        # (25)-(27) The caller's demands, on authentic claims.
        demands.check_claims(claims, trail)

        # (28) From here on the claims are facts.
        verified = _verified(
            claims,
            root_sha256=chain.root_sha256,
            evaluated_at=at,
            live=isinstance(time, Live),
        )
        trail.passed(28)
        return verified
