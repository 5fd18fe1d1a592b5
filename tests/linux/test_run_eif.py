"""Enclaves that are started from Enclave Image Files: what runs in them, and what they attest.

The images of the fixtures run a program that prints its arguments, environment, working directory
and user and ends with the number that is its first argument. Others are built here around that
program, or around one that is compiled here.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import cbor2
import pytest

from nitrosim.eif import (
    BuildInfo,
    Eif,
    EifError,
    Metadata,
    PemSigner,
    SectionType,
    describe,
    sign_eif,
    write_eif,
)
from nitrosim.eif.cpio import BytesContent, Entry, Kind, read_content
from nitrosim.eif.cpio_reader import read_cpio
from nitrosim.eif.cpio_writer import Archive
from nitrosim.eif.ramdisk import bootstrap_ramdisk, customer_ramdisk
from nitrosim.errors import EnclaveError
from nitrosim.instance import Instance

pytestmark = [
    pytest.mark.needs("userns"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86_64: so are the images"),
]

REPOSITORY = Path(__file__).resolve().parent.parent.parent
EIFS = REPOSITORY / "fixtures" / "eif"
PATIENCE = 20
SAID = b"""\
eif-vector hello
argv 0=/bin/hello
argv 1=3
argv 2=two words
env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
env HELLO=Hello from the enclave side!
env EQ=a=b=c
env EMPTY=
cwd /
uid 0
""".replace(b"\n", b"\r\n")
BUILD = BuildInfo(
    time="2024-01-02T03:04:05+00:00",
    tool="tests",
    tool_version="1",
    operating_system="Linux",
    kernel_version="4.14.256",
)

PROBE = r"""
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

static void say(const char *what, const char *path, int result)
{
    printf("%s %s: %s\n", what, path, result < 0 ? strerror(errno) : "done");
}

int main(int count, char **words)
{
    char text[4096];
    struct stat status;
    for (int n = 1; n + 1 < count; n += 2) {
        const char *path = words[n + 1];
        if (!strcmp(words[n], "write")) {
            say("write", path, open(path, O_WRONLY | O_CREAT | O_APPEND, 0644));
        } else if (!strcmp(words[n], "move")) {
            say("move", path, rename(path, "/moved"));
        } else if (!strcmp(words[n], "remove")) {
            say("remove", path, unlink(path));
        } else if (!strcmp(words[n], "run")) {
            say("run", path, access(path, X_OK));
        } else if (!strcmp(words[n], "read")) {
            int fd = open(path, O_RDONLY);
            ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text);
            if (size < 0)
                say("read", path, -1);
            else
                printf("read %s: %.*s", path, (int)size, text);
        } else if (!strcmp(words[n], "look")) {
            if (lstat(path, &status) < 0)
                say("look", path, -1);
            else
                printf("look %s: %o %u:%u\n", path, status.st_mode, status.st_uid, status.st_gid);
        } else if (!strcmp(words[n], "wait")) {
            pause();
        }
    }
    return 0;
}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keep what is unpacked out of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "nitrosim" / "eif"


@pytest.fixture
def run_eif(instance, keep_enclave):
    """Start enclaves from images; they end with the test."""

    def run(path, **options):
        return keep_enclave(instance.run_enclave(eif=path, **options))

    return run


@pytest.fixture(scope="session")
def hello():
    with Eif.open(EIFS / "hello-unsigned.eif") as eif:
        ramdisk = eif.payload(eif.sections_of(SectionType.RAMDISK)[1])
        (program,) = [
            read_content(entry) for entry in read_cpio(ramdisk) if entry.name == b"rootfs/bin/hello"
        ]
    return program


@pytest.fixture(scope="session")
def probe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.c").write_text(PROBE)
    subprocess.run(["cc", "-static", "-o", "probe", "probe.c"], cwd=folder, check=True)
    return (folder / "probe").read_bytes()


def folder(name):
    return Entry(name=name, kind=Kind.DIRECTORY, mode=0o755)


def file(name, data, mode=0o644, owner=0):
    content = BytesContent(data)
    return Entry(name=name, kind=Kind.FILE, mode=mode, uid=owner, gid=owner, content=content)


@pytest.fixture
def build(tmp_path):
    """Write an image as nitro-cli does it."""

    def build(*entries, command, environment=(), application=None):
        boot = bootstrap_ramdisk(BytesContent(b"init"), BytesContent(b"module"))
        application = application or customer_ramdisk(entries, command, environment)
        write_eif(
            tmp_path / "test.eif",
            kernel=b"kernel",
            cmdline="console=ttyS0",
            ramdisks=[boot.chunks(), application.chunks()],
            metadata=Metadata(image_name="test", image_version="1", build=BUILD),
        )
        return tmp_path / "test.eif"

    return build


def console_of(enclave):
    return enclave.console.read_all(timeout=PATIENCE)


def lines_of(enclave):
    return console_of(enclave).decode().splitlines()


