"""Manifests: which configuration and which layers make an image, and which image is meant.

Two descriptions exist, and newer versions of ``docker save`` write both into one archive:

* The OCI image layout (``oci-layout``, ``index.json``, ``blobs/ALGORITHM/HEX``): an index lists
  manifests, and further indexes, by digest, with their platform and with annotations that hold
  names. BuildKit adds manifests for the platform ``unknown``, which attest how an image was
  built; they are no images.
* Docker's ``manifest.json``: a list of images, each with the names of its configuration and layer
  files and its tags. skopeo and old Docker versions write only this. A configuration is called
  ``HEX.json`` after its digest, which is verified; the digests of layers are in the configuration.

Every manifest says how large its blobs are; a blob of another size is refused like one of
another digest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from nitrosim.images.blobs import Blob, check_digest_syntax, read_blob
from nitrosim.images.config import JSON_LIMIT, parse_json, parse_object
from nitrosim.images.errors import ImageCode
from nitrosim.images.store import Store

_DEPTH: Final = 4
_MOST_MANIFESTS: Final = 1024
_INDEX_TYPES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_NAME_ANNOTATIONS: Final = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_CONFIG_NAME: Final = re.compile(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.json)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One of the images that a store may hold.

    Attributes:
        names: the names it is known by.
        platform: its architecture as the index has it, as Go calls it; None if it has none.
        config: the blob of its configuration; None if it is not in the store.
        layers: the blobs of its layers, the lowest first; empty if they are not in the store.
        digest: the digest of its manifest; None if there is none.

    """

    names: tuple[str, ...]
    platform: str | None
    config: Blob | None
    layers: tuple[Blob, ...]
    digest: str | None


def candidates(store: Store) -> list[Candidate]:
    """Return all images of a store; IMAGE_FORMAT if it has neither index nor manifest."""
    index, manifest = store.find("index.json"), store.find("manifest.json")
    tagged = [] if manifest is None else list(_from_docker(store, manifest))
    if index is None:
        if manifest is None:
            raise ImageCode.IMAGE_FORMAT(
                "an image", got="no index.json and no manifest.json", expected="one of them"
            )
        return tagged
    found = list(_from_index(store, index, (), 0))
    names = {_digest(one.config): one.names for one in tagged if one.config}
    return [replace(one, names=(*names.get(_digest(one.config), ()), *one.names)) for one in found]


def _digest(blob: Blob | None) -> str | None:
    return None if blob is None else blob.digest


def _from_docker(store: Store, manifest: Blob) -> Iterator[Candidate]:
    images = parse_json(read_blob(manifest, JSON_LIMIT), "manifest.json")
    for image in _list_of(images, dict, "manifest.json"):
        name = image.get("Config")
        if not isinstance(name, str):
            raise ImageCode.IMAGE_JSON("Config in manifest.json", got=name, expected="a file")
        stem = _CONFIG_NAME.fullmatch(name)
        config = store.find(name)
        if config is not None and stem:
            config = replace(config, digest=f"sha256:{stem[1]}")
        files = _list_of(image.get("Layers"), str, "Layers in manifest.json")
        layers = [_docker_layer(store, file) for file in files]
        tags = _list_of(image.get("RepoTags"), str, "RepoTags in manifest.json")
        yield Candidate(
            names=tuple(tags), platform=None, config=config, layers=tuple(layers), digest=None
        )


def _docker_layer(store: Store, name: str) -> Blob:
    layer = store.find(name)
    if layer is None:
        raise ImageCode.IMAGE_BLOB("a layer in manifest.json", got=name, expected="a file")
    return layer


def _from_index(
    store: Store, index: Blob, names: tuple[str, ...], depth: int
) -> Iterator[Candidate]:
    if depth > _DEPTH:
        raise ImageCode.IMAGE_LIMIT("the nesting of indexes", got=depth, expected=f"{_DEPTH}")
    content = parse_object(read_blob(index, JSON_LIMIT), index.name)
    descriptors = _list_of(content.get("manifests"), dict, f"manifests in {index.name}")
    if len(descriptors) > _MOST_MANIFESTS:
        raise ImageCode.IMAGE_LIMIT(
            f"the manifests in {index.name}", got=len(descriptors), expected=f"{_MOST_MANIFESTS}"
        )
    for descriptor in descriptors:
        annotations = _object_of(descriptor, "annotations")
        own = tuple(str(annotations[key]) for key in _NAME_ANNOTATIONS if key in annotations)
        platform = _object_of(descriptor, "platform")
        architecture = platform.get("architecture")
        if architecture == "unknown" or platform.get("os", "linux") != "linux":
            continue
        known = own or names
        blob = _blob(store, descriptor, "a manifest")
        if blob is None:
            yield Candidate(
                names=known,
                platform=architecture,
                config=None,
                layers=(),
                digest=descriptor.get("digest"),
            )
        elif descriptor.get("mediaType") in _INDEX_TYPES:
            yield from _from_index(store, blob, known, depth + 1)
        else:
            yield _from_manifest(store, blob, known, architecture)


def _from_manifest(
    store: Store, manifest: Blob, names: tuple[str, ...], architecture: str | None
) -> Candidate:
    content = parse_object(read_blob(manifest, JSON_LIMIT), manifest.name)
    config = content.get("config")
    if not isinstance(config, dict):
        raise ImageCode.IMAGE_JSON(f"config in {manifest.name}", got=config, expected="an object")
    layers = _list_of(content.get("layers"), dict, f"layers in {manifest.name}")
    return Candidate(
        names=names,
        platform=architecture,
        config=_blob(store, config, "the configuration"),
        layers=tuple(_layer(store, layer) for layer in layers),
        digest=manifest.digest,
    )


def _layer(store: Store, descriptor: Mapping[str, Any]) -> Blob:
    kind = descriptor.get("mediaType")
    if not isinstance(kind, str) or "tar" not in kind or "encrypted" in kind:
        raise ImageCode.LAYER_MEDIA_TYPE(
            "the media type of a layer", got=kind, expected="a tar archive that is not encrypted"
        )
    blob = _blob(store, descriptor, "a layer")
    if blob is None:
        raise ImageCode.IMAGE_BLOB("a layer", got=descriptor.get("digest"), expected="a blob")
    return blob


def _blob(store: Store, descriptor: Mapping[str, Any], what: str) -> Blob | None:
    """Return the blob that a descriptor means; IMAGE_DIGEST if it is of another size."""
    digest = check_digest_syntax(descriptor.get("digest"))
    blob = store.find(f"blobs/{digest.replace(':', '/')}")
    if blob is None:
        return None
    size = descriptor.get("size")
    if size != blob.size:
        raise ImageCode.IMAGE_DIGEST(
            f"the size of {what}, {digest}", got=f"{blob.size} bytes", expected=f"{size} bytes"
        )
    return replace(blob, digest=digest, name=f"{what}, {digest}")


def _object_of(where: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = where.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ImageCode.IMAGE_JSON(f"{key} of a manifest", got=value, expected="an object")
    return value


def _list_of(values: object, kind: type, what: str) -> list[Any]:
    if values is None:
        return []
    if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
        raise ImageCode.IMAGE_JSON(what, got=values, expected=f"a list of {kind.__name__}")
    return values
