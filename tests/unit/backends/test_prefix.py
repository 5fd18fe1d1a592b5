"""How much of the host a command outside of the system directories brings along."""

from pathlib import Path

import pytest

from nitrosim.backends.command import _is_too_wide


@pytest.mark.parametrize(
    "prefix",
    ["/", "/tmp", "/opt", "/home", "/var/tmp", "/run/user", "/dev/shm", "~", "~/.local", "~/.."],
)
def test_a_prefix_that_many_share_is_not_shown(prefix, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")

    assert _is_too_wide(Path(prefix).expanduser().resolve())


@pytest.mark.parametrize(
    "prefix", ["/opt/tool", "~/.pyenv/versions/3.12.1", "~/.local/share/uv/python/3.12", "~/.nvm"]
)
def test_the_prefix_of_a_tool_is_shown(prefix, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")

    assert not _is_too_wide(Path(prefix).expanduser())
