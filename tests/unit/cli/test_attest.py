import argparse
import base64
import hashlib
import io
import json

import cbor2
import pytest
from cryptography import x509

import nitrosim.instance
from nitrosim.cli import attest

PCR = bytes(range(48)).hex()


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("NITROSIM_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


class Output(io.StringIO):
    """Standard output that is a pipe, or says that it is a terminal."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self.buffer = io.BytesIO()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture
def run_attest(monkeypatch, capsys):
    """Run the command; return exit status, standard output and standard error."""

    def run(*words: str, terminal: bool = False, as_json: bool = False):
        parser = argparse.ArgumentParser()
        attest.add_parser(parser.add_subparsers())
        args = parser.parse_args(["attest", *words])
        args.instance, args.json = "default", as_json
        output = Output(terminal=terminal)
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", output)
            status = args.run(args)
        return status, output, capsys.readouterr().err

    return run


@pytest.fixture
def payload_from(run_attest):
    """Run the command with a pipe as standard output and decode the payload."""

    def run(*words: str):
        status, output, error = run_attest(*words)
        assert (status, output.getvalue(), error) == (0, "", "")
        return cbor2.loads(cbor2.loads(output.buffer.getvalue())[2])

    return run


def extended(data: bytes) -> bytes:
    return hashlib.sha384(bytes(48) + data).digest()


def test_a_document_has_stable_measurements_that_are_not_zero(payload_from):
    payload = payload_from()
    pcrs = payload["pcrs"]
    instance_id = payload["module_id"].partition("-enc")[0]
    assert [index for index, value in pcrs.items() if any(value)] == [0, 1, 2, 4]
    assert extended(hashlib.sha384(b"nitrosim attest: image").digest()) == pcrs[0]
    assert extended(instance_id.encode()) == pcrs[4]
    assert pcrs == payload_from()["pcrs"]
    assert tuple(payload[name] for name in ("public_key", "user_data", "nonce")) == (
        None,
        None,
        None,
    )


def test_every_document_is_of_a_new_enclave_under_the_instance_root(payload_from, state):
    first, second = payload_from(), payload_from()
    root = x509.load_pem_x509_certificate((state / "default" / "ca" / "root.pem").read_bytes())
    for payload in (first, second):
        assert root == x509.load_der_x509_certificate(payload["cabundle"][0])
    assert first["module_id"] != second["module_id"]


def test_fields_come_from_the_options(payload_from, tmp_path):
    (tmp_path / "key.der").write_bytes(b"\x30\x00")
    payload = payload_from(
        "--nonce", "00ff", "--user-data", "", "--public-key", str(tmp_path / "key.der")
    )
    assert payload["nonce"] == b"\x00\xff"
    assert payload["user_data"] == b""
    assert payload["public_key"] == b"\x30\x00"


def test_given_registers_are_shown_and_those_of_the_application_locked(payload_from):
    pcrs = payload_from("--pcr", f"0={PCR}", "--pcr", f"8={PCR}", "--pcr", f"17={PCR.upper()}")[
        "pcrs"
    ]
    assert [*range(16), 17] == list(pcrs)
    assert {0, 8, 17} == {index for index, value in pcrs.items() if value.hex() == PCR}


def test_debug_mode_zeroes_the_image_but_not_the_parent(payload_from):
    pcrs = payload_from("--debug-mode", "--pcr", f"3={PCR}")["pcrs"]
    assert [index for index, value in pcrs.items() if any(value)] == [3, 4]


def test_a_file_gets_the_raw_bytes(run_attest, tmp_path):
    file = tmp_path / "document.cbor"
    status, output, error = run_attest("-o", str(file), terminal=True)
    assert (status, output.getvalue(), output.buffer.getvalue(), error) == (0, "", b"", "")
    assert file.read_bytes().startswith(bytes.fromhex("8444a1013822a059"))


def test_json_carries_the_document_as_base64(run_attest, tmp_path):
    status, output, _ = run_attest(as_json=True, terminal=True)
    answer = json.loads(output.getvalue())
    assert status == 0
    assert answer["bytes"] == len(base64.b64decode(answer["document_base64"]))
    file = tmp_path / "document.cbor"
    _, output, _ = run_attest("-o", str(file), as_json=True)
    answer = json.loads(output.getvalue())
    assert str(file) == answer["file"]
    assert file.read_bytes() == base64.b64decode(answer["document_base64"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nonce", "0"], "--nonce: expected hexadecimal digits in pairs, got '0'"),
        (["--user-data", "xy"], "--user-data: expected hexadecimal"),
        (["--public-key", "/nowhere/key"], "cannot read /nowhere/key: No such file"),
        (["--pcr", PCR], "expected N=HEX"),
        (["--pcr", f"32={PCR}"], "N from 0 to 31"),
        ([f"--pcr=-1={PCR}"], "N from 0 to 31"),
        (["--pcr", f"{'9' * 5000}={PCR}"], "N from 0 to 31"),
        (["--pcr", "0="], "--pcr 0: expected 48 bytes"),
        (["--pcr", "0=00"], "--pcr 0: expected 48 bytes (96 hexadecimal digits), got 2 digits"),
        (["--pcr", f"0={'g' * 96}"], "--pcr 0: expected hexadecimal"),
        (["--pcr", f"3={PCR}", "--pcr", f"3={PCR}"], "PCR3 is given twice"),
        (["--pcr", f"8={PCR}", "--debug-mode"], "--pcr 8 does not go with --debug-mode"),
        (["--enclave", "web", "--pcr", f"3={PCR}"], "do not go with --enclave"),
        (["--enclave", "web", "--debug-mode"], "do not go with --enclave"),
        (["-o", "/nowhere/document"], "-o: cannot write /nowhere/document: No such file"),
    ],
)
def test_input_errors_are_one_line_and_exit_status_2(run_attest, words, message):
    status, output, error = run_attest(*words)
    assert (status, output.getvalue(), output.buffer.getvalue()) == (2, "", b"")
    assert message in error
    assert error.startswith("nitrosim attest: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["-o", "-"]])
def test_a_terminal_gets_no_binary(run_attest, words):
    status, output, error = run_attest(*words, terminal=True)
    assert (status, output.getvalue(), output.buffer.getvalue()) == (2, "", b"")
    assert "use -o FILE, a pipe, or --json" in error


def test_a_request_that_the_module_refuses_is_exit_status_1(run_attest):
    status, output, error = run_attest("--nonce", "00" * 5000)
    assert (status, output.buffer.getvalue()) == (1, b"")
    assert error == "nitrosim attest: the module answered InputTooLarge\n"


class FakeInstance:
    """Stands for the simulated instance: it has one enclave, which answers what it is told to."""

    asked = ()
    answer = cbor2.dumps({"Attestation": {"document": b"of the enclave"}})

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def enclave(self, name):
        self.enclave_name = name
        return self

    def nsm_request(self, request):
        FakeInstance.asked = (self.name, self.enclave_name, cbor2.loads(request))
        return self.answer


@pytest.fixture
def instance(monkeypatch):
    monkeypatch.setattr(nitrosim.instance, "Instance", FakeInstance)
    return FakeInstance


def test_a_running_enclave_is_asked_through_its_instance(run_attest, instance):
    status, output, _ = run_attest("--enclave", "web", "--nonce", "aa")
    fields = {"user_data": None, "nonce": b"\xaa", "public_key": None}
    assert ("default", "web", {"Attestation": fields}) == instance.asked
    assert (status, output.buffer.getvalue()) == (0, b"of the enclave")


def test_what_a_running_enclave_refuses_is_exit_status_1(run_attest, instance, monkeypatch):
    monkeypatch.setattr(instance, "answer", cbor2.dumps({"Error": "InternalError"}))
    status, _, error = run_attest("--enclave", "web")
    assert (status, error) == (1, "nitrosim attest: the module answered InternalError\n")
