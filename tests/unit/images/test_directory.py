"""A plain directory is a root file system as good as an image."""

import io
import os
import socket
import subprocess
import sys
import tarfile

import pytest

from nitrosim.eif.cpio import Kind, read_content
from nitrosim.images import ImageError, open_directory


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "hello").write_bytes(b"#!/bin/sh\n" * 100_000)
    (tmp_path / "bin" / "hello").chmod(0o755)
    (tmp_path / "bin").chmod(0o711)
    for path in (tmp_path / "bin" / "hello", tmp_path / "bin"):
        os.utime(path, (100, 100))
    return tmp_path


def opened(folder, **options):
    return open_directory(folder, command=("/bin/hello",), **options)


def test_every_file_is_an_entry(folder, contents):
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "up").symlink_to("../../..")
    os.mkfifo(folder / "pipe")
    with opened(folder) as root:
        assert {
            "bin/": Kind.DIRECTORY,
            "bin/hello": b"#!/bin/sh\n" * 100_000,
            "link": (Kind.SYMLINK, b"/etc/passwd"),
            "pipe": Kind.FIFO,
            "up": (Kind.SYMLINK, b"../../.."),
        } == contents(root)
        assert (0o711, 100) == next((e.mode, e.mtime) for e in root.entries())


def test_command_and_environment_are_those_given(folder):
    root = open_directory(folder, command=("/a", "b"), environment=("A=1",), architecture="x86_64")

    assert ("/a", "b") == root.config.command()
    assert (("A=1",), "amd64") == (root.config.env, root.config.architecture)
    assert None is root.inspect() is root.config.id
    assert () == root.notes


def test_hard_links_are_found(folder, contents):
    (folder / "a").hardlink_to(folder / "bin" / "hello")

    found = contents(opened(folder))
    assert (Kind.HARD_LINK, b"a") == found["bin/hello"]
    assert b"#!/bin/sh\n" * 100_000 == found["a"]


def test_sockets_are_left_out_with_a_remark(folder, contents, monkeypatch):
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        root = opened(folder)

    assert {"bin/", "bin/hello"} == set(contents(root))
    assert [f"{folder}/s is a socket and was left out"] == list(root.notes)


def test_owners_are_root_unless_asked_for(folder):
    assert {(0, 0)} == {(entry.uid, entry.gid) for entry in opened(folder).entries()}
    assert {(os.getuid(), (folder / "bin").stat().st_gid)} == {
        (entry.uid, entry.gid) for entry in opened(folder, owners=True).entries()
    }


@pytest.mark.needs("root")
def test_owners_and_devices_are_reported_as_they_are(folder):
    os.chown(folder / "bin" / "hello", 1000, 2000)
    try:
        os.mknod(folder / "null", 0o020666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this user may not make devices")
    entries = {entry.name: entry for entry in opened(folder, owners=True).entries()}

    assert (1000, 2000) == (entries[b"bin/hello"].uid, entries[b"bin/hello"].gid)
    assert (Kind.CHARACTER_DEVICE, (1, 3)) == (entries[b"null"].kind, entries[b"null"].device)


def test_times_can_have_a_latest(folder):
    (folder / "new").write_bytes(b"")
    os.utime(folder / "new", (5000, 5000))

    found = {entry.name: entry.mtime for entry in opened(folder, mtime=1000).entries()}
    assert {b"bin/": 100, b"bin/hello": 100, b"new": 1000} == found


def test_names_that_are_no_text_are_kept(folder):
    name = os.fsencode(folder) + b"/\xff\xfe"
    try:
        os.mkdir(name)  # noqa: PTH102 - bytes, which Path does not take
    except OSError:
        pytest.skip("this file system takes only text for a name")

    assert b"\xff\xfe/" in [entry.name for entry in opened(folder).entries()]


@pytest.mark.parametrize("size", [0, 999_999, 1_000_001])
def test_a_file_that_changes_while_it_is_read_is_an_error(size, folder):
    entries = [entry for entry in opened(folder).entries() if entry.kind is Kind.FILE]
    (folder / "bin" / "hello").write_bytes(b"x" * size)

    with pytest.raises(ImageError) as caught:
        read_content(entries[0])
    assert "FILE_CHANGED" == caught.value.code


def test_a_file_that_becomes_a_link_is_not_followed(folder):
    entries = [entry for entry in opened(folder).entries() if entry.kind is Kind.FILE]
    (folder / "bin" / "hello").rename(folder / "other")
    (folder / "bin" / "hello").symlink_to(folder / "other")

    with pytest.raises(ImageError) as caught:
        read_content(entries[0])
    assert "FILE_UNREADABLE" == caught.value.code


def test_a_directory_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ImageError, match="no/where") as caught:
        opened(tmp_path / "no" / "where")
    assert "IMAGE_NOT_FOUND" == caught.value.code

    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ImageError) as caught:
        opened(tmp_path / "file")
    assert "FILE_UNREADABLE" == caught.value.code


TAR_KINDS = {
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.REGTYPE: Kind.FILE,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.LNKTYPE: Kind.HARD_LINK,
    tarfile.FIFOTYPE: Kind.FIFO,
}


@pytest.mark.needs("tar")
def test_a_sorted_archive_of_gnu_tar_has_the_same_entries_in_the_same_order(folder):
    for name in ("a", "a.b", "a-b", "ab", "A", "B", "ä", "z", "0"):
        (folder / name).mkdir()
        (folder / name / "z").write_bytes(name.encode())
        (folder / name / "f.c").symlink_to("../z")
    (folder / "a" / "linked").hardlink_to(folder / "z" / "z")
    (folder / "ab" / "linked").hardlink_to(folder / "bin" / "hello")
    os.mkfifo(folder / "A" / "pipe")
    done = subprocess.run(
        ["tar", "-c", "--sort=name", "--format=pax", "--numeric-owner", "."],
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        check=True,
        capture_output=True,
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        theirs = [
            (
                os.fsencode(info.name).removeprefix(b"./"),
                TAR_KINDS[info.type],
                info.mode,
                (info.uid, info.gid),
                int(info.mtime),
                os.fsencode(info.linkname).removeprefix(b"./"),
            )
            for info in tar
            if info.name != "."
        ]

    assert theirs == [
        (
            entry.name.rstrip(b"/"),
            entry.kind,
            entry.mode,
            (entry.uid, entry.gid),
            entry.mtime,
            entry.target,
        )
        for entry in opened(folder, owners=True).entries()
    ]


def test_images_need_no_engine_and_nothing_of_linux():
    script = "import sys, nitrosim.images, nitrosim.eif.ramdisk; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    unwanted = {"docker", "cryptography", "cbor2", "fcntl", "ctypes", "termios", "fake_nsm"}

    assert set() == unwanted & set(done.stdout.split())
    ours = {name.split(".")[1] for name in done.stdout.split() if name.startswith("nitrosim.")}
    assert {"eif", "errors", "images"} == ours
