"""The answers of the module, in the field order of the AWS Nitro Enclaves NSM API.

Integers are shortest form and containers have definite length, which is not only taste: the Linux
driver's random number source compares the first 19 bytes of a GetRandom answer literally and
reads the length of its byte string from the bytes behind them (drivers/misc/nsm.c).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cbor2

from fake_nsm.pcrs import PCR_COUNT

if TYPE_CHECKING:
    from fake_nsm.errors import ErrorName

RANDOM_LENGTH = 256
"""Bytes in a GetRandom answer."""

# ASSUMPTION: the module calls itself version 1.0.0, as QEMU's model and published sample outputs
# do; no raw capture of real hardware was found.
VERSION = (1, 0, 0)
"""Major, minor and patch number in DescribeNSM."""

# ASSUMPTION: the fields of DescribeNSM and DescribePCR come in the order of declaration in the AWS
# Nitro Enclaves NSM API; clients read them by name.

# The constant beginnings of the two answers that are wanted often.
_RANDOM_HEAD = cbor2.dumps({"GetRandom": {"random": bytes(RANDOM_LENGTH)}})[:-RANDOM_LENGTH]
_DOCUMENT_HEAD = cbor2.dumps({"Attestation": {"document": b""}})[:-1]


def random_response(octets: bytes) -> bytes:
    """Encode ``{"GetRandom": {"random": octets}}`` for exactly 256 bytes."""
    return _RANDOM_HEAD + octets


def describe_nsm_response(*, module_id: str, locked_pcrs: list[int]) -> bytes:
    """Encode the answer to DescribeNSM; `locked_pcrs` ascending."""
    major, minor, patch = VERSION
    fields = {
        "version_major": major,
        "version_minor": minor,
        "version_patch": patch,
        "module_id": module_id,
        "max_pcrs": PCR_COUNT,
        "locked_pcrs": locked_pcrs,
        "digest": "SHA384",
    }
    return cbor2.dumps({"DescribeNSM": fields})


def describe_pcr_response(*, lock: bool, data: bytes) -> bytes:
    """Encode the answer to DescribePCR: the lock and the 48 bytes."""
    return cbor2.dumps({"DescribePCR": {"lock": lock, "data": data}})


def extend_pcr_response(data: bytes) -> bytes:
    """Encode the answer to ExtendPCR: the new 48 bytes."""
    return cbor2.dumps({"ExtendPCR": {"data": data}})


def lock_pcr_response() -> bytes:
    """Encode the answer to LockPCR, a plain text."""
    return cbor2.dumps("LockPCR")


def lock_pcrs_response() -> bytes:
    """Encode the answer to LockPCRs, a plain text."""
    return cbor2.dumps("LockPCRs")


def attestation_response(document: bytes) -> bytes:
    """Encode the answer to Attestation around the bytes of a document."""
    return _DOCUMENT_HEAD + cbor2.dumps(document)


def error_response(name: ErrorName) -> bytes:
    """Encode ``{"Error": name}``."""
    return cbor2.dumps({"Error": name.value})
