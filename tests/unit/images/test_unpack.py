"""Unpacking writes below its target and nowhere else, whatever an archive says."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nitrosim.eif.cpio import BytesContent, Entry, Kind
from nitrosim.eif.cpio_reader import read_cpio
from nitrosim.images import ImageError, unpack

SECRET = b"nobody may change this"


def file(name, data=b"", **fields):
    return Entry(name=name, kind=Kind.FILE, content=BytesContent(data), **fields)


def folder(name, **fields):
    return Entry(name=name, kind=Kind.DIRECTORY, **({"mode": 0o755} | fields))


def symlink(name, target):
    return Entry(name=name, kind=Kind.SYMLINK, mode=0o777, target=target)


def hard(name, target):
    return Entry(name=name, kind=Kind.HARD_LINK, target=target)


@pytest.fixture
def world(tmp_path):
    """A directory to unpack to, and next to it what must stay as it is."""
    (tmp_path / "target").mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(SECRET)
    os.utime(outside / "secret", (1, 1))
    return tmp_path


def snapshot(root):
    return {
        path: (path.lstat().st_mode, path.lstat().st_nlink, path.lstat().st_mtime_ns)
        for path in root.rglob("*")
    }


def assert_untouched(world, before):
    after = {p: s for p, s in snapshot(world).items() if "target" not in p.parts}
    assert {p: s for p, s in before.items() if "target" not in p.parts} == after
    assert SECRET == (world / "outside" / "secret").read_bytes()


def tree(root):
    """Return what is below a directory: name -> content, target or None for a directory."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = ("->", str(path.readlink()))
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def test_a_tree_is_written(world):
    target = world / "target"
    done = unpack(
        [
            folder(b"./a/", mode=0o1777, mtime=100),
            file(b"/a/f", b"content", mode=0o640, mtime=200),
            symlink(b"a/l", b"/nowhere"),
            hard(b"a/h", b"a/f"),
            Entry(b"a/pipe", Kind.FIFO, mode=0o600, mtime=300),
        ],
        target,
    )

    assert {"a", "a/f", "a/l", "a/h", "a/pipe"} == set(tree(target))
    assert (0o1777, 100) == (
        stat.S_IMODE((target / "a").stat().st_mode),
        (target / "a").stat().st_mtime,
    )
    status = (target / "a" / "f").stat()
    assert (0o640, 200, 2, 7) == (
        stat.S_IMODE(status.st_mode),
        status.st_mtime,
        status.st_nlink,
        status.st_size,
    )
    assert stat.S_ISFIFO((target / "a" / "pipe").lstat().st_mode)
    assert 7 == done.size
    assert () == done.skipped == done.devices


def test_the_target_is_made(world):
    unpack([file(b"f", b"x")], world / "target" / "new" / "er")

    assert {"new": None, "new/er": None, "new/er/f": b"x"} == tree(world / "target")


def test_owners_are_recorded_and_privileges_dropped(world):
    done = unpack(
        [
            folder(b"d", uid=5, gid=6),
            file(b"d/su", mode=0o4755, uid=0, gid=7),
            file(b"d/f", mode=0o2644),
            file(b"d/g"),
        ],
        world / "target",
    )

    assert {b"d": (5, 6), b"d/su": (0, 7)} == done.owners
    assert (b"d/su", b"d/f") == done.privileged
    assert 0o755 == stat.S_IMODE((world / "target" / "d" / "su").stat().st_mode)
    assert os.geteuid() == (world / "target" / "d" / "su").stat().st_uid


def test_devices_and_sockets_are_left_out_and_reported(world):
    entries = [
        Entry(b"null", Kind.CHARACTER_DEVICE, mode=0o666, device=(1, 3)),
        Entry(b"sda", Kind.BLOCK_DEVICE, device=(8, 0)),
        Entry(b"sock", Kind.SOCKET),
    ]

    assert tuple(entries) == unpack(entries, world / "target").devices
    assert {} == tree(world / "target")


