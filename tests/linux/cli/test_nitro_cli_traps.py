"""What programmers fall for who know nitro-cli from its documentation, with real enclaves.

The numbers are those of a list of such traps; tests/unit has those that need no enclave.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from docker_engine import make_image, running_engine
from nitrosim.instance import Instance
from small_images import program, write_image

pytestmark = [
    pytest.mark.needs("userns", "cc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86_64: so are the images"),
]

EIFS = Path(__file__).resolve().parents[3] / "fixtures" / "eif"

# Tries what is said of an enclave's environment, and says what came of it.
PROBE = r"""
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int count, char **words)
{
    char folder[4096];
    struct ifreq lo = {.ifr_name = "lo"};
    close(open("/tmp/x", O_WRONLY | O_CREAT, 0755));
    printf("/tmp/x can be executed: %d\n", access("/tmp/x", X_OK) == 0);
    close(open("/x", O_WRONLY | O_CREAT, 0755));
    printf("/x can be executed: %d\n", access("/x", X_OK) == 0);
    ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCGIFFLAGS, &lo);
    printf("lo is up: %d\n", (lo.ifr_flags & IFF_UP) != 0);
    printf("user %d in %s with %d words: %s\n", (int)getuid(), getcwd(folder, sizeof folder), count,
           words[count - 1]);
    return 0;
}
"""


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.c").write_text(PROBE)
    subprocess.run(["cc", "-static", "-o", "probe", "probe.c"], cwd=folder, check=True)
    return (folder / "probe").read_bytes()


@pytest.fixture(autouse=True)
def cli(nitro_cli):
    """Give each test a pool of two cores, and no enclave of another one."""
    nitro_cli.set_pool(cpus="1,2,5,6", memory_mib=1024)
    yield nitro_cli
    assert 0 == nitro_cli.call("terminate-enclave", "--all").status


@pytest.fixture
def run(cli):
    """Return a function that runs an image well; what it prints."""

    def run(path, *words):
        options = ("--cpu-count", 2, "--memory", 64)
        done = cli.call("run-enclave", "--eif-path", path, *options, *words)
        assert 0 == done.status, done.errors
        return done.output

    return run


@pytest.fixture
def shown(run):
    """Return a function that runs an image whose program ends; what is on its console."""

    def shown(path):
        output = run(path, "--attach-console")
        return output.partition("Successfully connected to the console.\n")[2].splitlines()

    return shown


@pytest.fixture
def image(tmp_path):
    """Return the path of a small image, which a test may write anew."""
    path = tmp_path / "small.eif"
    write_image(path)
    return path


def with_flags(path, flags):
    """Give an image these flags, and the checksum that goes with them."""
    content = bytearray(path.read_bytes())
    content[6:8] = struct.pack(">H", flags)
    content[544:548] = struct.pack(">I", zlib.crc32(content[548:], zlib.crc32(content[:544])))
    path.write_bytes(content)


def test_trap_5_in_debug_mode_descriptions_have_the_real_registers_and_documents_zeros(
    cli, run, image
):
    run(image, "--debug-mode")

    (described,) = cli.described()
    of_image = json.loads(cli.call("describe-eif", "--eif-path", image).output)
    assert of_image["Measurements"] == described["Measurements"]
    with Instance("cli") as instance:
        pcrs = instance.enclave("small").pcrs
    assert [bytes(48)] * 3 == [pcrs[index] for index in range(3)]


def test_trap_6_cmd_wins_over_entrypoint_and_workdir_and_user_count_for_nothing(
    cli, shown, probe, tmp_path, monkeypatch
):
    made = make_image(
        files={"probe": probe, "other": program()},
        Entrypoint=["/other"],
        Cmd=["/probe", "of Cmd"],
        WorkingDir="/tmp",
        User="1000",
    )
    for name in ("NITRO_CLI_ARTIFACTS", "NITRO_CLI_BLOBS"):
        monkeypatch.setenv(name, str(tmp_path / name))
    with running_engine() as engine:
        engine.images["app:latest"] = made
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        output = ("--output-file", tmp_path / "app.eif")
        assert 0 == cli.call("build-enclave", "--docker-uri", "app", *output).status

    assert "user 0 in / with 2 words: of Cmd" == shown(tmp_path / "app.eif")[-1]


def test_trap_7_a_command_is_not_looked_for_where_the_image_has_its_programs(
    shown, probe, tmp_path
):
    for name, folder in (("found", b"bin"), ("lost", b"usr/local/bin")):
        files = ((folder + b"/probe", probe),)
        write_image(tmp_path / f"{name}.eif", command=("probe", "x"), files=files)

    assert "user 0 in / with 2 words: x" == shown(tmp_path / "found.eif")[-1]
    assert ["execvpe: probe: No such file or directory"] == shown(tmp_path / "lost.eif")


def test_trap_8_nothing_in_tmp_can_be_executed(shown, probe, image):
    write_image(image, command=("/probe", "x"), files=((b"probe", probe),))

    assert ["/tmp/x can be executed: 0", "/x can be executed: 1"] == shown(image)[:2]


def test_trap_9_lo_is_down(shown, probe, image):
    write_image(image, command=("/probe", "x"), files=((b"probe", probe),))

    assert "lo is up: 0" == shown(image)[2]


def test_trap_12_image_with_the_size_of_an_old_signature_in_its_header_runs(cli, shown):
    path = EIFS / "resigned-stale-size.eif"

    assert 0 == cli.call("describe-eif", "--eif-path", path).status
    assert "eif-vector hello" == shown(path)[0]


@pytest.mark.needs("openssl")
def test_trap_12_image_that_is_signed_again_runs(cli, shown, tmp_path):
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", "key", "-subj", "/CN=me", "-days", "2", "-out", "cert"),
        ],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    path = tmp_path / "app.eif"
    path.write_bytes((EIFS / "hello-signed-es384.eif").read_bytes())
    signing = ("--signing-certificate", tmp_path / "cert", "--private-key", tmp_path / "key")

    assert 0 == cli.call("sign-eif", "--eif-path", path, *signing).status
    assert "eif-vector hello" == shown(path)[0]


def test_trap_19_a_name_in_use_gets_a_number(cli, run, image):
    run(image)
    run(image)

    assert ["small", "small_1"] == [enclave["EnclaveName"] for enclave in cli.described()]
    assert 0 == cli.call("terminate-enclave", "--enclave-name", "small").status
    assert "small" == json.loads(run(image))["EnclaveName"]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("app.eif", "app"),
        ("app.eif.eif", "app"),
        ("app.eif.v1", "app.eif.v1"),
        ("app.v1.eif", "app.v1"),
        (".eif", ""),
        ("app", "app"),
    ],
)
def test_trap_20_a_name_is_that_of_the_file_without_every_eif_at_its_end(run, image, file, name):
    path = image.rename(image.with_name(file))

    assert name == json.loads(run(path))["EnclaveName"]


def test_trap_24_run_enclave_is_done_before_the_program_is_executed(cli, run, image):
    write_image(image, command=("/missing",))

    enclave = json.loads(run(image))
    cli.await_end(enclave["EnclaveID"])
    assert [] == cli.described()


@pytest.fixture
def configured(cli, image, tmp_path):
    """Return a function that runs an image with a file of settings; how that ended."""

    def configured(*words, **settings):
        settings = {"eif_path": str(image), "memory_mib": 64, "cpu_count": 2, **settings}
        (tmp_path / "config.json").write_text(json.dumps(settings))
        return cli.call("run-enclave", "--config", tmp_path / "config.json", *words)

    return configured


@pytest.mark.parametrize("cid", [1, 2, 3, (1 << 32) - 1, 1 << 32])
def test_trap_25_cid_in_a_file_of_settings_is_refused_by_the_hypervisor(configured, cid):
    done = configured(enclave_cid=cid)

    assert (39, "") == (done.status, done.output)
    assert done.errors.startswith("Start allocating memory...\n[ E29 ] ")


def test_trap_25_cid_0_in_a_file_of_settings_is_any_without_a_word(configured):
    done = configured(enclave_cid=0)

    assert 16 <= json.loads(done.output)["EnclaveCID"]
    assert "auto-generated" not in done.errors


def test_trap_25_attach_console_beside_a_file_of_settings_counts_for_nothing(cli, configured):
    done = configured("--attach-console")

    assert "small" == json.loads(done.output)["EnclaveName"]
    assert ["NONE"] == [enclave["Flags"] for enclave in cli.described()]


@pytest.mark.parametrize("flags", [1 << 6, 1 << 9, 1 << 6 | 1 << 9])
def test_trap_26_flags_of_newer_builders_make_no_difference(cli, run, image, flags):
    with_flags(image, flags)

    assert 0 == cli.call("describe-eif", "--eif-path", image).status
    run(image)


def test_trap_27_bytes_after_the_end_that_are_too_few_for_a_section_are_overlooked(cli, shown):
    path = EIFS / "trailing-bytes.eif"
    described = json.loads(cli.call("describe-eif", "--eif-path", path).output)

    assert True is described["CheckCRC"]
    assert "eif-vector hello" == shown(path)[0]


def test_trap_27_as_many_bytes_as_a_section_has_at_least_are_not(cli, image):
    image.write_bytes(image.read_bytes() + bytes(12))

    assert 35 == cli.call("describe-eif", "--eif-path", image).status
