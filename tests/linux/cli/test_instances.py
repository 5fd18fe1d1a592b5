"""The commands around an instance: its documents, its root, its beginning and its end."""

import json
import os
import select
import tempfile
from pathlib import Path

import pytest

from nitrosim.instance import shut_down

pytestmark = pytest.mark.needs("userns")
PATIENCE = 30


def wait_for_end(pidfd):
    ready, _, _ = select.select([pidfd], [], [], PATIENCE)
    os.close(pidfd)
    return bool(ready)


def test_document_of_a_running_enclave_is_verified_with_the_instance_root(nitrosim):
    nitrosim("run", "--detach", "--name", "attested", "--", "cat")
    nitrosim("attest", "--enclave", "attested", "--nonce", "c0ffee", "-o", "document.cbor")
    shown = json.loads(nitrosim("inspect", "--json", "document.cbor").stdout)["unverified"]
    pcrs = [f"{index}={shown['pcrs'][index]}" for index in "0124"]
    words = [word for pcr in pcrs for word in ("--pcr", pcr)]

    done = nitrosim("verify", "document.cbor", "--root", "instance", "--nonce", "c0ffee", *words)
    against_aws = nitrosim("verify", "document.cbor", "--nonce", "c0ffee", *words)

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("verified    enclave document\n")
    assert 1 == against_aws.returncode
    assert against_aws.stderr.startswith("UNTRUSTED_ROOT: ")


def test_document_of_an_unknown_enclave_is_refused(nitrosim):
    done = nitrosim("attest", "--enclave", "nobody", "--json")

    assert 4 == done.returncode
    assert "NO_SUCH_ENCLAVE" == json.loads(done.stdout)["code"]


def test_root_outlives_the_hypervisor_and_belongs_to_one_instance(nitrosim, home):
    before = nitrosim("ca", "--json").stdout
    nitrosim("run", "--", "true")
    nitrosim("shutdown")

    facts = json.loads(before)
    other = json.loads(nitrosim("ca", "--json", "--instance", "other").stdout)
    assert before == nitrosim("ca", "--json").stdout
    assert facts["pem"] == (home / "state" / "cli" / "ca" / "root.pem").read_text()
    assert facts["sha256"] != other["sha256"]


def test_shutdown_ends_detached_enclaves_and_programs_of_the_parent_go_on(nitrosim, start_nitrosim):
    pid = json.loads(nitrosim("run", "--detach", "--", "cat").stdout)["ProcessID"]
    pidfd = os.pidfd_open(pid)
    parent = start_nitrosim("parent", "--", "sh", "-c", "echo up; read line", stdin=-1)
    parent.stdout.readline()

    done = nitrosim("shutdown")

    assert (0, "instance cli has ended\n") == (done.returncode, done.stdout)
    assert wait_for_end(pidfd)
    assert parent.poll() is None
    assert "instance cli was not running\n" == nitrosim("shutdown").stdout


def test_commands_that_race_for_the_start_meet_in_one_instance(start_nitrosim):
    shut_down("cli")
    racers = [start_nitrosim("run", "--detach", "--", "cat") for _ in range(5)]

    answers = [json.loads(racer.communicate(timeout=PATIENCE)[0]) for racer in racers]

    assert [16, 17, 18, 19, 20] == sorted(answer["EnclaveCID"] for answer in answers)
    assert 1 == len({answer["EnclaveID"].partition("-enc")[0] for answer in answers})
    shut_down("cli")


def test_command_after_command_after_shutdown_finds_or_starts_the_instance(nitrosim):
    for _ in range(3):
        assert 0 == nitrosim("run", "--", "true").returncode
        assert 0 == nitrosim("shutdown").returncode


def test_two_instances_do_not_see_each_other(nitrosim):
    here = json.loads(nitrosim("run", "--detach", "--name", "e", "--cid", 30, "--", "cat").stdout)
    there = nitrosim("--instance", "other", "run", "--detach", "--cid", 30, "--", "cat")

    assert 0 == there.returncode
    assert here["EnclaveID"][:20] != json.loads(there.stdout)["EnclaveID"][:20]
    assert 4 == nitrosim("attest", "--instance", "other", "--enclave", "e", "--json").returncode
    nitrosim("shutdown", "--instance", "other")


@pytest.mark.parametrize("words", [["run", "--", "true"], ["parent", "--", "true"], ["ca"]])
def test_unusable_state_directory_is_a_clear_error(nitrosim, home, words):
    (home / "file").touch()

    done = nitrosim("--instance", "bad", *words, env={"NITROSIM_STATE": str(home / "file")})

    assert (4, "") == (done.returncode, done.stdout)
    assert str(home / "file") in done.stderr
    assert "NITROSIM_STATE" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["run", "--", "true"], ["parent", "--", "true"], ["shutdown"]])
def test_runtime_directory_that_cannot_be_entered_is_a_clear_error(nitrosim, words):
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as runtime:
        Path(runtime, "nitrosim").touch()

        done = nitrosim(*words, env={"XDG_RUNTIME_DIR": runtime})

    assert (4, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
    assert f"INSTANCE_DIRECTORY: cannot look into {runtime}/nitrosim/cli" in done.stderr


def test_runtime_directory_that_is_a_link_is_refused(nitrosim):
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as runtime:
        Path(runtime, "nitrosim").symlink_to("/usr")

        done = nitrosim("run", "--", "true", env={"XDG_RUNTIME_DIR": runtime})

    assert (4, "") == (done.returncode, done.stdout)
    assert f"INSTANCE_DIRECTORY: will not use {runtime}/nitrosim" in done.stderr
