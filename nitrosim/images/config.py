"""What an image says about itself: its command, its environment, its identity.

The configuration of an image is a JSON blob (OCI image specification 1.1, ``config.md``; Docker's
own is the same with more fields). nitro-cli takes two things from it, both of which surprise
people: the command of the enclave is CMD if there is one and otherwise ENTRYPOINT, never both
together; and WORKDIR and USER do nothing, because init starts everything as root in ``/``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nitrosim.images.errors import ImageCode

JSON_LIMIT: Final = 4 << 20
"""Bytes of the largest index, manifest or configuration, as registries have it."""

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """The configuration of an image.

    Attributes:
        id: the digest of the configuration, ``sha256:HEX``; None for a plain directory.
        architecture: as Go calls it: ``amd64``, ``arm64``; None if nobody says.
        os: ``linux``, as a rule.
        cmd: the arguments of CMD; None if there is none.
        entrypoint: the arguments of ENTRYPOINT; None if there is none.
        env: the variables as ``NAME=value``, in their order.
        working_dir: the WORKDIR, "" if there is none.
        user: the USER, "" if there is none.
        diff_ids: the digests of the layers' archives, the lowest first.
        raw: the whole of it.

    """

    id: str | None = None
    architecture: str | None = None
    os: str = "linux"
    cmd: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    diff_ids: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)

    def command(self) -> tuple[str, ...]:
        """Return what the enclave executes, by nitro-cli's rule: CMD, or else ENTRYPOINT.

        A CMD that is an empty list counts: init then starts a shell. Raises IMAGE_COMMAND if the
        image has neither.
        """
        found = self.entrypoint if self.cmd is None else self.cmd
        if found is None:
            raise ImageCode.IMAGE_COMMAND(
                "the command of the image", got="neither CMD nor ENTRYPOINT", expected="one of them"
            )
        return found

    def notes(self) -> tuple[str, ...]:
        """Return what of the configuration an enclave will not heed, one sentence each."""
        found = []
        if self.cmd is not None and self.entrypoint:
            found.append(f"ENTRYPOINT {list(self.entrypoint)} is ignored because there is a CMD")
        if self.cmd is not None and not self.cmd:
            found.append("CMD is an empty list, so a shell is started")
        if self.working_dir not in ("", "/"):
            found.append(f"WORKDIR {self.working_dir} is ignored: the command starts in /")
        if self.user not in ("", "0", "root", "0:0", "root:root"):
            found.append(f"USER {self.user} is ignored: the command runs as root")
        values = (*(self.cmd or self.entrypoint or ()), *self.env)
        found += [
            f"{value.split('=')[0]!r} holds a line break and is read as several lines"
            for value in values
            if "\n" in value
        ]
        return tuple(found)


def go_architecture(name: str) -> str:
    """Return Go's name of an architecture: ``amd64`` for ``x86_64``, ``arm64`` for ``aarch64``."""
    return _ARCHITECTURES.get(name, name)


def parse_object(data: bytes, what: str) -> dict[str, Any]:
    """Return a JSON object; IMAGE_JSON if it is something else."""
    parsed = parse_json(data, what)
    if not isinstance(parsed, dict):
        raise ImageCode.IMAGE_JSON(what, got=type(parsed).__name__, expected="an object")
    return parsed


def parse_json(data: bytes, what: str) -> Any:
    """Return what a JSON text says; IMAGE_JSON if it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise ImageCode.IMAGE_JSON(what, got=str(exc)) from exc


def parse_config(data: bytes, digest: str) -> ImageConfig:
    """Return the configuration of an image, `data` being its JSON and `digest` its digest.

    Raises IMAGE_JSON for fields of another type than they must have.
    """
    raw = parse_object(data, "the configuration of the image")
    config = _typed(raw, "config", dict) or {}
    rootfs = _typed(raw, "rootfs", dict) or {}
    return ImageConfig(
        id=digest,
        architecture=_typed(raw, "architecture", str) or None,
        os=_typed(raw, "os", str) or "linux",
        cmd=_texts(config, "Cmd"),
        entrypoint=_texts(config, "Entrypoint"),
        env=_texts(config, "Env") or (),
        working_dir=_typed(config, "WorkingDir", str) or "",
        user=_typed(config, "User", str) or "",
        diff_ids=_texts(rootfs, "diff_ids") or (),
        raw=raw,
    )


def _typed(where: Mapping[str, Any], key: str, kind: type) -> Any:
    value = where.get(key)
    if value is not None and not isinstance(value, kind):
        raise ImageCode.IMAGE_JSON(
            f"{key} of the configuration", got=type(value).__name__, expected=kind.__name__
        )
    return value


def _texts(where: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    values = _typed(where, key, list)
    if values is None:
        return None
    if not all(isinstance(value, str) for value in values):
        raise ImageCode.IMAGE_JSON(f"{key} of the configuration", expected="a list of strings")
    return tuple(values)


def inspected(
    config: ImageConfig, *, names: tuple[str, ...], digests: tuple[str, ...], size: int
) -> dict[str, Any] | None:
    """Return what ``docker image inspect`` says of an image, as far as the image tells it.

    None for what is no image. `size` is in bytes. nitro-cli puts this into the metadata of an
    Enclave Image File, which is not measured.
    """
    if config.id is None:
        return None
    raw = config.raw
    # DEVIATION: DockerInfo in the metadata lacks what only an engine knows of an image
    # (GraphDriver, the time of the last tag, the parent); metadata is not measured.
    return {
        "Id": config.id,
        "RepoTags": list(names),
        "RepoDigests": list(digests),
        "Parent": "",
        "Comment": raw.get("comment", ""),
        "Created": raw.get("created"),
        "DockerVersion": raw.get("docker_version", ""),
        "Author": raw.get("author", ""),
        "Config": raw.get("config"),
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": size,
        "RootFS": {"Type": "layers", "Layers": list(config.diff_ids)},
    }
