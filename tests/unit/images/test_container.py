"""What Docker adds to a container, and what is executed in it, are as with nitro-cli."""

import hashlib
import json

import pytest

from nitrosim.eif.cpio import Kind
from nitrosim.eif.cpio_reader import read_cpio
from nitrosim.eif.ramdisk import LINUXKIT_TIME, customer_ramdisk
from nitrosim.images import ImageConfig, ImageError, open_directory, open_image
from nitrosim.images.container import as_container
from nitrosim.images.tree import Node, Tree

ADDED = {
    b".dockerenv": (Kind.FILE, 0o755),
    b"dev/": (Kind.DIRECTORY, 0o755),
    b"dev/console": (Kind.FILE, 0o755),
    b"dev/pts/": (Kind.DIRECTORY, 0o755),
    b"dev/shm/": (Kind.DIRECTORY, 0o755),
    b"etc/": (Kind.DIRECTORY, 0o755),
    b"etc/hostname": (Kind.FILE, 0o755),
    b"etc/hosts": (Kind.FILE, 0o755),
    b"etc/mtab": (Kind.SYMLINK, 0o777),
    b"etc/resolv.conf": (Kind.FILE, 0o755),
    b"proc/": (Kind.DIRECTORY, 0o755),
    b"sys/": (Kind.DIRECTORY, 0o755),
}


def tree_of(*entries):
    tree = Tree()
    for name, kind, *rest in entries:
        fields = rest[0] if rest else {}
        tree.put(name, Node(kind, layer=0, **fields))
    return tree


def exported(tree, working_dir=""):
    return {entry.name: entry for entry in as_container(tree, working_dir).entries()}


def test_an_empty_image_gets_the_mount_points():
    found = exported(tree_of())

    assert ADDED == {name: (entry.kind, entry.mode) for name, entry in found.items()}
    assert sorted(ADDED, key=lambda n: n.split(b"/")) == list(found)
    assert b"/proc/mounts" == found[b"etc/mtab"].target


def test_directories_of_the_image_keep_their_attributes():
    tree = tree_of(
        (b"dev", Kind.DIRECTORY, {"mode": 0o700, "uid": 5}),
        (b"dev/shm", Kind.DIRECTORY, {"mode": 0o1777}),
    )

    found = exported(tree)
    assert (0o700, 5) == (found[b"dev/"].mode, found[b"dev/"].uid)
    assert 0o1777 == found[b"dev/shm/"].mode


def test_files_of_the_image_are_replaced():
    tree = tree_of(
        (b"etc/hosts", Kind.FILE, {"mode": 0o644, "uid": 7}),
        (b"etc/mtab", Kind.FILE),
        (b"proc", Kind.FILE),
        (b"sys", Kind.SYMLINK, {"target": b"/elsewhere"}),
        (b"etc/resolv.conf", Kind.SYMLINK, {"target": b"../run/resolv.conf"}),
    )

    found = exported(tree)
    assert ADDED == {name: (entry.kind, entry.mode) for name, entry in found.items()}
    assert 0 == found[b"etc/hosts"].uid


def test_a_link_on_the_way_is_replaced_by_a_directory():
    tree = tree_of((b"dev", Kind.SYMLINK, {"target": b"usr/dev"}), (b"usr/dev/x", Kind.FILE))

    found = exported(tree)
    assert Kind.DIRECTORY is found[b"dev/"].kind
    assert b"usr/dev/x" in found
    assert b"usr/dev/pts/" not in found


def test_a_directory_where_a_file_goes_stays():
    found = exported(tree_of((b"etc/hosts/x", Kind.FILE)))

    assert {b"etc/hosts/", b"etc/hosts/x"} <= found.keys()
    assert b"etc/hosts" not in found


def test_the_tree_of_the_image_stays_as_it_is():
    tree = tree_of((b"etc/hosts", Kind.FILE, {"mode": 0o600}), (b"dev/x", Kind.FILE))
    before = list(tree.entries())
    exported(tree, "/work/dir")

    assert before == list(tree.entries())


@pytest.mark.parametrize(
    ("working_dir", "made"),
    [
        ("/app", {b"app/"}),
        ("/app/sub", {b"app/", b"app/sub/"}),
        ("app", {b"app/"}),
        ("/", set()),
        ("", set()),
        ("/link/sub", {b"real/sub/"}),
        ("/abs/sub", {b"real/sub/"}),
        ("/../up", {b"up/"}),
        ("/file/sub", set()),
        ("/loop/sub", set()),
    ],
)
def test_a_missing_working_directory_is_made(working_dir, made):
    tree = tree_of(
        (b"real", Kind.DIRECTORY),
        (b"link", Kind.SYMLINK, {"target": b"../real"}),
        (b"abs", Kind.SYMLINK, {"target": b"/real"}),
        (b"loop", Kind.SYMLINK, {"target": b"loop"}),
        (b"file", Kind.FILE),
    )

    before = exported(tree).keys()
    assert made == exported(tree, working_dir).keys() - before


