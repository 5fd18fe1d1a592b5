import argparse
import hashlib
import json
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from nitrosim.authority import AuthorityError
from nitrosim.cli import ca


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("NITROSIM_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def run_ca(capsys):
    def run(*words: str, instance: str = "default", as_json: bool = False) -> str:
        parser = argparse.ArgumentParser()
        ca.add_parser(parser.add_subparsers())
        args = parser.parse_args(["ca", *words])
        args.instance, args.json = instance, as_json
        assert args.run(args) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    return run


def fingerprint(pem: str) -> str:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def test_pem_alone_can_be_piped(run_ca, state):
    output = run_ca("--pem")
    assert (state / "default" / "ca" / "root.pem").read_text() == output


def test_path_fingerprint_and_pem_are_shown(run_ca, state):
    path, sha256, pem = run_ca().split("\n", 2)
    assert ["path", str(state / "default" / "ca" / "root.pem")] == path.split()
    assert ["sha256", fingerprint(pem)] == sha256.split()
    assert run_ca("--pem") == pem


def test_json_has_the_same_facts(run_ca, state):
    facts = json.loads(run_ca(as_json=True))
    pem = run_ca("--pem")
    expected = {
        "path": str(state / "default" / "ca" / "root.pem"),
        "sha256": fingerprint(pem),
        "pem": pem,
    }
    assert expected == facts


def test_every_instance_has_a_root_of_its_own(run_ca):
    assert run_ca("--pem", instance="one") != run_ca("--pem", instance="two")
    assert run_ca("--pem", instance="one") == run_ca("--pem", instance="one")


def test_an_unsafe_directory_is_an_error_with_a_code(run_ca, state):
    run_ca()
    (state / "default" / "ca").chmod(0o777)
    with pytest.raises(AuthorityError) as refused:
        run_ca()
    assert refused.value.code == "AUTHORITY_PERMISSIONS"


def test_registering_the_command_loads_no_crypto_library():
    code = (
        "import argparse, sys; from nitrosim.cli import attest, ca; "
        "sub = argparse.ArgumentParser().add_subparsers(); "
        "ca.add_parser(sub); attest.add_parser(sub); "
        "sys.exit(any(name in sys.modules for name in ('cryptography', 'cbor2', 'fake_nsm')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
