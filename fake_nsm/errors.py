"""What the module answers when it refuses, and what this package raises when it is misused.

The two are different things. A refusal is part of the protocol: the caller inside the enclave gets
``{"Error": name}`` and nothing is raised outside. `FakeNsmError` tells the programmer who builds a
fake module that a value is wrong; it never depends on the bytes of a request.
"""

from __future__ import annotations

from enum import StrEnum


class ErrorName(StrEnum):
    """The texts of the ``Error`` response (AWS Nitro Enclaves NSM API, ``ErrorCode``).

    ``Success`` exists in the API's enumeration too but is never sent.
    """

    INVALID_ARGUMENT = "InvalidArgument"
    INVALID_INDEX = "InvalidIndex"
    INVALID_RESPONSE = "InvalidResponse"
    READ_ONLY_INDEX = "ReadOnlyIndex"
    INVALID_OPERATION = "InvalidOperation"
    BUFFER_TOO_SMALL = "BufferTooSmall"
    INPUT_TOO_LARGE = "InputTooLarge"
    INTERNAL_ERROR = "InternalError"


class RequestRefusedError(Exception):
    """A request that is answered with ``{"Error": name}``; it never leaves `FakeNsm.handle`."""

    def __init__(self, name: ErrorName) -> None:
        super().__init__(name.value)
        self.name = name


class FakeNsmError(Exception):
    """Base of the errors this package raises towards the programmer; `code` is stable."""

    code = "FAKE_NSM"


class InvalidValueError(FakeNsmError, ValueError):
    """A value given to a constructor or to the PCR bank is out of its range."""

    code = "FAKE_NSM_VALUE"


class PkiError(FakeNsmError):
    """The test PKI cannot issue: wrong root, or a clock outside the root's validity."""

    code = "FAKE_NSM_PKI"
