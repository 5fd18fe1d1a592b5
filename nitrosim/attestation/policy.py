"""Policies: what the caller demands of the PCRs, as objects with one method.

Every customer's enclaves chain to the same AWS root. A document without a PCR policy
proves that *somebody* runs *some* enclave, so the verifier does not work without
one; `UnsafeSkipPcrs` says loudly that there is none.

Lessons from published verifiers that are built in here: an absent PCR matches
nothing, not even zeros (CVE-2025-64186); an all-zero expectation is refused because
it accepts every debug-mode enclave, or every unsigned image in PCR8; empty
combinators are refused because they are trivially true.

PCR 0, 1 and 2 hash plain concatenations, and bytes can move between neighbours without
changing one of them: pin all three. `SignedBy` alone accepts every image ever signed
with that key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, Self, runtime_checkable

from nitrosim.attestation.errors import Code, PolicyError
from nitrosim.attestation.model import PCR_BYTES, ZERO_PCR, Claims

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_PCR_INDEX: Final = 31

_ROLE_PCR: Final = 3
_INSTANCE_PCR: Final = 4
_SIGNER_PCR: Final = 8
_LAUNCH_PCRS: Final = (0, 1, 2)
_BUILD_PCRS: Final = (0, 1, 2, 8)


@runtime_checkable
class Policy(Protocol):
    """What the caller demands of an authentic document."""

    def check(self, claims: Claims) -> None:
        """Return when `claims` are acceptable; raise `PolicyError` otherwise.

        Called after chain, signature and time have been verified.
        """
        ...


def extended(value: bytes) -> bytes:
    """Return a zero PCR after one extension with `value`: SHA-384 of 48 zero bytes, then it."""
    return hashlib.sha384(ZERO_PCR + value).digest()


class Pcrs:
    """Demands that each of the given PCRs is present and equal.

    Example::

        Pcrs({0: "5d4c...", 1: "52b9...", 2: "9d1f..."})
    """

    __slots__ = ("expected",)

    expected: Mapping[int, bytes]
    """Index -> 48 bytes, read-only."""

    def __init__(self, expected: Mapping[int, bytes | str]) -> None:
        """Take index (0..31) -> value (48 bytes, or 96 hex digits).

        Raises `ExpectationError` for no PCR at all, a wrong index or length, an all-zero value.
        """
        if not expected:
            raise Code.EMPTY_POLICY("expected PCRs", got="none", expected="at least one")
        self.expected = MappingProxyType(
            {index: _expected_pcr(index, value) for index, value in expected.items()}
        )

    @classmethod
    def from_build(cls, output: str | bytes) -> Self:
        """Take what ``nitro-cli build-enclave`` or ``describe-eif`` prints: JSON with measurements.

        Demands PCR0, PCR1 and PCR2, and PCR8 when the image is signed. For a rolling
        upgrade put one of these per release into `AnyOf`.

        Raises `ExpectationError` for anything else than that JSON.
        """
        try:
            parsed = json.loads(output)
        except (ValueError, RecursionError) as error:
            raise Code.PCR_EXPECTATION(
                f"build output ({error})", got=f"{len(output)} characters", expected="JSON"
            ) from error
        measurements = parsed.get("Measurements", parsed) if isinstance(parsed, dict) else None
        if not isinstance(measurements, dict):
            raise Code.PCR_EXPECTATION(
                "build output", got=type(parsed).__name__, expected="an object with Measurements"
            )
        found = {i: measurements[f"PCR{i}"] for i in _BUILD_PCRS if f"PCR{i}" in measurements}
        missing = [f"PCR{i}" for i in _LAUNCH_PCRS if i not in found]
        if missing:
            raise Code.PCR_EXPECTATION(
                "measurements", got=f"no {', '.join(missing)}", expected="PCR0, PCR1 and PCR2"
            )
        return cls(found)

    def check(self, claims: Claims) -> None:
        """Compare every expected PCR. Raises `PolicyError`."""
        for index, expected in self.expected.items():
            actual = claims.pcrs.get(index)
            if actual is None:
                present = ", ".join(map(str, claims.pcrs))
                raise Code.PCR_ABSENT(f"PCR{index}", got=f"only {present}", expected=expected)
            if not hmac.compare_digest(actual, expected):
                got = actual.hex()
                if claims.debug and index in {0, 1, 2, _SIGNER_PCR} and actual == ZERO_PCR:
                    got = f"{got} (debug mode)"
                raise Code.PCR_MISMATCH(f"PCR{index}", got=got, expected=expected)

    def __repr__(self) -> str:
        values = ", ".join(f"{i}: {v.hex()!r}" for i, v in self.expected.items())
        return f"{type(self).__name__}({{{values}}})"


class SignedBy(Pcrs):
    """Demands an image signed with the certificate that gives this PCR8.

    Says nothing about which image: old and vulnerable ones signed with that key pass.
    """

    __slots__ = ()

    def __init__(self, pcr8: bytes | str) -> None:
        """Take PCR8 as ``nitro-cli pcr --signing-certificate`` prints it (48 bytes or hex)."""
        super().__init__({_SIGNER_PCR: pcr8})


class InstanceRole(Pcrs):
    """Demands that the parent instance has this IAM role (PCR3).

    The form of the ARN is ``arn:aws:iam::<account>:role/<name>`` (AWS user guide).
    """

    __slots__ = ()

    def __init__(self, arn: str) -> None:
        """Take the ARN; raises `ExpectationError` when it is not a role's."""
        if not arn.startswith("arn:") or ":role/" not in arn:
            raise Code.PCR_EXPECTATION(
                "role", got=repr(arn), expected="arn:aws:iam::<account>:role/<name>"
            )
        super().__init__({_ROLE_PCR: extended(arn.encode())})


