"""The part of the host that a command may see: its system directories, read-only.

Programs need their interpreter, libraries and certificates. They get /usr and what
belongs to it, and of /etc the entries named here; the rest of /etc is made up (users,
hosts). Nothing of $HOME, /run, /var, /tmp: host sockets and secrets stay out, and a
Unix socket on a read-only mount can still be connected to. /etc is not shown as a
whole because root sees its secrets there (shadow, keys), whoever root is mapped to.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from nitrosim.sandbox.operation import Operation

# DEVIATION: An enclave started from a command sees the system directories of this machine (/usr,
# /bin, /lib and the like, read-only, and a selection of /etc) in place of the root file system of
# an image, so it may find programs, libraries and a time zone there that the image will lack; when
# root started it, it can also read what only root may read there.
#: Directories that are shown as a whole where they exist.
SYSTEM_DIRECTORIES = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
)

#: Entries of /etc that programs read when they run and that hold no secret; patterns as in
#: glob. Each is a mount, and a mount costs some 20 us of every enclave's start.
_ETC = (
    "alternatives",
    "crypto-policies",
    "java-*",
    "ld.so.cache",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "pki/ca-trust",
    "pki/java",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
)

_MADE_UP = (
    Operation(
        "content",
        (
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
            "/etc/passwd",
        ),
    ),
    Operation("content", ("root:x:0:\nnogroup:x:65534:\n", "/etc/group")),
    Operation(
        "content",
        ("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n", "/etc/hosts"),
    ),
    # As the builder of real images writes it: it leads nowhere, there is no DNS.
    Operation("symlink", ("/run/resolvconf/resolv.conf", "/etc/resolv.conf")),
    Operation("symlink", ("/proc/mounts", "/etc/mtab")),
    *(Operation("dir", (path,)) for path in ("/root", "/home", "/opt", "/srv", "/mnt", "/var/tmp")),  # noqa: S108
    Operation("symlink", ("/run", "/var/run")),
)


@cache
def host_view() -> tuple[Operation, ...]:
    """Return the operations that show the host's system directories."""
    operations: list[Operation] = []
    for directory in SYSTEM_DIRECTORIES:
        operations += _show(Path(directory))
    for pattern in _ETC:
        for entry in sorted(Path("/etc").glob(pattern)):
            operations += _show(entry)
    return (*operations, *_MADE_UP)


def _show(path: Path) -> list[Operation]:
    """Show a file or directory as it is on the host: a link as the link, the rest read-only."""
    if path.is_symlink():
        return [Operation("symlink", (str(path.readlink()), str(path)))]
    if not path.exists() or not os.access(path, os.R_OK):
        return []
    return [Operation("ro-bind", (str(path.resolve()), str(path)))]


def is_shown(path: Path) -> bool:
    """Say whether the host's system directories hold `path`."""
    return any(path.is_relative_to(directory) for directory in SYSTEM_DIRECTORIES)
