"""nitro-cli of two users on one machine: everybody sees everything, and ends what is their own."""

import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import ordinary_user

pytestmark = pytest.mark.needs("userns", "cc", "other-user")

PATIENCE = 30


@dataclass
class User:
    """Somebody who types commands."""

    name: str
    home: Path
    shared: Path
    programs: Path

    def run(self, command, *words):
        """Run a command to its end."""
        environment = {
            "PATH": ordinary_user.PATH,
            "HOME": self.home,
            "XDG_RUNTIME_DIR": self.home,
            "NITRO_CLI_LOGS_PATH": self.shared / "logs",
            "NITRO_CLI_SOCKETS_PATH": self.shared / "sockets",
            "NITROSIM_ALLOCATOR": self.shared / "allocator.yaml",
        }
        done = subprocess.run(
            [self.programs / command, *map(str, words)],
            cwd=self.home,
            env={key: str(value) for key, value in environment.items()},
            user=self.name,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        return done.returncode, done.stdout, done.stderr

    def try_to_run_enclave(self, name=None):
        """Run an enclave, or not."""
        image = ("--eif-path", self.shared / "app.eif", "--debug-mode")
        settings = ("--cpu-count", 2, "--memory", 64, "--enclave-name", name or self.name)
        return self.run("nitro-cli", "run-enclave", *image, *settings)

    def run_enclave(self, name=None):
        """Run an enclave, called like the user; return what is printed of it."""
        status, output, errors = self.try_to_run_enclave(name)
        assert status == 0, errors
        return json.loads(output)

    def described(self):
        """Return the names of all enclaves that the user sees."""
        status, output, errors = self.run("nitro-cli", "describe-enclaves")
        assert (0, "") == (status, errors)
        return [enclave["EnclaveName"] for enclave in json.loads(output)]


@pytest.fixture(scope="module")
def workplace():
    with ordinary_user.workplace() as place:
        yield place


@pytest.fixture
def shared(workplace, enclave_program):
    """Return a folder with the sockets, the logs and an image, where everybody may write."""
    with tempfile.TemporaryDirectory(prefix="shared-", dir=workplace) as name:
        folder = Path(name)
        (folder / "root" / "bin").mkdir(parents=True)
        shutil.copy2(enclave_program, folder / "root" / "bin" / "app")
        source = ("--rootfs", folder / "root", "--env", "NITROSIM_INSIDE=1")
        build = ("build", *source, "--output", folder / "app.eif", "--", "/bin/app")
        subprocess.run([workplace / "venv/bin/nitrosim", *build], capture_output=True, check=True)
        (folder / "allocator.yaml").write_text("---\nmemory_mib: 1024\ncpu_count: 6\n")
        for writable in ("sockets", "logs"):
            (folder / writable).mkdir()
            (folder / writable).chmod(0o777)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def users(workplace, shared):
    """Return root and an ordinary user; what they run ends with the test."""
    # Short: an AF_UNIX address has little room.
    homes = [Path(tempfile.mkdtemp(prefix="n", dir="/tmp")) for _ in range(2)]
    shutil.chown(homes[1], ordinary_user.USER)
    programs = workplace / "venv" / "bin"
    names = ("root", ordinary_user.USER)
    users = [User(name, home, shared, programs) for name, home in zip(names, homes, strict=True)]
    yield users
    for user in users:
        user.run("nitrosim", "shutdown")
        shutil.rmtree(user.home)


def codes(errors):
    return re.findall(r"^\[ (E\d\d) \]", errors, re.MULTILINE)


def kill_hypervisor(path):
    """Kill who answers for an enclave at its socket; return when that process is gone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(str(path))
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    (pid,) = struct.unpack_from("=i", peer)
    pidfd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    ended, _, _ = select.select([pidfd], [], [], PATIENCE)
    os.close(pidfd)
    assert ended


def test_everybody_sees_all_enclaves_and_the_consoles_of_those_in_debug_mode(users):
    root, nobody = users
    started = [user.run_enclave() for user in users]

    assert ["nobody", "root"] == sorted(root.described()) == sorted(nobody.described())
    for user, enclave in zip(users, reversed(started), strict=True):
        console = ("console", "--enclave-id", enclave["EnclaveID"], "--disconnect-timeout", 1)
        status, output, errors = user.run("nitro-cli", *console)
        assert (0, "", "up") == (status, errors, output.splitlines()[-1])


def test_everybody_has_cids_and_a_pool_of_their_own_and_names_that_nobody_has(users):
    root, nobody = users

    facts = [user.run_enclave("app") for user in users]

    assert ["app", "app_1"] == [enclave["EnclaveName"] for enclave in facts]
    assert [16, 16] == [enclave["EnclaveCID"] for enclave in facts]
    assert facts[0]["CPUIDs"] == facts[1]["CPUIDs"]
    assert facts[0]["EnclaveID"] != facts[1]["EnclaveID"]
    assert ["app", "app_1"] == sorted(nobody.described()) == sorted(root.described())


@pytest.mark.parametrize("key", [("name", "EnclaveName"), ("id", "EnclaveID")])
def test_an_ordinary_user_cannot_end_the_enclave_of_root(users, key):
    root, nobody = users
    enclave = root.run_enclave()

    status, output, errors = nobody.run(
        "nitro-cli", "terminate-enclave", f"--enclave-{key[0]}", enclave[key[1]]
    )

    assert (39, "", ["E39"]) == (status, output, codes(errors))
    assert errors.startswith("Failed connections: 1\n")
    assert ["root"] == nobody.described()
    assert Path(f"/proc/{enclave['ProcessID']}").exists()


def test_root_can_end_the_enclave_of_an_ordinary_user(users):
    root, nobody = users
    enclave = nobody.run_enclave()

    status, output, errors = root.run(
        "nitro-cli", "terminate-enclave", "--enclave-id", enclave["EnclaveID"]
    )

    assert (0, True) == (status, json.loads(output)["Terminated"])
    assert f"Successfully terminated enclave {enclave['EnclaveID']}.\n" == errors
    assert [] == nobody.described()


def test_all_enclaves_are_for_an_ordinary_user_its_own_and_for_root_all(users):
    root, nobody = users
    for user in users:
        user.run_enclave()

    status, output, errors = nobody.run("nitro-cli", "terminate-enclave", "--all")
    ended = [enclave["EnclaveName"] for enclave in json.loads(output)]

    assert (39, ["nobody"], ["E39"]) == (status, ended, codes(errors))
    assert "\nFailed connections: 1\n" in errors
    assert ["root"] == nobody.described()
    nobody.run_enclave()
    status, output, _errors = root.run("nitro-cli", "terminate-enclave", "--all")
    ended = [enclave["EnclaveName"] for enclave in json.loads(output)]
    assert (0, ["nobody", "root"]) == (status, sorted(ended))
    assert [] == nobody.described() == root.described()


def test_an_ordinary_user_leaves_dead_sockets_of_root_alone_without_a_word(users, shared):
    root, nobody = users
    enclave = root.run_enclave()
    (shared / "sockets").chmod(0o755)
    path = shared / "sockets" / f"{enclave['EnclaveID'].rpartition('-enc')[2]}.sock"
    kill_hypervisor(path)

    assert [] == nobody.described()
    assert path.exists()
    assert [] == root.described()
    assert not path.exists()


def test_whoever_may_not_make_a_socket_gets_no_enclave(users, shared):
    _root, nobody = users
    (shared / "sockets").chmod(0o755)

    status, output, errors = nobody.try_to_run_enclave()

    assert (39, "", ["E11", "E39"]) == (status, output, codes(errors))
    assert [] == nobody.described()
    (shared / "sockets").chmod(0o777)
    # Nothing is lent to what did not start: all three enclaves of the pool can be had.
    for _ in range(3):
        nobody.run_enclave()
