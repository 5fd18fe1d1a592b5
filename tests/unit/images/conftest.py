"""Images that tests make: layers with tarfile, manifests by hand, and what they stand for."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from nitrosim.eif.cpio import Kind, read_content

IMAGE = "application/vnd.oci.image."
KINDS = {
    "dir": tarfile.DIRTYPE,
    "file": tarfile.REGTYPE,
    "symlink": tarfile.SYMTYPE,
    "link": tarfile.LNKTYPE,
    "char": tarfile.CHRTYPE,
    "fifo": tarfile.FIFOTYPE,
}


def _digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _make_layer(*entries):
    """Return a tar archive of (name, content) or (name, kind, target) or (name, kind) entries.

    A content of bytes makes a file, None a directory. A dictionary at the end sets fields.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, *rest in entries:
            fields = rest.pop() if rest and isinstance(rest[-1], dict) else {}
            what = rest.pop(0) if rest else None
            info = tarfile.TarInfo(name)
            data = b""
            if what is None or isinstance(what, bytes):
                info.type = tarfile.DIRTYPE if what is None else tarfile.REGTYPE
                data = what or b""
            else:
                info.type = KINDS[what]
            info.mode = 0o755 if info.type == tarfile.DIRTYPE else 0o644
            if rest:
                info.linkname = rest.pop(0)
            for field, value in fields.items():
                setattr(info, field, value)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _config_of(layers, **config):
    """Return the configuration of an image as JSON."""
    architecture = config.pop("architecture", "amd64")
    return json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "created": "2024-01-01T00:00:00Z",
            "config": {"Cmd": ["/hello"], "Env": ["PATH=/bin"]} | config,
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]},
        }
    ).encode()


class Layout:
    """An OCI image layout in a directory, blob by blob."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "blobs" / "sha256").mkdir(parents=True)
        (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, data, kind, **more):
        self.path(_digest(data)).write_bytes(data)
        return {"mediaType": kind, "digest": _digest(data), "size": len(data), **more}

    def path(self, name):
        return self.root / "blobs" / name.replace(":", "/")

    def image(self, layers, *, compress=gzip.compress, **config):
        kind = f"{IMAGE}layer.v1.tar" if compress is bytes else f"{IMAGE}layer.v1.tar+gzip"
        stored = [self.blob(compress(layer), kind) for layer in layers]
        configured = self.blob(_config_of(layers, **config), f"{IMAGE}config.v1+json")
        content = {"schemaVersion": 2, "config": configured, "layers": stored}
        return self.blob(json.dumps(content).encode(), f"{IMAGE}manifest.v1+json")

    def nested(self, *descriptors):
        content = {"schemaVersion": 2, "manifests": descriptors}
        return self.blob(json.dumps(content).encode(), f"{IMAGE}index.v1+json")

    def index(self, *descriptors):
        content = {"schemaVersion": 2, "manifests": descriptors}
        (self.root / "index.json").write_text(json.dumps(content))
        return self.root

    def archive(self, path):
        with tarfile.open(path, "w") as tar:
            for file in sorted(self.root.rglob("*")):
                tar.add(file, file.relative_to(self.root), recursive=False)
        return path


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "layout")


def _contents(root):
    """Return what the entries of an image are: name -> kind and target or content."""
    found = {}
    for entry in root.entries():
        name = entry.name.decode("utf-8", "backslashreplace")
        if entry.kind is Kind.FILE:
            found[name] = read_content(entry)
        elif entry.kind in (Kind.SYMLINK, Kind.HARD_LINK):
            found[name] = (entry.kind, entry.target)
        else:
            found[name] = entry.kind
    return found


@pytest.fixture(scope="session")
def make_layer():
    return _make_layer


@pytest.fixture(scope="session")
def contents():
    return _contents


@pytest.fixture(scope="session")
def digest():
    return _digest


@pytest.fixture(scope="session")
def config_of():
    return _config_of
