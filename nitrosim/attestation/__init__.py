"""Verify AWS Nitro attestation documents: the part of nitrosim that runs in production.

Pure Python on any operating system, needs the `cryptography` package only and imports
nothing else of nitrosim::

    from nitrosim.attestation import Pcrs, Verifier

    verifier = Verifier.aws()
    document = verifier.verify(received, Pcrs({0: ..., 1: ..., 2: ...}), nonce=nonce)

A verifier remembers the chains it has verified (`nitrosim.attestation.chain_cache`), and can
compute with AWS-LC instead of OpenSSL (`nitrosim.attestation.awslc`).

Refusals are `AttestationError`; its kinds and the list of codes are in
`nitrosim.attestation.errors`, the 28 steps in `nitrosim.attestation.steps`.
"""

from nitrosim.attestation.clock import Historic, Live
from nitrosim.attestation.errors import AttestationError
from nitrosim.attestation.model import Claims, DocumentType, VerifiedDocument
from nitrosim.attestation.policy import (
    AllOf,
    AnyOf,
    Instance,
    InstanceRole,
    Pcrs,
    Policy,
    SignedBy,
    UnsafeSkipPcrs,
)
from nitrosim.attestation.steps import StepReport
from nitrosim.attestation.unverified import UnverifiedDocument, read_unverified
from nitrosim.attestation.verifier import Verifier

__all__ = [
    "AllOf",
    "AnyOf",
    "AttestationError",
    "Claims",
    "DocumentType",
    "Historic",
    "Instance",
    "InstanceRole",
    "Live",
    "Pcrs",
    "Policy",
    "SignedBy",
    "StepReport",
    "UnsafeSkipPcrs",
    "UnverifiedDocument",
    "VerifiedDocument",
    "Verifier",
    "read_unverified",
]
