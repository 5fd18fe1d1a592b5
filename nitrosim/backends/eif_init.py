"""Whether the init that an image brings can be executed here, looked at before it is tried.

A kernel that cannot execute its init panics, and an enclave would only be gone. So what a kernel
looks at is looked at here (Linux fs/binfmt_elf.c, fs/binfmt_script.c): the file is there,
executable, and a program for this machine whose loader is there too, or a script whose interpreter
is.

Paths are those of the ramdisks: a symbolic link to ``/bin/busybox`` leads to ``bin/busybox`` below
their root, never to a file of this machine.
"""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import Final

_MOST_LINKS: Final = 40
_MOST_SCRIPTS: Final = 5
"""A script, interpreters that are scripts themselves, and a loader: as many as Linux follows."""
_FIRST_LINE: Final = 256
_ELF: Final = b"\x7fELF"
_64_BIT_LITTLE_ENDIAN: Final = b"\x02\x01"
_E_MACHINE: Final = {"x86_64": 62, "aarch64": 183}
_ELF_HEADER: Final = struct.Struct("<16xHHIQQQIHHH")
_PROGRAM_HEADER: Final = struct.Struct("<IIQQQQQQ")
_PT_INTERP: Final = 3


def why_not(tree: Path, program: str, *, machine: str) -> str:
    """Return why `program`, a path in the root directory `tree`, cannot be executed; "" if it can.

    `machine` is a name as in ``os.uname().machine``.
    """
    because = ""
    for _ in range(_MOST_SCRIPTS):
        path = resolved(tree, program)
        problem = "does not exist" if path is None else _problem(path)
        if path is None or problem:
            return f"{because}{_shown(program)} {problem}"
        content = _content(path)
        if content.startswith(_ELF):
            needed, kind = _loader(content, machine), "loader"
        else:
            needed, kind = _interpreter(content), "interpreter"
        if needed is None:
            return f"{because}{_shown(program)} is no program for {machine} and no script (#!)"
        if not needed:
            return ""
        because = f"{because}{_shown(program)} needs its {kind}, and "
        program = needed
    return f"{because}that is one more script"


def _problem(path: Path) -> str:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        return f"is {stat.filemode(mode)}, not a regular file"
    return "" if mode & 0o111 else f"is not executable ({stat.filemode(mode)})"


def resolved(tree: Path, path: str) -> Path | None:
    """Return where `path` leads if `tree` is the root directory; None if nothing is there."""
    found: list[str] = []
    left = path.split("/")[::-1]
    links = 0
    while left:
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            found = found[:-1]
            continue
        here = tree.joinpath(*found, name)
        if here.is_symlink():
            links += 1
            if links > _MOST_LINKS:
                return None
            target = str(here.readlink())
            if target.startswith("/"):
                found = []
            left += target.split("/")[::-1]
        elif here.exists():
            found.append(name)
        else:
            return None
    return tree.joinpath(*found)


def _content(path: Path) -> bytes:
    """Return what is in a file that may be unreadable for all but root."""
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(mode | stat.S_IRUSR)
    content = path.read_bytes()
    path.chmod(mode)
    return content


def _interpreter(content: bytes) -> str | None:
    """Return the interpreter that a script names; None for what is no script."""
    words = content[2:_FIRST_LINE].partition(b"\n")[0].split()
    return os.fsdecode(words[0]) if content.startswith(b"#!") and words else None


def _loader(content: bytes, machine: str) -> str | None:
    """Return the loader that a program names, "" for none; None for one of another machine."""
    try:
        _type, e_machine, _version, _entry, phoff, _shoff, _flags, _ehsize, phentsize, phnum = (
            _ELF_HEADER.unpack_from(content)
        )
        if content[4:6] != _64_BIT_LITTLE_ENDIAN or e_machine != _E_MACHINE[machine]:
            return None
        for number in range(phnum):
            kind, _flags, offset, _vaddr, _paddr, size, _memsz, _align = (
                _PROGRAM_HEADER.unpack_from(content, phoff + number * phentsize)
            )
            if kind == _PT_INTERP:
                return os.fsdecode(content[offset : offset + size].partition(b"\0")[0])
    except struct.error:
        return None
    return ""


def _shown(path: str) -> str:
    return ascii(path)[1:-1]
