"""Which part of the host a command sees."""

from pathlib import Path

import pytest

from nitrosim.backends.host_view import host_view, is_shown


def targets(name):
    return {operation.arguments[1] for operation in host_view() if operation.name == name}


def sources():
    return {op.arguments[0] for op in host_view() if op.name in ("ro-bind", "overlay")}


def test_only_system_directories_and_chosen_entries_of_etc_are_shown():
    allowed = ("/usr", "/bin", "/sbin", "/lib", "/nix/store", "/gnu/store", "/etc/")

    assert [] == [target for target in targets("ro-bind") if not target.startswith(allowed)]
    assert "/etc" not in targets("ro-bind")


@pytest.mark.parametrize(
    "secret",
    [
        "/etc/shadow",
        "/etc/gshadow",
        "/etc/ssh",
        "/etc/ssl/private",
        "/etc/sudoers",
        "/etc/machine-id",
        "/root",
        "/home",
        "/run",
        "/var",
        "/tmp",
    ],
)
def test_nothing_secret_is_below_anything_that_is_shown(secret):
    shown = [Path(source) for source in sources()]

    assert [] == [source for source in shown if Path(secret).is_relative_to(source)]
    assert [] == [source for source in shown if source.is_relative_to(secret)]


def test_sources_are_without_links_and_targets_are_absolute():
    for operation in host_view():
        if operation.name == "ro-bind":
            source, target = operation.arguments
            assert source == str(Path(source).resolve())
            assert Path(target).is_absolute()


def test_nothing_is_writable():
    assert {"ro-bind", "symlink", "content", "dir"} >= {op.name for op in host_view()}


def test_users_hosts_and_name_servers_are_made_up():
    assert {"/etc/passwd", "/etc/group", "/etc/hosts"} <= targets("content")
    assert {"/etc/resolv.conf", "/etc/mtab", "/var/run"} <= targets("symlink")


def test_the_system_directories_say_what_they_hold():
    assert is_shown(Path("/usr/bin/env"))
    assert is_shown(Path("/usr"))
    for path in ("/usrlocal/bin/x", "/opt/x", "/home/a/usr", "/etc/passwd", "/"):
        assert not is_shown(Path(path))
