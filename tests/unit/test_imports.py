"""What is loaded for what: start-up time, and the two readings of one specification.

Each question is asked of a fresh interpreter.
"""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def loaded_by(module):
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_the_public_api_loads_nothing_that_is_slow():
    slow = {"cryptography", "cbor2", "docker", "pytest", "asyncio", "multiprocessing", "fake_nsm"}

    assert set() == slow & loaded_by("nitrosim.instance")


def test_the_public_api_loads_none_of_what_serves_calls():
    serving = {
        f"nitrosim.hypervisor.{name}"
        for name in ("loop", "network", "operations", "sockets", "supervisor", "tracee")
    }

    assert set() == serving & loaded_by("nitrosim.instance")


def ours(module):
    return {name for name in loaded_by(module) if name.split(".")[0] in ("nitrosim", "fake_nsm")}


def test_the_verifier_loads_nothing_else_of_ours():
    found = ours("nitrosim.attestation")

    assert {"nitrosim"} == {name for name in found if not name.startswith("nitrosim.attestation")}


def test_the_fake_module_loads_nothing_else_of_ours():
    assert [] == [name for name in ours("fake_nsm") if not name.startswith("fake_nsm")]


@pytest.mark.parametrize("module", ["nitrosim.attestation", "fake_nsm"])
def test_documents_need_nothing_of_linux(module):
    assert set() == {"ctypes", "fcntl", "pty", "termios", "grp"} & loaded_by(module)