def described(path):
    """Return the registers that nitro-cli prints for an image, by number."""
    with Eif.open(path) as eif:
        measurements = describe(eif)["Measurements"]
    return {
        int(name.removeprefix("PCR")): value
        for name, value in measurements.items()
        if name.startswith("PCR")
    }


# ---- the images of the fixtures ----


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
def test_the_program_of_an_image_runs_as_its_init_would_run_it(run_eif, name):
    enclave = run_eif(EIFS / f"{name}.eif")

    assert (SAID, 3) == (console_of(enclave), enclave.wait(timeout=PATIENCE))
    assert name == enclave.name
    unsigned = {8: bytes(48).hex()}
    assert unsigned | described(EIFS / f"{name}.eif") == {
        index: enclave.pcrs[index].hex() for index in (0, 1, 2, 8)
    }


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("aarch64-flag", "ARCHITECTURE"),
        ("bad-crc", "CRC"),
        ("sig-pcr0-mismatch", "PCR0_MISMATCH"),
    ],
)
def test_what_would_not_boot_does_not_run(instance, name, code):
    with pytest.raises(EifError) as caught:
        instance.run_enclave(eif=EIFS / f"{name}.eif")

    assert code == caught.value.code
    assert [] == instance.enclaves()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"command": ["true"], "eif": EIFS / "hello-unsigned.eif"},
        {"env": {}, "eif": EIFS / "hello-unsigned.eif"},
        {"app_dir": ".", "eif": EIFS / "hello-unsigned.eif"},
    ],
)
def test_an_enclave_is_started_from_a_command_or_from_an_image(instance, options):
    with pytest.raises(EnclaveError, match="either a command") as caught:
        instance.run_enclave(**options)

    assert "ENCLAVE_SOURCE" == caught.value.code


# ---- what is attested ----


def registers_in_document(enclave):
    answer = enclave.nsm_request(cbor2.dumps({"Attestation": {}}))
    document = cbor2.loads(answer)["Attestation"]["document"]
    registers = cbor2.loads(cbor2.loads(document)[2])["pcrs"]
    return {index: registers[index].hex() for index in (0, 1, 2, 8)}


