"""What this machine needs to run enclaves, found out by trying. Linux only.

Each check tries the thing itself, in a child process where it would leave a trace:
version numbers say little (distributions backport, containers forbid).
"""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nitrosim.errors import HostNotSupportedError, Requirement
from nitrosim.sandbox.bpf import supported_machine
from nitrosim.sandbox.hardware import real_hardware
from nitrosim.sandbox.launcher import launcher_path

#: Enter user, mount and network namespaces; the exit status is the errno of the refusal.
_ENTER = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
sys.exit(ctypes.get_errno() if libc.unshare(0x10000000 | 0x00020000 | 0x40000000) else 0)
"""
_NR_SECCOMP = {"x86_64": 317, "aarch64": 277}
_GET_ACTION_AVAIL = 2
_RET_USER_NOTIF = 0x7FC00000
_NR_MOUNT_SETATTR = 442

_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_CLONE_SWITCH = Path("/proc/sys/kernel/unprivileged_userns_clone")
_MOST_NAMESPACES = Path("/proc/sys/user/max_user_namespaces")


@dataclass(frozen=True, slots=True)
class Check:
    """One line of ``nitrosim doctor``; `missing` is None when all is well."""

    name: str
    purpose: str
    missing: Requirement | None


def missing_requirements() -> list[Requirement]:
    """Return what this machine lacks to run enclaves; empty when it can."""
    return [check.missing for check in checks() if check.missing is not None]


def checks() -> Iterator[Check]:
    """Yield every requirement, met or not."""
    tests: tuple[tuple[str, str, Callable[[], Requirement | None]], ...] = (
        ("linux", "system calls are served by seccomp notification", _linux),
        ("machine", "a system call table for this processor", _machine),
        ("launcher", "the static program that starts enclaves", _launcher),
        ("kernel", "Linux 5.14 or later, for mounts and descriptors", _kernel),
        ("seccomp-notify", "system calls can be handed to the hypervisor", _notification),
        ("userns", "enclaves are isolated without root", _namespaces),
        ("no-real-hardware", "fake and real enclaves do not live side by side", real_hardware),
    )
    for name, purpose, test in tests:
        missing = test()
        yield Check(name, purpose, missing)
        if name == "linux" and missing is not None:
            return


def _linux() -> Requirement | None:
    if sys.platform == "linux":
        return None
    return Requirement(
        "linux",
        f"this is {sys.platform}",
        "run enclaves in a Linux machine or container; nitrosim.attestation works here too",
    )


def _machine() -> Requirement | None:
    if supported_machine():
        return None
    return Requirement("machine", f"{os.uname().machine} has no table", "use x86_64 or aarch64")


def _launcher() -> Requirement | None:
    try:
        launcher_path()
    except HostNotSupportedError as error:
        return error.missing[0]
    return None


def _kernel() -> Requirement | None:
    # mount_setattr came in 5.12 and is what an older kernel, or a container's own filter, lacks.
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(_NR_MOUNT_SETATTR, -1, b"", 0, None, 0)
    error = ctypes.get_errno()
    if error not in (errno.ENOSYS, errno.EPERM) or _can_enter_namespaces() is None:
        return None
    return Requirement(
        "kernel",
        f"Linux {os.uname().release} answers mount_setattr with {os.strerror(error)}",
        "use Linux 5.14 or later; in a container, allow the mount system calls "
        "(docker run --security-opt seccomp=unconfined)",
    )


def _notification() -> Requirement | None:
    libc = ctypes.CDLL(None, use_errno=True)
    action = ctypes.c_uint32(_RET_USER_NOTIF)
    number = _NR_SECCOMP.get(os.uname().machine)
    if number is not None and not libc.syscall(number, _GET_ACTION_AVAIL, 0, ctypes.byref(action)):
        return None
    return Requirement(
        "seccomp-notify",
        f"the kernel {os.uname().release} does not offer it ({os.strerror(ctypes.get_errno())})",
        "use Linux 5.14 or later with CONFIG_SECCOMP_FILTER; in a container, "
        "docker run --security-opt seccomp=unconfined",
    )


def _namespaces() -> Requirement | None:
    error = _can_enter_namespaces()
    if error is None:
        return None
    found = f"new user, mount and network namespaces are refused: {os.strerror(error)}"
    if _reads(_APPARMOR, "1"):
        return Requirement(
            "userns",
            f"{found} (AppArmor restricts them)",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        )
    if _reads(_CLONE_SWITCH, "0"):
        return Requirement(
            "userns",
            f"{found} (switched off for ordinary users)",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        )
    if _reads(_MOST_NAMESPACES, "0"):
        return Requirement(
            "userns",
            f"{found} (user.max_user_namespaces is 0)",
            "sudo sysctl -w user.max_user_namespaces=15000",
        )
    return Requirement(
        "userns",
        found,
        "in a container: docker run --security-opt seccomp=unconfined "
        "--security-opt systempaths=unconfined",
    )


def _reads(path: Path, value: str) -> bool:
    try:
        return path.read_text("ascii").strip() == value
    except OSError:
        return False


def _can_enter_namespaces() -> int | None:
    """Try in a child; return the errno of the refusal."""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", _ENTER], check=False)
    return done.returncode or None
