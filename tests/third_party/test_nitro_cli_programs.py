"""Unmodified programs in enclaves that nitro-cli has started, and their clients on the parent.

A program is built into an image, run by nitro-cli, and talked to by a program of the parent
instance with the CID that nitro-cli has printed. Its document carries what describe-eif prints.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nitrosim.attestation import Pcrs, Verifier, read_unverified
from nitrosim.hypervisor.client import connect
from nitrosim.instance import shut_down
from nitrosim.places import named_places

pytestmark = pytest.mark.needs("userns", "go")

PATIENCE = 60
PORT = 5005
NONCE = bytes(range(32))
INSTANCE = "programs"
COMMANDS = {"nitrosim": "nitrosim.cli.main", "nitro-cli": "nitrosim.cli.nitro_cli.main"}


@pytest.fixture(scope="module")
def place():
    """Return a directory in which nitro-cli has its files."""
    # Short: an AF_UNIX address has little room.
    with (
        tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as name,
        pytest.MonkeyPatch.context() as monkeypatch,
    ):
        for variable in ("HOME", "XDG_RUNTIME_DIR", "NITROSIM_STATE"):
            monkeypatch.setenv(variable, name)
        monkeypatch.setenv("NITROSIM_INSTANCE", INSTANCE)
        yield Path(name)
        shut_down(INSTANCE)


def run(command, *words, status=0):
    """Run a command; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", COMMANDS[command], *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert status == done.returncode, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


@pytest.fixture(scope="module")
def build(place, go_program):
    """Return a function that makes an image of the Go program with some arguments."""
    root = place / "root"
    root.mkdir()
    (root / "app").write_bytes(go_program.read_bytes())
    (root / "app").chmod(0o755)

    def build(*words):
        image = place / f"{words[0]}.eif"
        run("nitrosim", "build", "--rootfs", root, "--output", image, "--", "/app", *words)
        return image

    return build


@pytest.fixture
def run_enclave():
    """Return a function that starts an enclave whose program listens; returns what is printed.

    The enclaves end with the test.
    """

    def start(image, *words):
        settings = ("--cpu-count", 2, "--memory", 512, *words)
        facts = json.loads(run("nitro-cli", "run-enclave", "--eif-path", image, *settings))
        with contextlib.closing(connect(named_places(INSTANCE))) as connection:
            _answer, fd = connection.request_with_fd(
                "connect", enclave=facts["EnclaveName"], port=PORT, timeout=PATIENCE
            )
            os.close(fd)
        return facts

    yield start
    run("nitro-cli", "terminate-enclave", "--all")


def registers(image):
    """Return what describe-eif prints of an image, by number."""
    described = json.loads(run("nitro-cli", "describe-eif", "--eif-path", image))["Measurements"]
    return {
        int(name.removeprefix("PCR")): bytes.fromhex(value)
        for name, value in described.items()
        if name.startswith("PCR")
    }


def test_a_program_of_the_parent_reaches_the_cid_that_was_printed(build, run_enclave, go_program):
    image = build("listen", PORT)
    enclaves = [run_enclave(image), run_enclave(image, "--enclave-cid", 10001, "--debug-mode")]
    cids = [enclave["EnclaveCID"] for enclave in enclaves]

    said = [
        run("nitrosim", "parent", "--", go_program, "dial", cid, PORT, f"hello {cid}")
        for cid in cids
    ]

    console = ("console", "--enclave-id", enclaves[1]["EnclaveID"], "--disconnect-timeout", 1)
    assert 10001 == cids[1]
    for cid, lines in zip(cids, said, strict=True):
        assert lines.startswith(f"peer {cid}:{PORT} local ")
        assert lines.endswith(f"\nanswer hello {cid}\n")
    assert "\npeer 3:" in run("nitro-cli", *console)


@pytest.fixture
def document_from(sample, place):
    """Return a function that fetches a document by the client of the sample, which verifies it."""
    root = place / "root.pem"
    root.write_text(run("nitrosim", "ca", "--pem"))

    def fetch(cid, pcrs, *, status=0):
        expected = [f"--pcr={index}={value.hex()}" for index, value in pcrs.items()]
        client = (sys.executable, sample / "client.py", cid, PORT, "--nonce", NONCE.hex())
        said = run(
            *("nitrosim", "parent", "--", *client, "--output", place / "document"),
            *("--root-pem", root, *expected),
            status=status,
        )
        return (place / "document").read_bytes(), said

    return fetch


def sign(image, place):
    """Sign an image with a new key."""
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes")
    subprocess.run(
        ["openssl", "req", "-x509", *curve, "-keyout", "key", "-subj", "/CN=me", "-out", "cert"],
        cwd=place,
        capture_output=True,
        check=True,
    )
    key = ("--signing-certificate", place / "cert", "--private-key", place / "key")
    run("nitro-cli", "sign-eif", "--eif-path", image, *key)


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_the_document_from_inside_carries_what_describe_eif_prints(
    build, run_enclave, document_from, place, signed
):
    image = build("ping-attest", PORT)
    if signed:
        sign(image, place)
    pcrs = registers(image)
    facts = run_enclave(image)
    described = json.loads(run("nitro-cli", "describe-enclaves"))[0]

    document, said = document_from(facts["EnclaveCID"], pcrs)

    assert [0, 1, 2, 8][: 3 + signed] == list(pcrs)
    assert {f"PCR{index}": value.hex() for index, value in pcrs.items()} == {
        name: value for name, value in described["Measurements"].items() if name != "HashAlgorithm"
    }
    verifier = Verifier(roots=[(place / "root.pem").read_bytes()])
    verified = verifier.verify(document, Pcrs(pcrs), nonce=NONCE)
    assert {8: bytes(48), **pcrs} == {index: verified.pcrs[index] for index in (8, 0, 1, 2)}
    instance, _enc, slot = facts["EnclaveID"].rpartition("-enc")
    assert f"{instance}-enc{slot:0>16}" == verified.module_id
    assert f"verified: {verified.module_id}" in said


def test_a_document_in_debug_mode_carries_zeros_where_describe_enclaves_shows_the_image(
    build, run_enclave, document_from
):
    image = build("ping-attest", PORT)
    pcrs = registers(image)
    facts = run_enclave(image, "--debug-mode")
    described = json.loads(run("nitro-cli", "describe-enclaves"))[0]

    document, said = document_from(facts["EnclaveCID"], pcrs, status=1)

    assert "PCR_MISMATCH" in said
    claimed = read_unverified(document).claims.pcrs
    assert dict.fromkeys((0, 1, 2, 8), bytes(48)) == {n: claimed[n] for n in (0, 1, 2, 8)}
    assert ("DEBUG_MODE", pcrs[0].hex()) == (described["Flags"], described["Measurements"]["PCR0"])
