"""Enclave Image Files of one ramdisk with an init of their own, and inits to put there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from nitrosim.eif import BuildInfo, Metadata, write_eif
from nitrosim.eif.cpio import BytesContent, Entry, Kind
from nitrosim.eif.cpio_writer import Archive

#: Inits refuse to run without it, because of what a vsock socket is outside of the simulator.
INSIDE = "console=ttyS0 NITROSIM_INSIDE=1"

_SOURCE = Path(__file__).resolve().parent.parent / "linux" / "programs" / "own_init.c"
_BUILD = BuildInfo(
    time="2024-01-02T03:04:05+00:00",
    tool="tests",
    tool_version="1",
    operating_system="Linux",
    kernel_version="6.6.79",
)
_APPLETS = (
    *(
        "cat",
        "chroot",
        "echo",
        "grep",
        "init",
        "insmod",
        "kill",
        "ls",
        "mkdir",
        "mount",
        "poweroff",
        "ps",
    ),
    *("reboot", "sh", "sleep", "switch_root", "umount"),
)


def folder(name: str) -> Entry:
    """Return the entry of a directory."""
    return Entry(name=name.encode(), kind=Kind.DIRECTORY, mode=0o755)


def file(name: str, data: bytes, mode: int = 0o644) -> Entry:
    """Return the entry of a file."""
    return Entry(name=name.encode(), kind=Kind.FILE, mode=mode, content=BytesContent(data))


def link(name: str, target: str) -> Entry:
    """Return the entry of a symbolic link."""
    return Entry(name=name.encode(), kind=Kind.SYMLINK, target=target.encode())


def write_image(path: Path, *entries: Entry, command_line: str = INSIDE) -> Path:
    """Write an image of one ramdisk with these entries; return its path."""
    write_eif(
        path,
        kernel=b"kernel",
        cmdline=command_line,
        ramdisks=[Archive(entries).chunks()],
        metadata=Metadata(image_name="own", image_version="1", build=_BUILD),
    )
    return path


def write_probe_image(
    path: Path, probe: bytes, *words: str, entries: tuple[Entry, ...] = ()
) -> Path:
    """Write an image whose init does what `words` say; see tests/linux/programs/own_init.c."""
    line = f"{INSIDE} -- {' '.join(words)}"
    return write_image(path, file("init", probe, 0o755), *entries, command_line=line)


def compile_probe(target: Path) -> bytes:
    """Compile the init that does what its command line says, as `target`; return it."""
    subprocess.run(["cc", "-static", "-o", target, _SOURCE], check=True)
    return target.read_bytes()


def with_libraries(*names: str) -> tuple[Entry, ...]:
    """Return the entries of programs of this machine, as ``/bin/NAME``, and of their libraries."""
    files: dict[str, Path] = {}
    for name in names:
        found = shutil.which(name)
        assert found is not None, name
        files[f"bin/{name}"] = Path(found)
        listed = subprocess.run(["ldd", found], capture_output=True, text=True, check=False)
        for line in listed.stdout.splitlines():
            path = next((word for word in line.split() if word.startswith("/")), None)
            if path is not None:
                files[path.removeprefix("/")] = Path(path)
    folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
    return (
        *(folder(name) for name in sorted(folders)),
        *(file(name, path.read_bytes(), 0o755) for name, path in files.items()),
    )


def busybox() -> tuple[Entry, ...]:
    """Return the entries of this machine's busybox, with the names that scripts use."""
    return (*with_libraries("busybox"), *(link(f"bin/{name}", "busybox") for name in _APPLETS))
