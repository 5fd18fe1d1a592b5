"""Images of strangers: whatever their names and links are, a build writes one file and no other."""

import io
import json
import os
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from nitrosim.cli.main import main as nitrosim
from nitrosim.eif import Eif, SectionType
from nitrosim.eif.cpio import Kind
from nitrosim.eif.cpio_reader import read_cpio

OUT = {
    "up": "../../../../victim/file",
    "away": "/victim",
    "etc": "../victim",
    "tmp": "/../../victim",
}


def archive(entries, **files):
    """Return a tar archive of (name, kind, target) entries and of files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, target in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.uid, info.gid = kind, target, 4_000_000, 7
            tar.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def image_of(layer, **config):
    about = {
        "architecture": "amd64",
        "config": {"Cmd": ["/x"]} | config,
        "rootfs": {"diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config", "RepoTags": ["x:1"], "Layers": ["layer"]}]
    return archive(
        (),
        config=json.dumps(about).encode(),
        layer=layer,
        **{"manifest.json": json.dumps(manifest).encode()},
    )


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with a victim beside the one that is worked in."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").write_bytes(b"precious")
    (tmp_path / "work" / "scratch").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "work" / "scratch"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("NITRO_CLI_BLOBS", str(tmp_path / "blobs"))
    return tmp_path


def files_in(place):
    return sorted(str(path.relative_to(place)) for path in place.rglob("*"))


def build(image):
    Path("image.tar").write_bytes(image)
    return nitrosim(["build", "--output", "out.eif", "--image", "image.tar"])


def test_links_that_lead_out_are_only_links_in_the_image(place, capsys):
    links = [(name, tarfile.SYMTYPE, target) for name, target in OUT.items()]
    layer = archive(links, up__below=b"evil", away__file=b"evil", etc__hosts=b"evil")

    assert 0 == build(image_of(layer, WorkingDir="/up/../../../victim/made")), capsys.readouterr()
    assert [
        "victim",
        "victim/file",
        "work",
        "work/image.tar",
        "work/out.eif",
        "work/scratch",
    ] == files_in(place)
    assert b"precious" == (place / "victim" / "file").read_bytes()
    with Eif.open("out.eif") as eif:
        entries = list(read_cpio(eif.payload(eif.sections_of(SectionType.RAMDISK)[1])))
    names = [os.fsdecode(entry.name) for entry in entries]
    assert all(name in ("cmd", "env") or name.split("/")[0] == "rootfs" for name in names)
    assert not any(".." in name.split("/") for name in names)
    assert {4_000_000} == {e.uid for e in entries if e.name == b"rootfs/up"}
    assert Kind.SYMLINK in {e.kind for e in entries}


@pytest.mark.parametrize(
    "layer",
    [
        archive((), **{"..__..__victim__file": b"evil"}),
        archive([("x", tarfile.LNKTYPE, "../../victim/file")]),
        archive([("a", tarfile.SYMTYPE, "a")], a__b=b"evil"),
        archive((), x=b"good")[:514],
        archive((), **{"..__.wh.victim": b""}),
    ],
    ids=["name", "hard link", "circle", "cut off", "whiteout"],
)
def test_image_that_is_refused_leaves_nothing(place, capsys, layer):
    Path("out.eif").write_bytes(b"old")

    assert 4 == build(image_of(layer))
    assert "" == capsys.readouterr().out
    assert ["victim", "victim/file", "work", "work/image.tar", "work/out.eif", "work/scratch"] == (
        files_in(place)
    )
    assert b"old" == (place / "work" / "out.eif").read_bytes()
    assert b"precious" == (place / "victim" / "file").read_bytes()


@pytest.mark.usefixtures("place")
def test_name_that_would_end_a_ramdisk_is_one_like_any_other():
    assert 0 == build(image_of(archive((), **{"TRAILER!!!": b"", "x": b"good"})))

    with Eif.open("out.eif") as eif:
        names = [e.name for e in read_cpio(eif.payload(eif.sections_of(SectionType.RAMDISK)[1]))]
    assert b"rootfs/TRAILER!!!" in names
    assert b"rootfs/x" in names
