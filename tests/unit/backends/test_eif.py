"""Enclave Image Files as a source of enclaves: what is refused, and what comes out."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nitrosim.backends.eif import _key, eif_image, environment_of
from nitrosim.eif import BuildInfo, Eif, EifError, Metadata, write_eif
from nitrosim.eif.cpio import BytesContent, Entry, Kind
from nitrosim.eif.cpio_writer import Archive
from nitrosim.eif.ramdisk import bootstrap_ramdisk, customer_ramdisk
from nitrosim.errors import EnclaveError
from nitrosim.images import ImageError

EIFS = Path(__file__).resolve().parent.parent.parent.parent / "fixtures" / "eif"
EXPECTED = json.loads((EIFS / "expected.json").read_text("utf-8"))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
BUILD = BuildInfo(
    time="2024-01-02T03:04:05+00:00",
    tool="tests",
    tool_version="1",
    operating_system="Linux",
    kernel_version="4.14.256",
)
HELLO_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HELLO": "Hello from the enclave side!",
    "EQ": "a=b=c",
    "EMPTY": "",
}


@pytest.fixture(autouse=True)
def x86_64(monkeypatch):
    """Let the images be for this machine."""
    system = type("System", (), {"machine": "x86_64"})
    monkeypatch.setattr("os.uname", lambda: system)


@pytest.fixture
def image_of(tmp_path):
    """Return the image of a file, with a cache of the test's own."""

    def image_of(path, *, at=NOW, on_unpacking=None):
        return eif_image(path, cache=tmp_path / "cache", at=at, on_unpacking=on_unpacking)

    return image_of


@pytest.fixture
def build(tmp_path):
    """Write an image of ramdisks."""

    def build(*ramdisks, name="test.eif", kernel=b"kernel", cmdline="console=ttyS0"):
        write_eif(
            tmp_path / name,
            kernel=kernel,
            cmdline=cmdline,
            ramdisks=[iter(ramdisk.chunks()) for ramdisk in ramdisks],
            metadata=Metadata(image_name="test", image_version="1", build=BUILD),
        )
        return tmp_path / name

    return build


BOOTSTRAP = bootstrap_ramdisk(BytesContent(b"init"), BytesContent(b"module"))


def application(*entries, command=("/bin/app",), environment=("A=1",)):
    return customer_ramdisk(entries, command, environment)


def folder(name):
    return Entry(name=name, kind=Kind.DIRECTORY, mode=0o755)


def file(name, data, mode=0o644):
    return Entry(name=name, kind=Kind.FILE, mode=mode, content=BytesContent(data))


def link(name, target):
    return Entry(name=name, kind=Kind.SYMLINK, target=target)


def root_of(image):
    (operation,) = image.operations
    source, target = operation.arguments
    assert ("overlay", "/") == (operation.name, target)
    return Path(source)


def entries_below(path):
    return sorted(str(entry.relative_to(path)) for entry in path.rglob("*"))


# ---- what comes out ----


@pytest.mark.parametrize(
    "name",
    [
        "hello-unsigned",
        "hello-gz-ramdisks",
        "hello-signed-es256",
        "hello-signed-es384",
        "resigned-stale-size",
        "trailing-bytes",
        "v3-signed-no-metadata",
    ],
)
def test_an_image_brings_command_environment_files_and_measurements(image_of, name):
    image = image_of(EIFS / f"{name}.eif")

    assert name == image.name
    assert ("/bin/hello", "3", "two words") == image.command
    assert HELLO_ENVIRONMENT == image.environment
    described = EXPECTED[name]["describe_eif"]["Measurements"]
    assert {k: v for k, v in described.items() if k.startswith("PCR")} == {
        f"PCR{index}": value.hex() for index, value in image.pcrs.items()
    }
    root = root_of(image)
    assert ["bin", "dev", "etc", "proc", "run", "sys", "tmp", "var"] == sorted(
        entry.name for entry in root.iterdir()
    )
    assert 0o755 == (root / "bin" / "hello").stat().st_mode & 0o7777


def test_of_a_name_every_suffix_is_removed(image_of, tmp_path):
    path = tmp_path / "app.v1.eif.eif"
    path.write_bytes((EIFS / "hello-unsigned.eif").read_bytes())

    assert "app.v1" == image_of(path).name


def test_without_command_and_environment_init_has_its_own(image_of, build):
    image = image_of(build(BOOTSTRAP, application(command=(), environment=())))

    assert ("sh",) == image.command
    assert {"PATH": "/sbin:/usr/sbin:/bin:/usr/bin"} == image.environment


def test_values_that_are_no_text_are_kept(image_of, build):
    image = image_of(build(BOOTSTRAP, application(command=("/bin/\udcff",), environment=())))

    assert ("/bin/\udcff",) == image.command


def test_an_environment_is_what_getenv_finds_in_its_lines():
    lines = ("A=1", "B=x=y", "A=2", "no equals sign", "=no name", "", "C=")

    assert {"A": "1", "B": "x=y", "C": ""} == environment_of(lines)


