"""What the tests need from the host, and where the real documents are.

A test names what it needs with ``@pytest.mark.needs("socat", "userns")``. A missing feature skips
the test with the way to get it; named in ``NITROSIM_REQUIRE`` (comma-separated, set in continuous
integration) the same absence fails it, so that nothing is skipped there unnoticed.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).resolve().parent.parent

# Run in a process of its own because a namespace cannot be left again. The mount is what
# AppArmor's restriction of user namespaces forbids: there, the first call alone succeeds.
_PROBE_USER_NAMESPACE = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
NEWUSER, NEWNS, REC_PRIVATE = 0x10000000, 0x00020000, 0x44000
ok = libc.unshare(NEWUSER) == 0 and libc.unshare(NEWNS) == 0
sys.exit(0 if ok and libc.mount(b"none", b"/", None, REC_PRIVATE, None) == 0 else 1)
"""


def _has_user_namespaces() -> bool:
    probe = subprocess.run([sys.executable, "-c", _PROBE_USER_NAMESPACE], check=False)
    return probe.returncode == 0


def _is_root() -> bool:
    return os.geteuid() == 0


def _can_become_another_user() -> bool:
    if os.geteuid() != 0:
        return False
    try:
        probe = subprocess.run(["true"], user="nobody", extra_groups=[], check=False)
    except (OSError, LookupError, subprocess.SubprocessError):
        return False
    return probe.returncode == 0


def _ordinary_user_available() -> bool:
    return os.geteuid() != 0 or _can_become_another_user()


def _can_mount() -> bool:
    if os.geteuid() != 0:
        return False
    mount = "mount -t tmpfs none /mnt"
    try:
        probe = subprocess.run(["unshare", "--mount", "sh", "-c", mount], check=False)
    except OSError:
        return False
    return probe.returncode == 0


def _reaches_package_index() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        probe = subprocess.run([*pip, "iniconfig"], capture_output=True, check=False)
    return probe.returncode == 0


def _reaches_docker_engine() -> bool:
    try:
        asked = subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def _real_documents() -> Path | None:
    named = os.environ.get("NITROSIM_REAL_DOCS")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "real-docs"
    return folder if any(folder.glob("*.cbor")) else None


# Any feature that is not listed here is the name of a program on PATH.
_PROBES: dict[str, Callable[[], bool]] = {
    "userns": _has_user_namespaces,
    "root": _is_root,
    "other-user": _can_become_another_user,
    "user": _ordinary_user_available,
    "mounts": _can_mount,
    "docker": _reaches_docker_engine,
    "pypi": _reaches_package_index,
    "real-docs": lambda: _real_documents() is not None,
}

_HINTS = {
    "userns": (
        "run 'nitrosim doctor'; on Ubuntu: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    ),
    "root": "run the tests as root",
    "other-user": "run the tests as root, with the right to become the user 'nobody'",
    "user": "run the tests as an ordinary user, or as root with the right to become 'nobody'",
    "mounts": "run the tests as root, with the right to make a mount namespace",
    "real-docs": "point NITROSIM_REAL_DOCS to a folder of real attestation documents (*.cbor)",
    "pypi": "let pip reach a package index",
    "chromium": "apt-get install chromium",
    "openssl": "apt-get install openssl",
    "socat": "apt-get install socat",
    "go": "install Go from https://go.dev/dl and put it on PATH",
    "cargo": "install Rust from https://rustup.rs and put it on PATH",
    "cc": "apt-get install gcc libc6-dev",
    "docker": "install Docker, start its engine and let this user reach its socket (DOCKER_HOST)",
}


@functools.cache
def _has(feature: str) -> bool:
    probe = _PROBES.get(feature)
    return probe() if probe is not None else shutil.which(feature) is not None


def _required_features() -> set[str]:
    named = os.environ.get("NITROSIM_REQUIRE", "").split(",")
    return {feature.strip() for feature in named if feature.strip()}


def _demand(feature: str) -> None:
    """Return if the host has the feature; skip, or fail where it is required, if not."""
    if _has(feature):
        return
    message = f"needs {feature}: {_HINTS.get(feature, f'install {feature} and put it on PATH')}"
    if feature in _required_features():
        pytest.fail(f"{message} (demanded by NITROSIM_REQUIRE)", pytrace=False)
    pytest.skip(message)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for feature in marker.args:
            _demand(feature)


@pytest.fixture(scope="session")
def real_docs() -> Path:
    """Return the folder of real AWS documents, ``*.cbor``, or skip."""
    _demand("real-docs")
    folder = _real_documents()
    assert folder is not None
    return folder
