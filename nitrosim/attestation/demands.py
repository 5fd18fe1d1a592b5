"""What the caller of one verification demands, and how a document meets it (steps 25 to 27).

Demands are checked twice: before the document is looked at, whether they make sense, because an
empty nonce or no policy at all would accept too much; and after everything else, whether the
authentic claims meet them.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, NamedTuple

from nitrosim.attestation.clock import TimeMode, require_time_mode
from nitrosim.attestation.errors import Code
from nitrosim.attestation.model import ZERO_PCR, Claims, DocumentType
from nitrosim.attestation.policy import (
    Pcrs,
    Policy,
    UnsafeSkipPcrs,
    apply_policy,
    require_policy,
)

if TYPE_CHECKING:
    from nitrosim.attestation.steps import Trail

_FIELD_CODES: Final = {
    "nonce": (Code.NONCE_ABSENT, Code.NONCE_MISMATCH),
    "user_data": (Code.USER_DATA_ABSENT, Code.USER_DATA_MISMATCH),
    "public_key": (Code.PUBLIC_KEY_ABSENT, Code.PUBLIC_KEY_MISMATCH),
}


class Demands(NamedTuple):
    """What the caller of one verification asked for."""

    policy: Policy
    nonce: bytes | None
    user_data: bytes | None
    public_key: bytes | None
    time: TimeMode
    document_type: DocumentType
    allow_debug: bool
    strict: bool

    def check(self) -> None:
        """Raise `ExpectationError` for demands that accept too much or can never be met."""
        require_policy(self.policy)
        require_time_mode(self.time)
        kind: object = self.document_type
        if not isinstance(kind, DocumentType):
            raise Code.DOCUMENT_TYPE("document_type", got=repr(kind), expected="a DocumentType")
        _require_bytes("expected nonce", self.nonce)
        _require_bytes("expected user_data", self.user_data)
        _require_bytes("expected public_key", self.public_key)

    def check_claims(self, claims: Claims, trail: Trail) -> None:
        """Compare authentic claims with what was demanded: steps 25 to 27.

        Raises `PolicyError`.
        """
        apply_policy(self.policy, claims)
        if isinstance(self.policy, UnsafeSkipPcrs):
            trail.skipped(25, "WAIVED by the caller: any enclave of any AWS customer passes")
        else:
            trail.passed(25, "{}", _policy_name(self.policy) if trail.heard else "")
        _check_debug(claims, trail, allow_debug=self.allow_debug)
        _check_fields(claims, self, trail)


def _require_bytes(name: str, value: object) -> None:
    """Refuse text, which would never match, and nothing at all, which may be what `or b""` left."""
    if value is not None and (not isinstance(value, bytes) or not value):
        got = "0 bytes" if isinstance(value, bytes) else type(value).__name__
        raise Code.EMPTY_EXPECTATION(name, got=got, expected="bytes, or None to demand nothing")


def _check_debug(claims: Claims, trail: Trail, *, allow_debug: bool) -> None:
    """Refuse enclaves whose memory the parent instance can read on the console (26)."""
    if claims.document_type is not DocumentType.ENCLAVE:
        trail.skipped(26, "not an enclave")
        return
    if allow_debug:
        trail.skipped(
            26, "DEBUG MODE, allowed by the caller" if claims.debug else "allowed by the caller"
        )
        return
    for index in (0, 1, 2):
        value = claims.pcrs.get(index)
        if value is None:
            raise Code.LAUNCH_PCR_ABSENT(f"PCR{index}", got="none", expected="a measurement")
        if value == ZERO_PCR:
            raise Code.DEBUG_MODE(f"PCR{index}", got="all zero", expected="a measurement")
    trail.passed(26)


def _check_fields(claims: Claims, demands: Demands, trail: Trail) -> None:
    """Compare what binds the document to this conversation (27)."""
    compared: list[str] = []
    for name, actual, wanted in (
        ("nonce", claims.nonce, demands.nonce),
        ("user_data", claims.user_data, demands.user_data),
        ("public_key", claims.public_key, demands.public_key),
    ):
        if wanted is None:
            continue
        absent, mismatch = _FIELD_CODES[name]
        if actual is None:
            raise absent(name, got="none", expected=wanted)
        if not hmac.compare_digest(actual, wanted):
            raise mismatch(name, got=actual, expected=wanted)
        compared.append(name)
    if compared:
        trail.passed(27, ", ".join(compared))
    else:
        trail.skipped(27, "nothing expected: the document may be a replay")


def _policy_name(policy: Policy) -> str:
    name = type(policy).__name__
    if isinstance(policy, Pcrs):
        return f"{name}: PCR {', '.join(map(str, policy.expected))}"
    return name
