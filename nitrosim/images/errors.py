"""Why a container image or a tree of files is refused: one error class, stable codes."""

from __future__ import annotations

from enum import Enum

from nitrosim.errors import NitroSimError, one_line


class ImageError(NitroSimError):
    """A container image cannot be read, or a tree cannot be unpacked.

    Attributes:
        code: stable upper-case name of the reason, one of `ImageCode`.
        what: the thing that was looked at, in words.
        got: what was found, as text; None when there is nothing to show.
        expected: what would have been accepted, as text; None when that is obvious.

    """

    def __init__(
        self, reason: ImageCode, what: str, *, got: object = None, expected: object = None
    ) -> None:
        self.what: str = one_line(what)
        self.got: str | None = None if got is None else shown(got)
        self.expected: str | None = None if expected is None else shown(expected)
        parts = [self.what]
        if self.got is not None:
            parts.append(f"got {self.got}")
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        super().__init__(", ".join(parts), code=reason.name)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by fields, so that errors cross process boundaries (pytest-xdist)."""
        return _rebuild, (self.code, self.what, self.got, self.expected)


class ImageCode(Enum):
    """Every reason for an `ImageError`, and its meaning. Names never change once released."""

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning

    def __call__(self, what: str, *, got: object = None, expected: object = None) -> ImageError:
        """Make the error for this reason (the caller raises it)."""
        return ImageError(self, what, got=got, expected=expected)

    # The image as a whole
    IMAGE_NOT_FOUND = "there is no such file or directory"
    IMAGE_FORMAT = "neither the output of docker save nor an OCI layout or archive"
    IMAGE_AMBIGUOUS = "several images, and nothing that says which one is meant"
    IMAGE_REFERENCE = "the image has not the name that was asked for"
    IMAGE_PLATFORM = "the image is not there for the architecture that was asked for"
    IMAGE_JSON = "an index, manifest or configuration is not the JSON it must be"
    IMAGE_BLOB = "a manifest, configuration or layer that is referred to is missing"
    IMAGE_DIGEST = "a manifest, configuration or layer is not what its digest says"
    IMAGE_LIMIT = "an index, manifest or configuration is too large, or nested too deeply"
    IMAGE_COMMAND = "the image has neither CMD nor ENTRYPOINT"

    # Its layers
    LAYER_MEDIA_TYPE = "a layer of a kind that cannot be read here"
    LAYER_COMPRESSION = "a layer is compressed in a way that cannot be read here"
    LAYER_DAMAGED = "a compressed layer is damaged or ends early"
    TAR_TRUNCATED = "a tar archive ends inside of an entry"
    TAR_HEADER = "the header of a tar entry is damaged"
    TAR_EXTENSION = "a record of an extended header or sparse map is damaged"
    TAR_KIND = "a tar entry of a kind that a layer cannot hold"
    TREE_PATH = "a name that leads out of the image"
    TREE_LINK = "a hard link to something that is not there, or not a file"
    TREE_LOOP = "symbolic links that lead in a circle"

    # Directories, and unpacking
    FILE_UNREADABLE = "a file or directory cannot be read"
    FILE_CHANGED = "a file was changed while it was read"
    UNPACK_PATH = "a name that leads out of the directory that is unpacked to"
    UNPACK_LIMIT = "more bytes than the caller allows"
    UNPACK_WRITE = "the system refuses to write what is unpacked"


def shown(value: object) -> str:
    """Return one printable line for a value that comes from an image; names are bytes."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return one_line(text)


def _rebuild(code: str, what: str, got: str | None, expected: str | None) -> ImageError:
    return ImageCode[code](what, got=got, expected=expected)