class Instance(Pcrs):
    """Demands this parent instance (PCR4), by its id ``i-<hex>``."""

    __slots__ = ()

    def __init__(self, instance_id: str) -> None:
        """Take the EC2 instance id; raises `ExpectationError` for another kind of id."""
        if not instance_id.startswith("i-"):
            raise Code.PCR_EXPECTATION("instance id", got=repr(instance_id), expected="i-<hex>")
        super().__init__({_INSTANCE_PCR: extended(instance_id.encode())})


class AllOf:
    """Demands everything that each of the given policies demands."""

    __slots__ = ("policies",)

    policies: Sequence[Policy]

    def __init__(self, *policies: Policy) -> None:
        """Take one or more policies. Raises `ExpectationError` for none."""
        self.policies = _some(policies)

    def check(self, claims: Claims) -> None:
        """Check each policy in order. Raises what the first refusing one raises."""
        for policy in self.policies:
            policy.check(claims)


class AnyOf:
    """Demands what at least one of the given policies demands: releases side by side."""

    __slots__ = ("policies",)

    policies: Sequence[Policy]

    def __init__(self, *policies: Policy) -> None:
        """Take one or more policies. Raises `ExpectationError` for none."""
        self.policies = _some(policies)

    def check(self, claims: Claims) -> None:
        """Return at the first policy that accepts. Raises `PolicyError` when none does."""
        reasons: list[str] = []
        for policy in self.policies:
            try:
                policy.check(claims)
            except PolicyError as error:
                reasons.append(f"{error.code} {error.what}")
            else:
                return
        raise Code.NO_ALTERNATIVE(
            "policies", got="; ".join(reasons), expected=f"one of {len(self.policies)} to accept"
        )


@dataclass(frozen=True, slots=True)
class UnsafeSkipPcrs:
    """Demands nothing: accepts any enclave of any AWS customer, except in debug mode."""

    def check(self, claims: Claims) -> None:
        """Accept."""


def require_policy(policy: object) -> None:
    """Raise `ExpectationError` unless `policy` is one. None and a bare dict are not."""
    # A class has the method too, but it is not a policy until it has been called. (isinstance
    # with a protocol means the same and takes twenty times as long.)
    if isinstance(policy, type) or not callable(getattr(policy, "check", None)):
        raise Code.NO_POLICY(
            "PCR policy",
            got=repr(policy),
            expected="a policy such as Pcrs({0: ..., 1: ..., 2: ...})",
        )


def _some(policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
    if not policies:
        raise Code.EMPTY_POLICY("combined policies", got="none", expected="at least one")
    for policy in policies:
        require_policy(policy)
    return policies


def _expected_pcr(index: object, value: object) -> bytes:
    if type(index) is not int or not 0 <= index <= MAX_PCR_INDEX:
        raise Code.PCR_EXPECTATION(
            "index of an expected PCR", got=repr(index), expected=f"0 to {MAX_PCR_INDEX}"
        )
    name = f"expected PCR{index}"
    if isinstance(value, str):
        try:
            value = bytes.fromhex(value)
        except ValueError as error:
            raise Code.PCR_EXPECTATION(name, got=repr(value), expected="hex digits") from error
    if not isinstance(value, bytes) or len(value) != PCR_BYTES:
        got = f"{len(value)} bytes" if isinstance(value, bytes) else type(value).__name__
        raise Code.PCR_EXPECTATION(name, got=got, expected=f"{PCR_BYTES} bytes")
    if value == ZERO_PCR:
        raise Code.ZERO_EXPECTATION(
            f"{name} (would accept every debug-mode or unsigned enclave)",
            got="all zero",
            expected="a measurement",
        )
    return value