def test_later_ramdisks_replace_what_earlier_ones_have(image_of, build):
    first = application(
        folder(b"bin/"), file(b"bin/app", b"first"), file(b"bin/other", b"stays"), command=("one",)
    )
    entries = [file(b"rootfs/bin/app", b"second", 0o755), file(b"cmd", b"two\n")]

    image = image_of(build(BOOTSTRAP, first, Archive(entries)))

    binaries = root_of(image) / "bin"
    assert ("two",) == image.command
    assert {"app": "second", "other": "stays"} == {
        entry.name: entry.read_text() for entry in binaries.iterdir()
    }


def newc(*entries):
    """Return an archive of files (name, inode, links, data): the official writer has no links."""
    archive = b""
    for name, inode, links, data in (*entries, ("TRAILER!!!", 0, 1, b"")):
        fields = [inode, 0o100644, 0, 0, links, 0, len(data), 3, 1, 0, 0, len(name) + 1, 0]
        archive += b"070701" + "".join(f"{field:08x}" for field in fields).encode()
        archive += name.encode() + b"\0"
        archive += bytes(-len(archive) % 4) + data
        archive += bytes(-len(archive) % 4)
    return BytesContent(archive)


def test_hard_links_are_those_of_their_own_ramdisk(image_of, build):
    # Both archives are the first of their ramdisk, and use the same inode number.
    second = newc(("rootfs/b", 7, 2, b""), ("rootfs/c", 7, 2, b"second"))
    third = newc(("rootfs/d", 7, 2, b""), ("rootfs/e", 7, 2, b"third"))

    root = root_of(image_of(build(BOOTSTRAP, application(), second, third)))

    assert ["second", "second", "third", "third"] == [(root / name).read_text() for name in "bcde"]


def test_what_is_mounted_upon_is_empty(image_of, build):
    hidden = [
        *(folder(name) for name in (b"dev/", b"dev/pts/", b"run/", b"run/lock/", b"tmp/", b"var/")),
        *(file(name, b"x") for name in (b"dev/null", b"run/lock/a", b"tmp/a", b"var/kept")),
        link(b"dev/zero", b"/etc/hosts"),
    ]

    root = root_of(image_of(build(BOOTSTRAP, application(*hidden))))

    kept = ["dev", "etc", "etc/hosts", "etc/mtab", "etc/resolv.conf", "proc", "run", "sys", "tmp"]
    assert [*kept, "var", "var/kept"] == entries_below(root)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("aarch64-flag", "ARCHITECTURE"),
        ("bad-crc", "CRC"),
        ("sig-pcr0-mismatch", "PCR0_MISMATCH"),
    ],
)
def test_what_would_not_boot_is_refused(image_of, tmp_path, name, code):
    with pytest.raises(EifError) as caught:
        image_of(EIFS / f"{name}.eif")

    assert code == caught.value.code
    assert not (tmp_path / "cache").exists()


def test_a_certificate_that_has_ended_is_refused(image_of):
    with pytest.raises(EifError) as caught:
        image_of(EIFS / "hello-signed-es384.eif", at=datetime(2060, 1, 1, tzinfo=UTC))

    assert "CERTIFICATE_EXPIRED" == caught.value.code


@pytest.mark.parametrize("name", ["missing.eif", "."])
def test_a_file_that_cannot_be_read_is_an_error(image_of, tmp_path, name):
    with pytest.raises(EnclaveError) as caught:
        image_of(tmp_path / name)

    assert "EIF_FILE" == caught.value.code
    assert isinstance(caught.value.__cause__, OSError)


INIT = file(b"init", b"init", 0o755)
#: The beginning of a static program.
OWN_INIT = file(b"init", b"\x7fELF\x02\x01".ljust(18, b"\0") + b"\x3e".ljust(46, b"\0"), 0o755)
CMD = file(b"cmd", b"/bin/app\n")
ENV = file(b"env", b"")
ROOTFS = folder(b"rootfs")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ((INIT, folder(b"bin"), link(b"sbin", b"bin")), "no rootfs, but bin, init, sbin"),
        ((CMD, ENV, ROOTFS), "no init"),
        ((INIT, ROOTFS, ENV), "no cmd"),
        ((INIT, ROOTFS, CMD), "no env"),
        ((INIT, CMD, ENV, link(b"rootfs", b"/")), "rootfs of its ramdisks is lrwxrwxrwx"),
        ((INIT, ROOTFS, ENV, link(b"cmd", b"/etc/passwd")), "cmd of its ramdisks is lrwxrwxrwx"),
        ((INIT, ROOTFS, CMD, folder(b"env")), "env of its ramdisks is drwxr-xr-x"),
        ((INIT, ROOTFS, CMD, ENV, link(b"rootfs/dev", b"/dev")), "/dev of its root directory"),
        ((INIT, ROOTFS, CMD, ENV, file(b"rootfs/run", b"")), "/run of its root directory"),
        ((INIT,), "its init cannot be executed: /init is no program for x86_64 and no script"),
        ((file(b"init", b"#!/bin/sh\n", 0o755),), "/init needs its interpreter, and /bin/sh does"),
        ((folder(b"bin"),), "no init, but bin.*: /init does not exist"),
        ((OWN_INIT, link(b"dev", b"/tmp")), "/dev of its root directory"),
        ((OWN_INIT, file(b"proc", b"")), "/proc of its root directory"),
    ],
)
def test_another_layout_is_refused_without_an_init_that_can_be_executed(
    image_of, build, tmp_path, entries, said
):
    path = build(Archive(()), Archive(entries))

    with pytest.raises(EnclaveError, match=said) as caught:
        image_of(path)

    assert "EIF_LAYOUT" == caught.value.code
    assert [".lock"] == [entry.suffix for entry in (tmp_path / "cache").iterdir()]


