"""The file system of an enclave: what is writable, what is shown, what stays on the host."""

import os
import socket
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("userns")


def test_the_root_is_writable_and_every_enclave_has_its_own(run_program, result):
    assert {"/new": ""} == result(run_program("view", "writes", "/new"))
    assert {"/new": False} == result(run_program("view", "exists", "/new"))
    assert not Path("/new").exists()


def test_directories_of_the_system_are_read_only(run_program, result):
    paths = [f"{place}/nitrosim-test" for place in ("/usr", "/usr/bin", "/usr/lib", "/sys")]

    assert dict.fromkeys(paths, "EROFS") == result(run_program("view", "writes", *paths))


def test_places_for_changing_files_are_writable(run_program, result):
    places = ("/tmp", "/run", "/dev/shm", "/var/tmp", "/root", "/home", "/etc", "/opt")
    paths = [f"{place}/nitrosim-test" for place in places]

    assert dict.fromkeys(paths, "") == result(run_program("view", "writes", *paths))


def test_programs_do_not_run_from_tmp_and_run(run_program, result):
    assert {"/tmp": "EACCES", "/run": "EACCES", "/root": ""} == result(
        run_program("view", "executes", "/tmp", "/run", "/root")
    )


def test_everything_is_in_ram(run_program, result):
    mounts = result(run_program("view", "file_systems"))

    for target in ("/", "/tmp", "/run", "/dev/shm"):
        kind, options = mounts[target]
        assert (kind, "rw" in options) == ("tmpfs", True)
    for target in ("/tmp", "/run"):
        assert {"noexec", "nosuid", "nodev"} <= set(mounts[target][1])
    writable = {target for target, (_kind, options) in mounts.items() if "rw" in options}
    assert {target for target in writable if target.startswith(("/usr", "/bin", "/lib"))} == set()


def test_nothing_of_the_users_home_is_there(run_program, result):
    home = Path.home()
    entries = [str(entry) for entry in home.iterdir() if entry.is_file()]
    shown = result(run_program("view", "exists", *entries, "/root/.ssh", "/root/.aws"))

    assert set(shown.values()) == {False}


@pytest.mark.parametrize(
    "path",
    ["/etc/shadow", "/etc/ssh", "/etc/ssl/private", "/etc/machine-id", "/var/lib", "/var/log"],
)
def test_secrets_of_the_host_are_not_there(run_program, result, path):
    assert {path: False} == result(run_program("view", "exists", path))


def test_the_users_are_made_up(run_program, result):
    names = [
        line.split(":")[0] for line in result(run_program("view", "reads", "/etc/passwd")).split()
    ]

    assert ["root", "nobody"] == names


def test_the_network_is_described_as_what_it_is(run_program, result):
    hosts = result(run_program("view", "reads", "/etc/hosts"))

    assert "127.0.0.1 localhost\n" in hosts
    assert {"/etc/resolv.conf": True} == result(run_program("view", "exists", "/etc/resolv.conf"))
    assert {"/run/resolvconf": False} == result(run_program("view", "exists", "/run/resolvconf"))


def test_sockets_of_the_host_cannot_be_reached(run_program, result):
    with tempfile.TemporaryDirectory(prefix="ns", dir="/tmp") as directory:
        paths = [f"{directory}/socket", f"@nitrosim-test-{os.getpid()}"]
        listeners = [socket.socket(socket.AF_UNIX) for _ in paths]
        for listener, path in zip(listeners, paths, strict=True):
            listener.bind(path.replace("@", "\0"))
            listener.listen()
        reached = result(run_program("view", "connects", *paths))
        for listener in listeners:
            listener.close()

    assert {paths[0]: "ENOENT", paths[1]: "ECONNREFUSED"} == reached


def test_what_the_program_does_to_the_application_directory_stays_inside(
    run_enclave, result, tmp_path
):
    program = Path(__file__).parent / "programs"
    for name in ("view.py", "inside.py"):
        (tmp_path / name).write_text((program / name).read_text())
    (tmp_path / "changed").write_text("as it was")
    (tmp_path / "removed").write_text("still here")

    enclave = run_enclave(
        *("python3", "-B", "/app/view.py", "overlay"),
        app_dir=tmp_path,
        env={"NITROSIM_INSIDE": "1"},
    )

    assert ["as it was and changed", ["added", "changed", "inside.py", "view.py"]] == result(
        enclave
    )
    assert "as it was" == (tmp_path / "changed").read_text()
    assert ["changed", "inside.py", "removed", "view.py"] == sorted(
        entry.name for entry in tmp_path.iterdir()
    )


def test_the_application_directory_is_read_anew_by_every_enclave(run_enclave, tmp_path):
    script = tmp_path / "script"
    for text in ("first", "second"):
        script.write_text(f"#!/bin/sh\necho {text}\n")
        script.chmod(0o755)
        enclave = run_enclave(script, app_dir=tmp_path)
        assert f"{text}\r\n".encode() == enclave.console.read_all(timeout=20)


def test_the_program_cannot_make_device_nodes(run_enclave):
    enclave = run_enclave("mknod", "/root/null", "c", "1", "3")

    assert 1 == enclave.wait(timeout=20)
    assert b"Operation not permitted" in enclave.console.read_all(timeout=20)
