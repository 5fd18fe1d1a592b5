"""Open a container image: the output of ``docker save``, an OCI layout or an OCI archive."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from nitrosim.images.blobs import Blob, check_digest_syntax, digest_of, read_blob, unpacked
from nitrosim.images.config import JSON_LIMIT, ImageConfig, go_architecture, parse_config
from nitrosim.images.errors import ImageCode
from nitrosim.images.layer import apply_layer
from nitrosim.images.manifest import Candidate, candidates
from nitrosim.images.root import RootFilesystem
from nitrosim.images.store import DirectoryStore, Store, TarStore
from nitrosim.images.tree import Tree

_PREFIXES: Final = ("docker.io/library/", "docker.io/", "library/")


def open_image(
    path: Path,
    *,
    architecture: str | None = None,
    reference: str | None = None,
    spool: Path | None = None,
) -> RootFilesystem:
    """Open the image at `path`: a tar archive, or a directory with an OCI layout.

    `architecture` (``x86_64`` or ``amd64``, ``aarch64`` or ``arm64``) chooses among the images of
    a multi-platform index, `reference` (``hello:latest``) among those with several names; without
    them there must be one image only. Compressed layers are unpacked to files without names in
    the directory `spool`, None for the system's. Every digest is verified. Raises `ImageError`.
    """
    with ExitStack() as on_error:
        store: Store = DirectoryStore(path) if path.is_dir() else TarStore(path, spool)
        on_error.callback(store.close)
        wanted = None if architecture is None else go_architecture(architecture)
        candidate, config = _choose(candidates(store), wanted, reference)
        opened: list[Blob] = []
        on_error.callback(lambda: [blob.file.close() for blob in opened])
        tree, size = _merged(candidate, config, opened, spool)
        on_close = on_error.pop_all().close
    return RootFilesystem(
        tree=tree,
        config=config,
        names=candidate.names,
        digest=candidate.digest,
        size=size,
        on_close=on_close,
    )


def _merged(
    candidate: Candidate, config: ImageConfig, opened: list[Blob], spool: Path | None
) -> tuple[Tree, int]:
    if len(candidate.layers) != len(config.diff_ids):
        raise ImageCode.IMAGE_JSON(
            "the number of layers",
            got=len(candidate.layers),
            expected=f"{len(config.diff_ids)}, as many as the configuration has diff_ids",
        )
    tree, size = Tree(), 0
    pairs = zip(candidate.layers, config.diff_ids, strict=True)
    for number, (layer, diff_id) in enumerate(pairs):
        archive = unpacked(layer, diff_id=check_digest_syntax(diff_id), spool=spool)
        opened.append(archive)
        size += apply_layer(tree, archive, number)
    return tree, size


def _choose(
    found: list[Candidate], architecture: str | None, reference: str | None
) -> tuple[Candidate, ImageConfig]:
    """Return the one image that is meant, or raise an error that names the choices."""
    if reference is not None:
        named = [one for one in found if _short(reference) in map(_short, one.names)]
        if not named:
            names = sorted({name for one in found for name in one.names})
            raise ImageCode.IMAGE_REFERENCE(
                "the image", got=f"the names {names}", expected=reference
            )
        found = named
    configured = [(one, _config(one)) for one in found if _might_be(one, architecture)]
    if architecture is not None:
        configured = [
            (one, config) for one, config in configured if config.architecture == architecture
        ]
    distinct = {config.id: (one, config) for one, config in configured}
    if not distinct:
        raise ImageCode.IMAGE_PLATFORM(
            "the architectures of the image",
            got=sorted(_architectures(found)) or "none",
            expected=architecture or "one whose manifest and configuration are there",
        )
    if len(distinct) > 1:
        raise ImageCode.IMAGE_AMBIGUOUS(
            "the images",
            got=[
                f"{' '.join(one.names)} {config.architecture}".strip() for one, config in configured
            ],
            expected="one image; name it, or its architecture",
        )
    return next(iter(distinct.values()))


def _might_be(one: Candidate, architecture: str | None) -> bool:
    if architecture is None:
        return one.config is not None
    return one.platform in (None, architecture)


def _config(one: Candidate) -> ImageConfig:
    if one.config is None:
        raise ImageCode.IMAGE_BLOB(
            "an image", got=f"only its digest {one.digest}", expected="its blobs"
        )
    blob = one.config
    if blob.digest is None:
        blob = replace(blob, digest=digest_of(blob))
    return parse_config(read_blob(blob, JSON_LIMIT), blob.digest or "")


def _architectures(found: list[Candidate]) -> set[str]:
    named = {one.platform for one in found if one.platform}
    return named | {_config(one).architecture or "" for one in found if one.config is not None}


def _short(name: str) -> str:
    """Return a name without what Docker assumes: its registry, and the tag ``latest``."""
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
