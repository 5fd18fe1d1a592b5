"""Why an Enclave Image File is not built: one error class, stable codes.

What is wrong with an image is an `ImageError`, what is wrong with the parts of the file an
`EifError`; here is the rest.
"""

from __future__ import annotations

from enum import Enum

from nitrosim.errors import NitroSimError, one_line


class BuildError(NitroSimError):
    """An Enclave Image File is not built.

    Attributes:
        code: stable upper-case name of the reason, one of `BuildCode`.

    """


class BuildCode(Enum):
    """Every reason for a `BuildError`, and its meaning. Names never change once released."""

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning

    def __call__(self, message: str) -> BuildError:
        """Make the error for this reason (the caller raises it)."""
        return BuildError(one_line(message), code=self.name)

    # What goes into the file
    BLOBS_INCOMPLETE = "the folder that was named for blobs lacks some of them"
    BLOBS_UNREADABLE = "a blob is there and cannot be used"
    BUILD_ARCHITECTURE = "the image is for another architecture, or for one without enclaves"
    BUILD_METADATA = "the file with metadata cannot be read, is no JSON or over 4096 bytes"
    BUILD_SIGNING = "the signing certificate or the private key cannot be read"
    BUILD_TIME = "SOURCE_DATE_EPOCH is not a number of seconds"
    BUILD_OUTPUT = "the output cannot be written where it shall be"

    # The engine
    ENGINE_SDK = "the Python package docker is not installed"
    ENGINE_UNREACHABLE = "no Docker engine answers"
    ENGINE_PULL = "the engine has no such image and cannot pull it"
    ENGINE_BUILD = "the engine cannot build the Dockerfile"
    ENGINE_IMAGE = "the engine does not hand the image over"
