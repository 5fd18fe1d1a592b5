"""Root file systems, blobs and labels to build with."""

from __future__ import annotations

from pathlib import Path

import pytest

from nitrosim.builder import Labels
from nitrosim.images import open_directory

CONFIG = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86_64 4.14.256-209 Kernel\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a directory with a program."""
    folder = tmp_path / "rootfs"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "hello").write_bytes(b"program")
    (folder / "bin" / "hello").chmod(0o755)
    return folder


@pytest.fixture
def root(folder):
    """Return a root file system."""
    with open_directory(folder, command=("/bin/hello", "now"), environment=("A=1",), mtime=0) as it:
        yield it


@pytest.fixture
def blob_folder(tmp_path) -> Path:
    """Return a folder with real blobs, as far as anybody can tell, for x86_64."""
    folder = tmp_path / "blobs"
    folder.mkdir()
    (folder / "bzImage").write_bytes(b"a kernel" * 10_000)
    (folder / "bzImage.config").write_text(CONFIG)
    (folder / "cmdline").write_text(" reboot=k console=ttyS0 \n")
    (folder / "init").write_bytes(b"an init")
    (folder / "nsm.ko").write_bytes(b"a module")
    return folder


@pytest.fixture
def labels() -> Labels:
    """Return labels of a fixed time."""
    return Labels(
        name="hello",
        version="1",
        tool="tests",
        tool_version="2",
        time="2024-01-02T03:04:05.000000000+00:00",
        docker_info={"Id": "sha256:00"},
        custom={"b": 1, "a": [None]},
    )
