"""The files of the sockets where nitro-cli finds enclaves, and the log: what ends with what."""

import json
import os
import re
import shutil
import signal

import pytest

from nitrosim.backends.command import image_from_command
from nitrosim.errors import EnclaveError
from nitrosim.instance import Instance

pytestmark = pytest.mark.needs("userns")

PATIENCE = 20
KILLED = 128 + signal.SIGKILL


# ---- files ----


def test_everybody_may_connect(path_of, enclave):
    status = path_of(enclave).stat()

    assert (0o140666, os.getuid()) == (status.st_mode, status.st_uid)


def test_a_directory_with_a_long_path_has_room_for_a_socket(boot, sleep, sockets):
    long = sockets / ("d" * 120)
    long.mkdir()
    enclave = boot(sleep, sockets=str(long))

    assert [f"{enclave.enclave_id.rpartition('-enc')[2]}.sock"] == [
        entry.name for entry in long.iterdir()
    ]


@pytest.mark.parametrize("place", ["missing", "a-file"])
def test_where_no_socket_can_be_made_no_enclave_runs(boot, sleep, sockets, instance, place):
    (sockets / "a-file").touch()
    with pytest.raises(EnclaveError, match="cannot make the socket") as caught:
        boot(sleep, sockets=str(sockets / place))

    assert "ENCLAVE_SOCKET" == caught.value.code
    for enclave in instance.enclaves():
        enclave.console.close()
        assert KILLED == enclave.wait(timeout=PATIENCE)


@pytest.mark.parametrize("how", ["removed", "renamed", "moved", "with its directory"])
def test_an_enclave_ends_without_its_file(enclave, path_of, tmp_path, how):
    path = path_of(enclave)
    if how == "removed":
        path.unlink()
    elif how == "renamed":
        path.rename(path.with_name("other"))
    elif how == "moved":
        path.rename(tmp_path / path.name)
    else:
        shutil.rmtree(path.parent)
        path.parent.mkdir()

    assert KILLED == enclave.wait(timeout=PATIENCE)


def test_an_enclave_ends_when_another_file_takes_the_place_of_its_own(enclave, path_of):
    path = path_of(enclave)
    other = path.with_name("other")
    other.write_text("somebody's")
    other.rename(path)

    assert KILLED == enclave.wait(timeout=PATIENCE)
    assert "somebody's" == path.read_text()


def test_an_enclave_goes_on_without_the_files_of_others(boot, sleep, sockets, described, path_of):
    elsewhere = sockets / "elsewhere"
    elsewhere.mkdir()
    staying, going = boot(sleep), boot(sleep)
    far_away = boot(sleep, sockets=str(elsewhere))
    (sockets / "file.sock").touch()
    (sockets / "file.sock").unlink()
    (elsewhere / path_of(staying).name).touch()
    (elsewhere / path_of(staying).name).unlink()
    shutil.rmtree(elsewhere)
    path_of(going).unlink()
    # Removals are noticed in their order.
    for enclave in (far_away, going):
        assert KILLED == enclave.wait(timeout=PATIENCE)

    assert "RUNNING" == json.loads(described(staying))["State"]


@pytest.mark.parametrize("how", ["by itself", "terminated", "killed"])
def test_the_file_goes_with_the_enclave(boot, sleep, path_of, how):
    enclave = boot(image_from_command(["true"]) if how == "by itself" else sleep)
    if how == "terminated":
        enclave.terminate()
    elif how == "killed":
        os.kill(enclave.pid, signal.SIGKILL)
    enclave.wait(timeout=PATIENCE)

    assert not path_of(enclave).exists()


def test_the_files_go_with_the_hypervisor(boot, sleep, sockets):
    with Instance() as ending:
        for _ in range(2):
            boot(sleep, on=ending).console.close()
        assert 2 == len(list(sockets.iterdir()))

    assert [] == list(sockets.iterdir())


def test_who_sees_the_hypervisor_end_sees_no_files(boot, sleep, sockets):
    with Instance() as ending:
        boot(sleep, on=ending).console.close()
        client = ending._fresh_connection()
        client.request("shutdown")
        client.wait_for_end()

        assert [] == list(sockets.iterdir())


def test_the_files_of_a_killed_hypervisor_stay_and_nobody_answers(
    boot, sleep, dial, path_of, await_death
):
    with Instance() as doomed:
        enclave = boot(sleep, on=doomed)
        enclave.console.close()
        pidfd = os.pidfd_open(doomed._pid)
        os.kill(doomed._pid, signal.SIGKILL)
        await_death(pidfd)
        os.close(pidfd)

    assert path_of(enclave).exists()
    with pytest.raises(ConnectionRefusedError):
        dial(enclave)


# ---- the log ----


@pytest.fixture
def log(tmp_path):
    (tmp_path / "log").touch()
    return tmp_path / "log"


def test_the_end_of_an_enclave_is_in_the_log(boot, sleep, log):
    enclave = boot(sleep, log=str(log))
    assert "" == log.read_text()
    enclave.terminate()

    slot = enclave.enclave_id.rpartition("-enc")[2]
    assert re.fullmatch(
        rf"\[enc-{slot}:{enclave.pid}]\[INFO]\[\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z]"
        r"\[nitrosim/hypervisor/cli_sockets\.py:\d+] Received hang-up event from the enclave\. "
        r"Enclave process will shut down\.\n",
        log.read_text(),
    )


@pytest.mark.parametrize("kind", ["missing", "directory", "pipe", "full disk"])
def test_a_log_that_cannot_be_written_is_no_reason_not_to_end(boot, ask, sleep, tmp_path, kind):
    path = "/dev/full" if kind == "full disk" else tmp_path / "log"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    neighbour, enclave = boot(sleep), boot(sleep, log=str(path))
    enclave.terminate()

    assert KILLED == enclave.wait(timeout=PATIENCE)
    assert b"ok" == ask(neighbour, b"name")[0][0]
