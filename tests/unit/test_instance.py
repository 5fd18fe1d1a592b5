"""Instances that do not come to be, without namespaces."""

import os
from pathlib import Path

import pytest

from nitrosim.errors import HostNotSupportedError
from nitrosim.hypervisor.client import sweep_dead
from nitrosim.instance import Instance
from nitrosim.sandbox import hardware

LONG_AGO = 1_000_000_000


def test_an_instance_beside_real_hardware_is_refused_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr("nitrosim.places._runtime_base", lambda: tmp_path)
    monkeypatch.setattr(hardware, "_DEVICES", ("/dev/null",))

    with pytest.raises(HostNotSupportedError, match="no-real-hardware"):
        Instance()

    assert [] == list(tmp_path.iterdir())


def test_what_never_got_a_lock_is_swept_when_it_is_old(tmp_path):
    old, young = tmp_path / "e-old", tmp_path / "e-young"
    for directory in (old, young):
        directory.mkdir()
        Path(directory, "control.sock").touch()
    os.utime(old, (LONG_AGO, LONG_AGO))

    sweep_dead(tmp_path)

    assert [young] == list(tmp_path.iterdir())