@pytest.mark.parametrize(
    ("cmd", "entrypoint", "command"),
    [
        (("a",), None, ("a",)),
        (None, ("b",), ("b",)),
        (("a",), ("b",), ("a",)),
        ((), ("b",), ()),
    ],
)
def test_cmd_wins_over_entrypoint(cmd, entrypoint, command):
    assert command == ImageConfig(cmd=cmd, entrypoint=entrypoint).command()


def test_an_image_without_any_command_is_an_error():
    with pytest.raises(ImageError) as caught:
        ImageConfig().command()

    assert "IMAGE_COMMAND" == caught.value.code


def test_notes_say_what_is_not_heeded():
    config = ImageConfig(
        cmd=("a",),
        entrypoint=("b",),
        working_dir="/app",
        user="1000:1000",
        env=("CERT=one\ntwo",),
    )

    assert (
        "ENTRYPOINT ['b'] is ignored because there is a CMD",
        "WORKDIR /app is ignored: the command starts in /",
        "USER 1000:1000 is ignored: the command runs as root",
        "'CERT' holds a line break and is read as several lines",
    ) == config.notes()
    assert () == ImageConfig(cmd=("a",), user="root", working_dir="/").notes()
    assert 1 == len(ImageConfig(cmd=()).notes())


def ramdisk(root):
    archive = customer_ramdisk(root.exported(), root.config.command(), root.config.env)
    return b"".join(archive.chunks())


def test_the_ramdisk_of_an_image_is_in_linuxkits_order(layout, make_layer):
    layer = make_layer(
        ("hello", b"x", {"mtime": 5}),
        ("etc", {"mtime": 6}),
        ("etc/hosts", b"mine"),
        ("etc/passwd", b"root", {"mtime": 7}),
        ("usr/bin/hi", "link", "hello", {"mtime": 5}),
    )
    with open_image(layout.index(layout.image([layer]))) as image:
        entries = list(read_cpio(ramdisk(image)))

    assert [
        b"rootfs",
        b"rootfs/dev/",
        b"rootfs/dev/pts/",
        b"rootfs/dev/shm/",
        b"rootfs/etc/",
        b"rootfs/etc/hosts",
        b"rootfs/etc/mtab",
        b"rootfs/etc/passwd",
        b"rootfs/etc/resolv.conf",
        b"rootfs/hello",
        b"rootfs/proc/",
        b"rootfs/sys/",
        b"rootfs/usr/",
        b"rootfs/usr/bin/",
        b"rootfs/usr/bin/hi",
        b"rootfs",
        b"rootfs/dev",
        b"rootfs/run",
        b"rootfs/sys",
        b"rootfs/var",
        b"rootfs/proc",
        b"rootfs/tmp",
        b"cmd",
        b"env",
    ] == [entry.name for entry in entries]
    times = {entry.name: entry.mtime for entry in entries}
    assert {LINUXKIT_TIME, 5, 7, 0} == set(times.values())
    assert (5, 7) == (times[b"rootfs/hello"], times[b"rootfs/etc/passwd"])
    links = {entry.name: entry.target for entry in entries if entry.kind is Kind.SYMLINK}
    assert b"../../hello" == links[b"rootfs/usr/bin/hi"]


def test_image_and_directory_of_the_same_files_give_the_same_ramdisk(layout, make_layer, tmp_path):
    source = tmp_path / "source"
    (source / "bin").mkdir(parents=True)
    (source / "bin" / "hello").write_bytes(b"hello")
    (source / "bin" / "hello").chmod(0o755)
    (source / "bin").chmod(0o755)
    layer = make_layer(("bin", {"mtime": 0}), ("bin/hello", b"hello", {"mode": 0o755, "mtime": 0}))
    path = layout.index(layout.image([layer], Cmd=["/bin/hello"], Env=["A=1"]))

    with (
        open_image(path) as image,
        open_directory(source, command=("/bin/hello",), environment=("A=1",), mtime=0) as plain,
    ):
        assert ramdisk(image) == ramdisk(plain)


def test_the_ramdisk_of_an_image_never_changes(layout, make_layer):
    """Another digest than this, once released, means other PCRs for everybody's images."""
    layer = make_layer(
        ("bin/a", b"a" * 1000, {"mtime": 1}),
        ("bin/b", "link", "bin/a", {"mtime": 1}),
        ("lib", "symlink", "usr/lib", {"mtime": 2}),
        ("tmp", {"mode": 0o1777, "mtime": 3}),
    )
    path = layout.index(layout.image([layer], Cmd=["/bin/a"], Env=["PATH=/bin", "A=é"]))

    with open_image(path) as image:
        first, second = ramdisk(image), ramdisk(image)
    assert first == second
    assert (
        "703fb2fd3b8f8daacdf9b980e7d4ea37c8ee76c3c70845ec"
        "08da8053f93a55e199ea2162724d4fcead06d6f37b80af62"
    ) == hashlib.sha384(first).hexdigest()


def test_a_description_of_an_image_can_be_written_as_json(layout, make_layer):
    with open_image(layout.index(layout.image([make_layer(("f", b""))]))) as image:
        assert image.inspect() == json.loads(json.dumps(image.inspect()))
