"""The shortest loop: a command and an application directory, over a view of the host.

The command is looked up on the caller's PATH, as a shell would. What it needs and
the host view lacks comes along, read-only and under its own path: a virtual
environment and its base interpreter (pyenv and uv keep them under $HOME), the
installation prefix of a tool, the interpreter of a script. The application
directory is at ``/app``, writable in RAM.

The working directory is ``/``, as on hardware, where WORKDIR of an image is ignored.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nitrosim.backends.host_view import host_view, is_shown
from nitrosim.backends.image import EnclaveImage, measure
from nitrosim.errors import EnclaveError
from nitrosim.sandbox.operation import Operation

#: Where the application directory is inside.
APP = Path("/app")
# DEVIATION: The program of a command is looked up on the caller's PATH, and a virtual environment,
# the interpreter behind it and the installation prefix of a tool come along under their own paths;
# an image has only what was put into it, and its init looks up names in /sbin, /usr/sbin, /bin and
# /usr/bin.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# DEVIATION: An enclave started from a command measures placeholders as kernel, command line and
# first ramdisk, and as application the command, the environment and the application directory; the
# host's system directories, which the program also sees, are not measured.
_KERNEL = b"nitrosim: in place of a kernel\n"
_CMDLINE = b"reboot=k panic=30 pci=off nomodules console=ttyS0"
_BOOTSTRAP = b"nitrosim: in place of the first ramdisk\n"

#: A path with this many parts is right below the root.
_SHALLOW = 2
_SHARED = frozenset({"/var/lib", "/var/run", "/var/tmp", "/run/user", "/dev/shm"})  # noqa: S108

#: What tools leave in an application directory and no image would carry.
_NOT_MEASURED = frozenset(
    {".git", ".hg", ".svn", ".venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
)


def image_from_command(
    command: Sequence[str],
    *,
    app_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
    search_path: str | None = None,
) -> EnclaveImage:
    """Return the image of an enclave that runs `command`.

    `environment` is added to a PATH like that of a container image. `search_path` is
    where the command is looked up, the caller's PATH by default.

    Raises:
        EnclaveError: ``COMMAND_NOT_FOUND``, ``APP_DIR``, ``ENVIRONMENT``.

    """
    if not command:
        raise EnclaveError("there is no command to run", code="COMMAND_NOT_FOUND")
    search_path = os.environ.get("PATH", os.defpath) if search_path is None else search_path
    app_dir = None if app_dir is None else _check_app_dir(app_dir)
    found = find_command(_outside(command[0], app_dir), search_path)
    operations = list(host_view())
    if app_dir is not None:
        operations.append(Operation("overlay", (str(app_dir), str(APP))))
    if app_dir is not None and found.is_relative_to(app_dir):
        executable = APP / found.relative_to(app_dir)
    else:
        executable = found
    operations += _unique(_needs(found, search_path, inside_app=executable != found))
    path = _PATH if is_shown(executable) else f"{executable.parent}:{_PATH}"
    environment = _check_environment({"PATH": path, **(environment or {})})
    whole_command = (str(executable), *command[1:])
    return EnclaveImage(
        name=Path(command[0]).name,
        operations=tuple(operations),
        command=whole_command,
        environment=environment,
        pcrs=measure(
            kernel=_KERNEL,
            cmdline=_CMDLINE,
            bootstrap=_BOOTSTRAP,
            application=_application(whole_command, environment, app_dir),
        ),
    )


def _outside(name: str, app_dir: Path | None) -> str:
    """Return where the host has a program that is named as it is called inside: /app/x."""
    if app_dir is None or not Path(name).is_relative_to(APP):
        return name
    return str(app_dir / Path(name).relative_to(APP))


def hints(command: Sequence[str], app_dir: Path | None) -> list[str]:
    """Return remarks on arguments that will not name what the caller may think."""
    if app_dir is None:
        return []
    return [
        f"{argument} is a file of the application directory, which is at {APP} in the enclave; "
        f"the working directory there is /, as on hardware: write {APP / argument}"
        for argument in command[1:]
        if not argument.startswith(("/", "-")) and (app_dir / argument).is_file()
    ]


def find_command(name: str, search_path: str) -> Path:
    """Return the absolute path of the program that a shell would run for `name`.

    Raises:
        EnclaveError: ``COMMAND_NOT_FOUND``.

    """
    located = shutil.which(name, path=search_path)
    if located is None:
        looked = "it is no executable file" if "/" in name else f"PATH is {search_path}"
        raise EnclaveError(f"command not found: {name} ({looked})", code="COMMAND_NOT_FOUND")
    path = Path(os.path.abspath(located))  # noqa: PTH100 - resolve() would leave the virtualenv
    if path.parent.name == "shims" and (behind := _behind_shim(path)):
        return behind
    return path


def _behind_shim(shim: Path) -> Path | None:
    """Return the program behind a pyenv shim: a script that would need all of pyenv inside."""
    pyenv = shutil.which("pyenv") or str(shim.parent.parent / "bin" / "pyenv")
    try:
        done = subprocess.run(
            [pyenv, "which", shim.name], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return Path(done.stdout.strip())


def _check_app_dir(app_dir: Path) -> Path:
    resolved = app_dir.resolve()
    if not resolved.is_dir():
        raise EnclaveError(
            f"the application directory {app_dir} is not a directory", code="APP_DIR"
        )
    return resolved


def _check_environment(environment: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in environment.items():
        if not name or "=" in name or "\0" in name + value:
            raise EnclaveError(
                f"the environment cannot hold {name!r}={value!r}: expected a name without '=' "
                "and no NUL",
                code="ENVIRONMENT",
            )
    return environment


# ---- what comes along ----


def _needs(program: Path, search_path: str, *, inside_app: bool = False) -> Iterator[Operation]:
    """Yield what `program` needs and the host view lacks."""
    real = program.resolve()
    venv = program.parent.parent
    if (venv / "pyvenv.cfg").is_file():
        yield from _along(venv)
        yield from _base_of(venv)
        return
    if not is_shown(real):
        prefix = real.parent.parent
        installed = real.parent.name in ("bin", "sbin", "libexec") and not _is_too_wide(prefix)
        if installed:
            yield from _along(prefix)
        if not inside_app and not (installed and program.is_relative_to(prefix)):
            yield from _along(program)
    interpreter = _interpreter(real, search_path)
    # One that only exists inside, or nowhere, is left to the kernel: it says so as on hardware.
    if interpreter is not None and interpreter.is_file():
        yield from _needs(interpreter, search_path)


def _base_of(venv: Path) -> Iterator[Operation]:
    """Yield the interpreter that a virtual environment was made from."""
    for line in (venv / "pyvenv.cfg").read_text("utf-8").splitlines():
        name, _equals, value = line.partition("=")
        if name.strip() == "home":
            prefix = Path(value.strip()).parent
            if not is_shown(prefix.resolve()):
                yield from _along(prefix)
    for name in ("python3", "python"):
        real = (venv / "bin" / name).resolve()
        if real.exists() and not is_shown(real):
            yield from _along(real.parent.parent)


def _along(path: Path) -> Iterator[Operation]:
    """Yield what makes `path` exist inside under its own name, and under its real one."""
    real = path.resolve()
    yield Operation("ro-bind", (str(real), str(real)))
    if real != path:
        yield Operation("ro-bind", (str(real), str(path)))


def _is_too_wide(prefix: Path) -> bool:
    """Say whether a prefix would show more than one tool.

    That is $HOME, ~/.local and what is above, every directory right below the root (/tmp,
    /opt), and those deeper ones that everybody shares.
    """
    home = Path.home()
    if home.is_relative_to(prefix) or prefix == home / ".local":
        return True
    return len(prefix.parts) <= _SHALLOW or str(prefix) in _SHARED


def _interpreter(program: Path, search_path: str) -> Path | None:
    """Return what the first line of a script names."""
    if not os.access(program, os.R_OK):  # a program may be executable and nothing else
        return None
    with program.open("rb") as file:
        line = file.readline(512)
    if not line.startswith(b"#!"):
        return None
    words = os.fsdecode(line[2:]).split()
    if not words:
        return None
    if Path(words[0]).name == "env":
        names = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        return find_command(names[0], search_path) if names else None
    return Path(words[0])


def _unique(operations: Iterator[Operation]) -> list[Operation]:
    """Drop what another operation shows already; outer directories come first."""
    kept: list[Operation] = []
    for operation in sorted(set(operations), key=lambda o: o.arguments[1]):
        target = Path(operation.arguments[1])
        if not any(target.is_relative_to(other.arguments[1]) for other in kept):
            kept.append(operation)
    return kept


# ---- measuring ----


def _application(
    command: Sequence[str], environment: Mapping[str, str], app_dir: Path | None
) -> bytes:
    """Return what stands for the application ramdisk: the same input gives the same bytes."""
    parts = [b"cmd", *(os.fsencode(word) for word in command), b"env"]
    parts += [os.fsencode(f"{name}={value}") for name, value in environment.items()]
    if app_dir is not None:
        parts += [b"app", *_listing(app_dir)]
    return b"\0".join(parts)


def _listing(directory: Path) -> Iterator[bytes]:
    for place, directories, files in os.walk(directory):
        directories[:] = sorted(set(directories) - _NOT_MEASURED)
        for name in sorted([*files, *directories]):
            path = Path(place, name)
            status = path.lstat()
            yield os.fsencode(path.relative_to(directory))
            yield b"%o" % status.st_mode
            if stat.S_ISLNK(status.st_mode):
                yield os.fsencode(path.readlink())
            elif stat.S_ISREG(status.st_mode):
                with path.open("rb") as file:
                    yield hashlib.file_digest(file, "sha384").digest()