def test_only_what_is_below_a_directory_is_written(world):
    done = unpack(
        [
            folder(b"rootfs", mode=0o711),
            folder(b"rootfs/bin/"),
            file(b"rootfs/bin/a", b"1"),
            hard(b"rootfs/b", b"rootfs/bin/a"),
            hard(b"rootfs/c", b"cmd"),
            file(b"rootfsx", b"no"),
            file(b"cmd", b"no"),
        ],
        world / "target",
        below=b"rootfs/",
    )

    assert {"bin": None, "bin/a": b"1", "b": b"1"} == tree(world / "target")
    assert ((b"rootfs/c", "there is no file that it could be a link to"),) == done.skipped
    assert 0o711 == stat.S_IMODE((world / "target").stat().st_mode)


def refusals(entries, target):
    """Return the code of the error that ends an unpacking, if any does."""
    try:
        unpack(entries, target)
    except ImageError as error:
        return (error.code,)
    return ()


ESCAPES = {
    "absolute name": [file(b"/outside/secret", b"x")],
    "absolute path of the file": "absolute",
    "link to a directory": [symlink(b"l", b"../outside"), file(b"l/secret", b"x")],
    "absolute link": "absolute link",
    "link to a file": [symlink(b"l", b"../outside/secret"), file(b"l", b"x")],
    "link written twice": [symlink(b"l", b"../outside/secret")] * 2,
    "chain of links": [
        symlink(b"a", b".."),
        symlink(b"b", b"a/.."),
        symlink(b"c", b"b/outside"),
        file(b"c/secret", b"x"),
    ],
    "link in a directory": [
        folder(b"d"),
        symlink(b"d/up", b"../.."),
        file(b"d/up/outside/secret", b"x"),
    ],
    "directory over a link": [
        symlink(b"l", b"../outside"),
        folder(b"l", mode=0o777),
        file(b"l/new", b"x"),
    ],
    "attributes of a directory that became a link": [
        folder(b"d", mode=0o777, mtime=5),
        symlink(b"d", b"../outside"),
    ],
    "hard link to the outside": [hard(b"h", b"../outside/secret")],
    "hard link through a link": [symlink(b"l", b"../outside"), hard(b"h", b"l/secret")],
    "hard link to a link": [
        symlink(b"l", b"../outside/secret"),
        hard(b"h", b"l"),
        file(b"h", b"x"),
    ],
    "hard link by inode": [
        file(b"a", b"1", group=(1, 2)),
        symlink(b"a", b"../outside/secret"),
        file(b"b", b"x", group=(1, 2), mode=0o777),
    ],
    "hard link by inode below a link": [
        folder(b"d"),
        file(b"d/secret", b"1", group=(1, 2)),
        file(b"d/secret/no", b""),
        symlink(b"e", b"../outside"),
        file(b"e/secret", b"x", group=(1, 2)),
    ],
    "pipe over a link": [
        symlink(b"l", b"../outside/secret"),
        Entry(b"l", Kind.FIFO, mode=0o777),
    ],
    "directory, link, directory": [
        folder(b"d"),
        symlink(b"d", b"../outside"),
        file(b"d/secret", b"x"),
        folder(b"d"),
        file(b"d/new", b"x"),
    ],
    "parents": [file(b"../outside/secret", b"x")],
    "parents in the middle": [folder(b"a"), file(b"a/../../outside/secret", b"x")],
    "parents behind a link": [symlink(b"l", b"../outside"), file(b"l/../outside/secret", b"x")],
    "root": [file(b"/", b"x"), symlink(b".", b"../outside"), file(b"secret2", b"x")],
}


