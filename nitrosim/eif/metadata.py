"""The metadata section: what built the image, and from what. Compact JSON, not measured.

::

    {"ImageName": "hello", "ImageVersion": "latest",
     "BuildMetadata": {"BuildTime": "2024-01-02T03:04:05.678901234+00:00",
                       "BuildTool": "nitro-cli", "BuildToolVersion": "1.5.0",
                       "OperatingSystem": "Linux", "KernelVersion": "4.14.256"},
     "DockerInfo": {...}, "CustomMetadata": {...}}

All fields are required and in this order when written. The first two and the five of
`BuildMetadata` are text; `DockerInfo` is what ``docker image inspect`` says, or null when there
is no container image; `CustomMetadata` is the user's, or null. The keys inside these two are
sorted. Readers ignore fields that they do not know. The build time makes the bytes of an image
differ from build to build; since nothing of this is measured, its PCRs do not.

The official reader takes ``null`` for the absence of metadata; so does `Metadata.read`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nitrosim.eif import serde
from nitrosim.eif.errors import Code
from nitrosim.eif.serde import Json

MAX_CUSTOM_BYTES: Final = 4096
"""What nitro-cli accepts as the size of a file with custom metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildInfo:
    """What built an image.

    Attributes:
        time: of the build; nitro-cli writes RFC 3339 with nanoseconds and ``+00:00``.
        tool: name of the program.
        tool_version: its version.
        operating_system: of the enclave, usually ``Linux``.
        kernel_version: of the enclave's kernel.

    """

    time: str
    tool: str
    tool_version: str
    operating_system: str
    kernel_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The content of a metadata section.

    Attributes:
        image_name: name of the image.
        image_version: its version.
        build: what built it.
        docker_info: what ``docker image inspect`` says about the container image, or None.
        custom: what the user wants to be there, or None.

    """

    image_name: str
    image_version: str
    build: BuildInfo
    docker_info: Json = None
    custom: Json = None

    def to_bytes(self) -> bytes:
        """Write the section's content as the official builder does.

        Raises:
            EifError: `METADATA_JSON` if a text has a lone surrogate, so that it cannot be UTF-8.

        """
        build = self.build
        fields: dict[str, Json] = {
            "ImageName": self.image_name,
            "ImageVersion": self.image_version,
            "BuildMetadata": {
                "BuildTime": build.time,
                "BuildTool": build.tool,
                "BuildToolVersion": build.tool_version,
                "OperatingSystem": build.operating_system,
                "KernelVersion": build.kernel_version,
            },
            "DockerInfo": serde.sort_keys(self.docker_info),
            "CustomMetadata": serde.sort_keys(self.custom),
        }
        try:
            return serde.write(fields)
        except UnicodeEncodeError as error:
            raise Code.METADATA_JSON(f"metadata ({error})", expected="text") from error

    @classmethod
    def read(cls, data: bytes, *, offset: int = 0) -> Metadata | None:
        """Read a section's content; `offset` is where it begins in the file, for messages.

        Raises:
            EifError: `METADATA_JSON`, `METADATA_SCHEMA`.

        """
        try:
            value = serde.read(data)
        except serde.JsonError as error:
            raise Code.METADATA_JSON(
                f"metadata ({error})", offset=offset + error.position, expected="JSON text"
            ) from error
        if value is None:
            return None
        # DEVIATION: Metadata written as an array of values without names is refused; nitro-cli
        # reads that too, and nothing writes it.
        fields = _Fields(value, "metadata", offset)
        build = _Fields(fields.take("BuildMetadata"), "BuildMetadata", offset)
        return cls(
            image_name=fields.text("ImageName"),
            image_version=fields.text("ImageVersion"),
            build=BuildInfo(
                time=build.text("BuildTime"),
                tool=build.text("BuildTool"),
                tool_version=build.text("BuildToolVersion"),
                operating_system=build.text("OperatingSystem"),
                kernel_version=build.text("KernelVersion"),
            ),
            docker_info=serde.sort_keys(fields.take("DockerInfo")),
            custom=serde.sort_keys(fields.take("CustomMetadata")),
        )


class _Fields:
    """An object with fixed fields; what is wrong with one is an error."""

    def __init__(self, value: Json, name: str, offset: int) -> None:
        if not isinstance(value, dict):
            raise Code.METADATA_SCHEMA(name, offset=offset, got=_kind(value), expected="an object")
        self._fields = value
        self._name = name
        self._offset = offset
        self._repeated: frozenset[str] = getattr(value, "repeated", frozenset())

    def take(self, name: str) -> Json:
        """Return a field that must be there once."""
        if name not in self._fields:
            raise self._error(name, "nothing", "the field")
        if name in self._repeated:
            raise self._error(name, "the field repeated", "it once")
        return self._fields[name]

    def text(self, name: str) -> str:
        """Return a field that must be there once, and text."""
        value = self.take(name)
        if not isinstance(value, str):
            raise self._error(name, _kind(value), "text")
        return value

    def _error(self, name: str, got: str, expected: str) -> Exception:
        what = f"{name} in {self._name}"
        return Code.METADATA_SCHEMA(what, offset=self._offset, got=got, expected=expected)


def _kind(value: Json) -> str:
    names = {dict: "an object", list: "an array", str: "text", bool: "true or false"}
    if value is None:
        return "null"
    return next((name for kind, name in names.items() if isinstance(value, kind)), "a number")
