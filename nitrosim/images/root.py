"""A root file system with what shall run in it: what every source of an enclave yields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from nitrosim.eif.cpio import Entry
from nitrosim.images.config import ImageConfig, inspected
from nitrosim.images.container import as_container
from nitrosim.images.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFilesystem:
    """An image or a directory; a context manager, because contents are read when asked for.

    Attributes:
        tree: all files, by their metadata.
        config: the command, the environment and the identity.
        names: the names that the image is known by, such as ``hello:latest``.
        digest: the digest of the manifest; None if there is none.
        size: the bytes of all files in all layers.
        remarks: what was left out of a directory, one sentence each.

    """

    tree: Tree
    config: ImageConfig
    names: tuple[str, ...] = ()
    digest: str | None = None
    size: int = 0
    remarks: tuple[str, ...] = ()
    on_close: Callable[[], None] | None = field(default=None, repr=False)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know: what is left out, and what an enclave will not heed."""
        return (*self.remarks, *self.config.notes())

    def entries(self) -> Iterator[Entry]:
        """Yield the merged tree in the order of ``docker export``; can be called again.

        Directories come before what is in them, names are sorted by their bytes and relative to
        the root, those of directories end with a slash.
        """
        return self.tree.entries()

    def exported(self) -> Iterator[Entry]:
        """Yield what ``docker export`` writes of a container that was created and not started.

        This is what the second ramdisk of an Enclave Image File is made of.
        """
        return as_container(self.tree, self.config.working_dir).entries()

    def inspect(self) -> dict[str, Any] | None:
        """Return what ``docker image inspect`` says of the image; None for a directory."""
        digests = () if self.digest is None else tuple(_repositories(self.names, self.digest))
        return inspected(self.config, names=self.names, digests=digests, size=self.size)

    def close(self) -> None:
        """Close the files that contents are read from."""
        if self.on_close is not None:
            self.on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _repositories(names: tuple[str, ...], digest: str) -> Iterator[str]:
    for name in names:
        repository, _, tag = name.rpartition(":")
        yield f"{name if '/' in tag or not repository else repository}@{digest}"