def test_empty_ramdisks_are_refused_with_what_they_stand_for(image_of):
    with pytest.raises(
        EnclaveError, match="are empty, and a root file system on a block"
    ) as caught:
        image_of(EIFS / "one-empty-ramdisk.eif")

    assert "EIF_LAYOUT" == caught.value.code


# ---- an init of one's own ----


def test_an_image_of_another_layout_is_run_with_its_init(image_of, build):
    image = image_of(build(Archive((OWN_INIT,)), cmdline="console=ttyS0 MODE=test verbose"))

    assert ("/init", "verbose") == image.command
    assert {"HOME": "/", "TERM": "linux", "MODE": "test"} == image.environment
    assert "console=ttyS0 MODE=test verbose" == image.own_init
    assert ["init"] == entries_below(root_of(image))


def test_the_init_may_be_another_program_than_init(image_of, build):
    program = link(b"sbin/start", b"../init")
    image = image_of(
        build(
            Archive((OWN_INIT, folder(b"sbin"), program)), cmdline="x rdinit=/sbin/start -- y z=1"
        )
    )

    assert ("/sbin/start", "y", "z=1") == image.command


def test_a_command_line_may_name_another_init_than_that_of_nitro_cli(image_of, build):
    other = file(b"other", OWN_INIT.content.data, 0o755)
    image = image_of(
        build(BOOTSTRAP, application(), Archive((other,)), cmdline="quiet rdinit=/other")
    )

    assert (("/other",), "quiet rdinit=/other") == (image.command, image.own_init)
    assert {"init", "rootfs", "cmd", "env"} <= set(entries_below(root_of(image)))


def test_one_ramdisk_may_hold_all_that_nitro_cli_puts_into_two(image_of, build):
    image = image_of(build(Archive((INIT, ROOTFS, CMD, ENV))))

    assert (("/bin/app",), None) == (image.command, image.own_init)


def test_what_an_init_finds_mounted_is_empty_and_all_else_is_kept(image_of, build):
    kept = [folder(b"run"), file(b"run/a", b""), folder(b"tmp"), file(b"tmp/b", b"")]
    hidden = [folder(b"dev"), file(b"dev/null", b""), folder(b"proc"), file(b"proc/1", b"")]

    root = root_of(image_of(build(Archive((OWN_INIT, *kept, *hidden)))))

    assert ["dev", "init", "proc", "run", "run/a", "tmp", "tmp/b"] == entries_below(root)


def test_the_command_line_of_nitro_cli_has_no_effect_on_its_own_images(image_of, build):
    image = image_of(build(BOOTSTRAP, application(), cmdline="x A=2 -- y"))

    assert (("/bin/app",), {"A": "1"}, None) == (image.command, image.environment, image.own_init)


def test_a_name_that_leads_out_is_refused_and_nothing_is_left(image_of, build, tmp_path):
    escape = newc(("rootfs/../../../../escaped", 1, 1, b"x"))

    with pytest.raises(ImageError) as caught:
        image_of(build(BOOTSTRAP, application(), escape))

    assert "UNPACK_PATH" == caught.value.code
    assert [] == [*tmp_path.glob("**/escaped")]
    assert [".lock"] == [entry.suffix for entry in (tmp_path / "cache").iterdir()]


# ---- what an image is called in the cache ----


def test_images_of_equal_content_are_unpacked_once(image_of, tmp_path):
    unpacked = []
    for name in ("hello-unsigned", "hello-signed-es384", "hello-unsigned"):
        image_of(EIFS / f"{name}.eif", on_unpacking=lambda name=name: unpacked.append(name))

    assert ["hello-unsigned"] == unpacked
    assert 2 == len([*(tmp_path / "cache").iterdir()])  # the entry and its lock


def test_images_that_share_registers_but_not_sections_are_told_apart(build):
    keys, registers = set(), set()
    for kernel, cmdline in ((b"kernel", "cmdline"), (b"kernelcmd", "line")):
        path = build(BOOTSTRAP, application(), kernel=kernel, cmdline=cmdline)
        with Eif.open(path) as eif:
            keys.add(_key(eif))
            registers.add(eif.measure().pcr0)

    assert (2, 1) == (len(keys), len(registers))