@pytest.mark.parametrize("trick", ESCAPES)
def test_no_trick_leads_out_of_the_target(trick, world):
    entries = ESCAPES[trick]
    secret = os.fsencode(world / "outside" / "secret")
    if entries == "absolute":
        entries = [file(secret, b"x"), hard(b"h", secret)]
    elif entries == "absolute link":
        outside = os.fsencode(world / "outside")
        entries = [symlink(b"l", outside), file(b"l/secret", b"x")]
    leads_up = any(
        b".." in (entry.name + b"/" + entry.target).split(b"/")
        for entry in entries
        if entry.kind in (Kind.FILE, Kind.HARD_LINK)
    )
    before = snapshot(world)

    assert (("UNPACK_PATH",) if leads_up else ()) == refusals(entries, world / "target")
    assert_untouched(world, before)


@pytest.mark.parametrize("name", [b"..", b"a/..", b"../a", b"a/../b", b"/..", b"a\0b"])
def test_names_that_lead_up_are_refused(name, world):
    with pytest.raises(ImageError) as caught:
        unpack([folder(b"a"), file(name, b"x")], world / "target")

    assert "UNPACK_PATH" == caught.value.code


def test_links_on_the_way_are_followed_within_the_target(world):
    target = world / "target"
    unpack(
        [
            folder(b"usr"),
            folder(b"usr/bin"),
            symlink(b"bin", b"usr/bin"),
            symlink(b"usr/abs", b"/usr/bin"),
            symlink(b"usr/up", b"../../../usr/./bin"),
            file(b"bin/a", b"1"),
            file(b"usr/abs/b", b"2"),
            file(b"usr/up/c", b"3"),
            symlink(b"x", b"y"),
            symlink(b"y", b"x"),
            file(b"x/never", b""),
        ],
        target,
    )

    assert {"a", "b", "c"} == {path.name for path in (target / "usr" / "bin").iterdir()}
    assert not (target / "x").exists()


def test_what_the_kernel_leaves_out_is_left_out_and_reported(world):
    done = unpack(
        [
            file(b"no/parent", b"x"),
            file(b"f", b"x"),
            file(b"f/below", b"x"),
            folder(b"d"),
            file(b"d/a"),
            file(b"d", b"x"),
            symlink(b"d", b"a"),
        ],
        world / "target",
    )

    assert {"f": b"x", "d": None, "d/a": b""} == tree(world / "target")
    assert [b"no/parent", b"f/below", b"d", b"d"] == [name for name, _ in done.skipped]


def test_the_last_of_several_entries_counts(world):
    unpack(
        [
            file(b"f", b"old"),
            file(b"f", b"new"),
            folder(b"d", mode=0o700),
            folder(b"d", mode=0o750),
            folder(b"e"),
            file(b"e", b"file"),
            file(b"g", b"file"),
            folder(b"g"),
            symlink(b"l", b"1"),
            symlink(b"l", b"2"),
        ],
        world / "target",
    )

    found = tree(world / "target")
    assert {"f": b"new", "d": None, "e": b"file", "g": None, "l": ("->", "2")} == found
    assert 0o750 == stat.S_IMODE((world / "target" / "d").stat().st_mode)


def test_replacing_one_name_does_not_write_through_to_the_other(world):
    unpack([file(b"a", b"1"), hard(b"b", b"a"), file(b"a", b"2")], world / "target")

    assert {"a": b"2", "b": b"1"} == tree(world / "target")


@pytest.mark.parametrize(
    "contents", [(b"data", b"", b""), (b"", b"data", b""), (b"", b"", b"data")]
)
def test_any_name_of_an_inode_may_bring_the_data(contents, world):
    names = (b"a", b"b", b"c")
    entries = [
        file(name, data, group=(1, 2, 3), mode=0o444)
        for name, data in zip(names, contents, strict=True)
    ]
    unpack(entries, world / "target")

    assert {"a": b"data", "b": b"data", "c": b"data"} == tree(world / "target")
    assert 3 == (world / "target" / "a").stat().st_nlink
    assert 0o444 == stat.S_IMODE((world / "target" / "a").stat().st_mode)


