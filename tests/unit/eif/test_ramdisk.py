"""The two ramdisks hold what nitro-cli's hold, in the same order, with the same times."""

import hashlib

import pytest

from nitrosim.eif.cpio import BytesContent, Entry, Kind, read_content
from nitrosim.eif.cpio_reader import read_cpio
from nitrosim.eif.ramdisk import LINUXKIT_TIME, bootstrap_ramdisk, customer_ramdisk, lines, values

MOUNT_POINTS = [b"rootfs/" + name for name in (b"dev", b"run", b"sys", b"var", b"proc", b"tmp")]
FIXED = [
    b"rootfs/dev",
    b"rootfs/dev/pts",
    b"rootfs/dev/shm",
    b"rootfs/etc",
    b"rootfs/etc/hosts",
    b"rootfs/etc/mtab",
    b"rootfs/etc/resolv.conf",
    b"rootfs/proc",
    b"rootfs/sys",
]


def file(name, data=b"", **fields):
    return Entry(name=name, kind=Kind.FILE, content=BytesContent(data), **fields)


def folder(name, **fields):
    return Entry(name=name, kind=Kind.DIRECTORY, **({"mode": 0o755} | fields))


def entries(archive):
    data = b"".join(archive.chunks())
    return [(entry, read_content(entry)) for entry in read_cpio(data)]


def customer(*exported, command=("/bin/hello",), environment=()):
    return entries(customer_ramdisk(exported, command, environment))


def test_the_bootstrap_ramdisk_holds_what_starts_an_enclave():
    found = entries(bootstrap_ramdisk(BytesContent(b"INIT"), BytesContent(b"NSM")))

    assert [
        (b"dev", Kind.DIRECTORY, 0o755, b""),
        (b"init", Kind.FILE, 0o755, b"INIT"),
        (b"nsm.ko", Kind.FILE, 0o755, b"NSM"),
    ] == [(entry.name, entry.kind, entry.mode, content) for entry, content in found]
    assert {(0, 0, LINUXKIT_TIME)} == {(e.uid, e.gid, e.mtime) for e, _ in found}


def test_the_customer_ramdisk_of_nothing_holds_what_linuxkit_adds():
    found = customer()

    assert [b"rootfs", *FIXED, b"rootfs", *MOUNT_POINTS, b"cmd", b"env"] == [
        entry.name for entry, _ in found
    ]
    assert {(0, 0, LINUXKIT_TIME)} == {(e.uid, e.gid, e.mtime) for e, _ in found}


def test_the_image_stands_between_the_two_roots_in_its_own_order():
    found = customer(
        folder(b"b/", mtime=1, uid=2, gid=3, mode=0o700), file(b"b/f", b"x"), file(b"a")
    )
    names = [entry.name for entry, _ in found]

    assert [b"rootfs", b"rootfs/b/", b"rootfs/b/f", b"rootfs/a", *FIXED] == names[: 4 + len(FIXED)]
    entry = found[1][0]
    assert (1, 2, 3, 0o700) == (entry.mtime, entry.uid, entry.gid, entry.mode)


def test_what_docker_adds_to_containers_is_left_out():
    dropped = [b".dockerenv", b"Dockerfile", b"dev/console", b"etc/hostname"]
    kept = [b"app/Dockerfile", b"dev/consoles", b"etc/hostname/x", b"dev/pts/"]
    found = customer(*(file(name) for name in dropped), *(file(name) for name in kept[:3]))
    names = {entry.name for entry, _ in found}

    assert set() == names & {b"rootfs/" + name for name in dropped}
    assert {b"rootfs/" + name for name in kept[:3]} <= names


def test_hosts_and_resolver_are_the_same_everywhere():
    found = customer(
        file(b"etc/hosts", b"10.0.0.1 builder", mode=0o755, uid=5, mtime=9),
        file(b"etc/resolv.conf", b"nameserver 10.0.0.1", mode=0o755, mtime=9),
    )
    hosts, resolver = found[1], found[2]

    assert b"rootfs/etc/hosts" == hosts[0].name
    assert (0o755, 5, LINUXKIT_TIME) == (hosts[0].mode, hosts[0].uid, hosts[0].mtime)
    assert hosts[1].startswith(b"127.0.0.1       localhost\n::1     localhost")
    assert hosts[1].endswith(b"ip6-allrouters\n")
    assert (Kind.SYMLINK, 0o755, b"/run/resolvconf/resolv.conf", LINUXKIT_TIME) == (
        resolver[0].kind,
        resolver[0].mode,
        resolver[0].target,
        resolver[0].mtime,
    )
    names = [entry.name for entry, _ in found]
    assert 1 == names.count(b"rootfs/etc/hosts") == names.count(b"rootfs/etc/resolv.conf")


@pytest.mark.parametrize("name", [b"dev/", b"dev/pts/", b"dev/shm/", b"etc/", b"proc/", b"sys/"])
def test_directories_that_docker_makes_lose_only_their_time(name):
    found = customer(folder(name, mode=0o711, uid=6, mtime=9))
    entry = found[1][0]

    assert b"rootfs/" + name == entry.name
    assert (0o711, 6, LINUXKIT_TIME) == (entry.mode, entry.uid, entry.mtime)
    rest = [entry.name for entry, _ in found[2 : 2 + len(FIXED) - 1]]
    assert [fixed for fixed in FIXED if fixed != b"rootfs/" + name[:-1]] == rest


def test_a_directory_that_is_none_does_not_count():
    found = customer(file(b"proc", mtime=9))

    assert (b"rootfs/proc", 9) == (found[1][0].name, found[1][0].mtime)
    assert FIXED == [entry.name for entry, _ in found[2 : 2 + len(FIXED)]]


def test_a_hard_link_points_to_its_first_name_below_the_root():
    hard = Entry(name=b"usr/bin/b", kind=Kind.HARD_LINK, mode=0o755, target=b"bin/a")

    entry = customer(file(b"bin/a"), hard)[2][0]
    assert (b"rootfs/usr/bin/b", b"../../bin/a") == (entry.name, entry.target)


def test_command_and_environment_stand_one_a_line():
    found = customer(command=("/bin/sh", "-c", "é 'x'"), environment=("A=1", "B="))
    cmd, env = found[-2:]

    assert (b"cmd", 0o644, "/bin/sh\n-c\né 'x'\n".encode()) == (cmd[0].name, cmd[0].mode, cmd[1])
    assert (b"env", 0o644, b"A=1\nB=\n") == (env[0].name, env[0].mode, env[1])


def test_a_line_break_is_written_as_it_is():
    assert b"A=1\nB\n" == customer(environment=("A=1\nB",))[-1][1]


def test_the_same_input_gives_the_same_bytes():
    def digest():
        archive = customer_ramdisk(
            [folder(b"etc/"), file(b"etc/passwd", b"root", mtime=7)], ["/a"], ["A=1"]
        )
        return hashlib.sha384(b"".join(archive.chunks())).digest()

    assert digest() == digest()


@pytest.mark.parametrize(
    ("data", "read"),
    [
        (b"", ()),
        (b"/a\nb\n", (b"/a", b"b")),
        (b"/a\nb", (b"/a", b"b")),
        (b"\n", (b"",)),
        (b"a\n\n", (b"a", b"")),
        (b"a\0b\nc\n", (b"a", b"c")),
        (b"a\r\n", (b"a\r",)),
    ],
)
def test_files_are_read_as_init_reads_them(data, read):
    assert read == values(data)


def test_values_come_back_from_their_lines():
    given = ("/bin/sh", "-c", "", "é 'x'")

    assert tuple(value.encode() for value in given) == values(lines(given).data)