@pytest.mark.needs("cc", "openssl")
@pytest.mark.parametrize("signed", [False, True])
def test_documents_hold_what_is_described_or_zeros_in_debug_mode(
    run_eif, build, probe, tmp_path, signed
):
    path = build(folder(b"bin/"), file(b"bin/p", probe, 0o755), command=("p", "wait", ""))
    if signed:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout", "key"]
        subprocess.run(
            ["openssl", "req", "-x509", *key, "-subj", "/CN=me", "-days", "2", "-out", "cert"],
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
        sign_eif(path, PemSigner.from_files(str(tmp_path / "cert"), str(tmp_path / "key")))

    zero = bytes(48).hex()
    assert {8: zero} | described(path) == registers_in_document(run_eif(path))
    assert signed == (8 in described(path))
    debugged = run_eif(path, debug_mode=True)
    assert dict.fromkeys((0, 1, 2, 8), zero) == registers_in_document(debugged)


# ---- what init does ----


def test_a_command_is_found_on_the_path_of_init_and_not_that_of_the_image(run_eif, build, hello):
    programs = [
        *map(folder, (b"bin/", b"sbin/", b"usr/", b"usr/bin/", b"usr/local/", b"usr/local/bin/")),
        *(file(name, hello, 0o755) for name in (b"usr/bin/app", b"usr/local/bin/other")),
    ]
    environment = ("PATH=/usr/local/bin",)

    found = run_eif(build(*programs, command=("app", "5"), environment=environment))
    assert 5 == found.wait(timeout=PATIENCE)
    assert ["argv 0=app", "argv 1=5", "env PATH=/usr/local/bin"] == lines_of(found)[1:4]

    with pytest.raises(EnclaveError, match="cannot execute other: No such file") as caught:
        run_eif(build(*programs, command=("other",), environment=environment))
    assert "ENCLAVE_START" == caught.value.code


def test_a_script_without_an_interpreter_is_run_by_the_shell_of_the_image(run_eif, build, hello):
    script = file(b"bin/run.sh", b"# a comment\necho never\n", 0o755)
    image = build(folder(b"bin/"), file(b"bin/sh", hello, 0o755), script, command=("run.sh", "one"))

    said = lines_of(run_eif(image))

    assert ["argv 0=/bin/sh", "argv 1=/bin/run.sh", "argv 2=one"] == said[1:4]


def test_without_a_command_there_is_a_shell_with_the_path_of_init(run_eif, build, hello):
    image = build(folder(b"bin/"), file(b"bin/sh", hello, 0o755), command=())

    said = lines_of(run_eif(image))

    assert ["argv 0=sh", "env PATH=/sbin:/usr/sbin:/bin:/usr/bin", "cwd /"] == said[1:4]


# ---- the root directory ----


@pytest.mark.needs("cc")
def test_the_files_are_those_of_the_image_and_belong_to_root(run_eif, build, probe):
    image = build(
        *map(folder, (b"bin/", b"data/", b"etc/", b"tmp/")),
        file(b"bin/p", probe, 0o755),
        file(b"data/secret", b"kept\n", 0o600, owner=1000),
        file(b"etc/passwd", b"app:x:1000:1000::/:/bin/sh\n"),
        file(b"tmp/hidden", b"never seen\n"),
        command=(
            *("p", "read", "/etc/passwd", "look", "/data/secret", "read", "/data/secret"),
            *("look", "/tmp/hidden", "look", "/tmp", "look", "/", "look", "/usr"),
            *("look", "/cmd", "look", "/dev/nsm"),
        ),
    )

    assert [
        "read /etc/passwd: app:x:1000:1000::/:/bin/sh",
        "look /data/secret: 100600 0:0",
        "read /data/secret: kept",
        "look /tmp/hidden: No such file or directory",
        "look /tmp: 41777 0:0",
        "look /: 40755 0:0",
        "look /usr: No such file or directory",
        "look /cmd: No such file or directory",
    ] == lines_of(run_eif(image))[:-1]


@pytest.mark.needs("cc")
def test_the_root_directory_is_writable_as_a_whole_and_every_enclave_has_its_own(
    run_eif, build, probe, cache
):
    image = build(
        *map(folder, (b"bin/", b"data/")),
        file(b"bin/p", probe, 0o755),
        file(b"data/old", b"as it was\n"),
        command=(
            *("p", "look", "/moved", "look", "/data/new", "write", "/data/new", "write", "/new"),
            *("write", "/bin/p2", "move", "/data", "move", "/data/old"),
            *("read", "/moved", "run", "/bin/p"),
            *("remove", "/data/new", "look", "/data/new"),
        ),
    )
    said = [
        "look /moved: No such file or directory",
        "look /data/new: No such file or directory",
        "write /data/new: done",
        "write /new: done",
        "write /bin/p2: done",
        "move /data: Invalid cross-device link",
        "move /data/old: done",
        "read /moved: as it was",
        "run /bin/p: done",
        "remove /data/new: done",
        "look /data/new: No such file or directory",
    ]

    assert said == lines_of(run_eif(image))
    assert said == lines_of(run_eif(image))
    assert ["old"] == [path.name for path in cache.glob("*/root/data/*")]


def test_an_image_may_lack_the_directories_that_are_mounted_upon(run_eif, build, hello):
    entries = [
        *map(folder, (b"rootfs", b"rootfs/app")),
        file(b"rootfs/app/hello", hello, 0o755),
        file(b"cmd", b"/app/hello\n7\n"),
        file(b"env", b""),
    ]
    image = build(command=None, application=Archive(entries))

    enclave = run_eif(image)

    assert ["argv 0=/app/hello", "argv 1=7"] == lines_of(enclave)[1:3]
    assert 7 == enclave.wait(timeout=PATIENCE)


@pytest.mark.needs("cc")
def test_the_root_directory_is_open_for_all_users_whoever_starts_the_enclave(build, probe):
    looks = ("look", "/", "look", "/bin", "look", "/dev", "look", "/dev/pts")
    image = build(folder(b"bin/"), file(b"bin/p", probe, 0o755), command=("p", *looks))
    usual = os.umask(0o077)
    try:
        with Instance() as instance:
            said = lines_of(instance.run_enclave(eif=image))
    finally:
        os.umask(usual)

    places = ("/", "/bin", "/dev", "/dev/pts")
    assert [f"look {place}: 40755 0:0" for place in places] == said


# ---- the cache ----


def test_an_image_is_unpacked_once(run_eif, cache):
    for name in ("hello-unsigned", "hello-signed-es384"):
        assert SAID == console_of(run_eif(EIFS / f"{name}.eif"))
        (entry,) = cache.glob("*/entry.json")
        # What is unpacked again is another file.
        made = entry.stat().st_ino, entry.stat().st_ctime_ns
        assert SAID == console_of(run_eif(EIFS / f"{name}.eif"))
        assert made == (entry.stat().st_ino, entry.stat().st_ctime_ns)


def test_an_image_is_unpacked_again_when_its_cache_is_damaged(run_eif, cache):
    assert SAID == console_of(run_eif(EIFS / "hello-unsigned.eif"))
    (program,) = cache.glob("*/root/bin/hello")
    program.unlink()

    assert SAID == console_of(run_eif(EIFS / "hello-unsigned.eif"))


RUNNER = """
import json, sys
from nitrosim import Instance
with Instance() as instance:
    sys.stdin.read()
    enclave = instance.run_enclave(eif=sys.argv[1])
    print(json.dumps([enclave.wait(20), enclave.console.read_all(timeout=20).decode()]))
"""


def test_two_processes_run_an_image_at_once(cache):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(EIFS / "hello-unsigned.eif")],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for process in processes:
        process.stdin.close()
        process.stdin = None
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in processes]

    assert [[3, SAID.decode()]] * 2 == answers
    assert 1 == len([*cache.glob("*/entry.json")])
