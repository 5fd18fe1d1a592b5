"""The call mount, for the init of an image: what cannot be mounted in an enclave is there already.

In other enclaves, and only if root of the machine has started them, it is asked for proc alone.

Facts (Linux fs/namespace.c, fs/proc/root.c, drivers/base/devtmpfs.c; measured on 6.18):

- An init begins with mounting devtmpfs, proc, sysfs and devpts. In a user namespace the kernel
  refuses devtmpfs, and sysfs where the one that is visible is read-only. It mounts a second
  devpts, upon which the terminal of the console is out of reach.
- It mounts a second proc as well. The launcher has made the switches below ``/proc/sys``
  read-only; in a second proc they are not, and root of the machine, if that has started the
  enclave, could set the machine's own.
- The launcher has mounted all four, and ``/dev/nsm`` and ``/dev/vsock`` are not in a devtmpfs
  anyway. So the call succeeds without doing anything where the same is to be seen already.
- All other types run natively: RAM disks, bind mounts, moved mounts, overlays.

A call is served wherever its path leads as the caller sees it: after a chroot ``/proc`` may be
another directory, and it is asked what is there.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from nitrosim.hypervisor.answers import NATIVE, SUCCESS, Answer, Fail
from nitrosim.hypervisor.notify import Notification
from nitrosim.hypervisor.programs import Program
from nitrosim.hypervisor.tracee_files import magic_of, may_mount, open_directory, read_text

#: MS_REMOUNT, MS_BIND, MS_MOVE, MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED: nothing is mounted
#: anew, and there is no type. Linux include/uapi/linux/mount.h.
_NOT_NEW: Final = 0x20 | 0x1000 | 0x2000 | 0xF << 17
#: What old programs have in the upper half, instead of flags.
_MAGIC: Final = 0xC0ED0000
_MAGIC_MASK: Final = 0xFFFF0000

#: ``f_type`` of statfs(2), Linux include/uapi/linux/magic.h.
_MAGIC_OF: Final = {b"proc": 0x9FA0, b"sysfs": 0x62656572, b"devpts": 0x1CD1}
_CGROUPS: Final = (b"cgroup", b"cgroup2")
_SERVED: Final = (b"devtmpfs", *_CGROUPS, *_MAGIC_OF)
_SERVED_FOR_HOST_ROOT: Final = (b"proc",)
_ROOT_INODE: Final = 1
"""Of proc, sysfs and devpts."""


# DEVIATION: In an enclave with the init of its image, mounting devtmpfs, proc, sysfs or devpts
# where the same is mounted already (/dev, /proc, /sys, /dev/pts) succeeds and changes nothing:
# options such as hidepid, gid or rw have no effect.
# DEVIATION: In an enclave with the init of its image, devtmpfs and sysfs cannot be mounted in other
# places than /dev and /sys (EPERM), nor proc in another place than /proc if root has started the
# enclave; the console says so. They can be bound or moved there.
# DEVIATION: In every other enclave that root has started, mounting proc at /proc succeeds and
# changes nothing, and it cannot be mounted in other places.
# DEVIATION: In an enclave with the init of its image, mounting a cgroup hierarchy succeeds, and
# nothing is mounted.
class MountCalls:
    """Answers to mount in an enclave."""

    def __init__(self, *, of_host_root: bool) -> None:
        """`of_host_root`: whether root inside has the rights of the machine's root on files."""
        self._of_host_root = of_host_root

    def mount(self, program: Program, notification: Notification) -> Answer:
        """Answer ``mount``."""
        thread = notification.thread
        _source, target_at, type_at, flags = notification.args[:4]
        if flags & _MAGIC_MASK == _MAGIC:
            flags &= ~_MAGIC_MASK
        if flags & _NOT_NEW or not type_at:
            return NATIVE
        kind = read_text(thread, type_at)
        served = _SERVED if program.own_init else _SERVED_FOR_HOST_ROOT
        if kind not in served:
            return NATIVE
        path = read_text(thread, target_at)
        # Whoever may not, or names no directory, is told so by the kernel.
        if path is None or not may_mount(thread):
            return NATIVE
        place = open_directory(thread, path)
        if place is None:
            return NATIVE
        try:
            if kind in _CGROUPS or _shows(place, kind):
                return SUCCESS
        finally:
            os.close(place)
        return self._elsewhere(program, kind, path)

    def _elsewhere(self, program: Program, kind: bytes, path: bytes) -> Answer:
        """Answer for a place where the file system is not mounted yet."""
        if kind == b"devpts" or (kind == b"proc" and not self._of_host_root):
            return NATIVE
        if program.remark is not None:
            name, place = kind.decode("ascii"), ascii(os.fsdecode(path))[1:-1]
            usual = {"devtmpfs": "/dev", "proc": "/proc", "sysfs": "/sys"}[name]
            program.remark(
                f"cannot mount {name} at {place}: it is mounted at {usual} and nowhere else; bind "
                "or move it"
            )
        return Fail(errno.EPERM)


def _shows(place: int, kind: bytes) -> bool:
    """Say whether a directory is the root of a file system of this kind, or our stand-in for it."""
    if kind == b"devtmpfs":
        try:
            return stat.S_ISCHR(os.stat("nsm", dir_fd=place, follow_symlinks=False).st_mode)
        except OSError:
            return False
    return magic_of(place) == _MAGIC_OF[kind] and os.fstat(place).st_ino == _ROOT_INODE