def test_directories_that_forbid_everything_can_be_filled_and_removed(world):
    unpack([folder(b"d", mode=0), file(b"d/f", b"x", mode=0)], world / "target")

    assert 0o700 == stat.S_IMODE((world / "target" / "d").stat().st_mode)
    assert 0 == stat.S_IMODE((world / "target" / "d" / "f").stat().st_mode)


def test_zeros_become_holes(world):
    data = bytes(3 << 20) + b"end" + bytes(1 << 20)
    pieces = [data[at : at + (1 << 18)] for at in range(0, len(data), 1 << 18)]

    class Content:
        size = len(data)

        def chunks(self):
            yield from pieces

    unpack([Entry(b"f", Kind.FILE, content=Content())], world / "target")

    path = world / "target" / "f"
    assert data == path.read_bytes()
    assert 1 << 20 > path.stat().st_blocks * 512


def test_a_limit_holds_for_all_files_together(world):
    entries = [file(b"%d" % n, b"x" * 100) for n in range(9)]

    assert 900 == unpack(entries, world / "target", limit=900).size
    with pytest.raises(ImageError) as caught:
        unpack(entries, world / "target", limit=899)
    assert "UNPACK_LIMIT" == caught.value.code


def test_what_the_system_refuses_is_an_error_that_names_it(world):
    with pytest.raises(ImageError, match="writing nnn") as caught:
        unpack([file(b"n" * 300)], world / "target")

    assert "UNPACK_WRITE" == caught.value.code


@pytest.mark.parametrize("mtime", [-(1 << 70), -1, 1 << 33, 1 << 70])
def test_times_that_no_file_system_stores_do_no_harm(mtime, world):
    unpack([file(b"f", mtime=mtime), folder(b"d", mtime=mtime)], world / "target")

    assert {"f": b"", "d": None} == tree(world / "target")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_no_descriptor_stays_open(world):
    def count():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    for entries in ESCAPES.values():
        if isinstance(entries, list):
            refusals(entries, world / "target")

    assert before == count()


@pytest.mark.needs("cpio")
def test_a_tree_that_gnu_cpio_packed_is_unpacked_as_it_was(world):
    source = world / "source"
    (source / "d" / "e").mkdir(parents=True)
    (source / "d" / "f").write_bytes(b"content" * 50_000)
    (source / "d" / "e" / "g").hardlink_to(source / "d" / "f")
    (source / "l").symlink_to("d/e/g")
    names = "\n".join(str(path.relative_to(source)) for path in sorted(source.rglob("*")))
    packed = subprocess.run(
        ["cpio", "-o", "-H", "newc"],
        cwd=source,
        input=names.encode(),
        check=True,
        capture_output=True,
    )
    unpack(read_cpio(packed.stdout), world / "target")

    assert tree(source) == tree(world / "target")
    assert 2 == (world / "target" / "d" / "f").stat().st_nlink


PARTS = st.sampled_from([b"a", b"b", b"..", b".", b""])
NAMES = st.lists(PARTS, min_size=1, max_size=4).map(b"/".join)
TARGETS = st.one_of(NAMES, st.sampled_from([b"/", b"/a", b"../outside", b"../../outside/secret"]))
ENTRIES = st.one_of(
    st.builds(file, NAMES, st.binary(max_size=3), group=st.sampled_from([None, (1,), (2,)])),
    st.builds(folder, NAMES, mode=st.integers(0, 0o7777)),
    st.builds(symlink, NAMES, TARGETS.filter(bool)),
    st.builds(hard, NAMES, TARGETS),
    st.builds(Entry, NAMES, st.just(Kind.FIFO), mode=st.integers(0, 0o777)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ENTRIES, max_size=12))
def test_no_entries_lead_out_of_the_target(world, entries):
    before = snapshot(world)
    for some in ([[entry] for entry in entries], [entries]):
        for part in some:
            assert refusals(part, world / "target") in ((), ("UNPACK_PATH",))

    assert_untouched(world, before)
