"""Compile the launcher: one static C program, no library, no configure step.

Used by the package's build hook and, when the package was installed without a
compiler, by the first command that needs the launcher. Standard library only
and no import of ours: the build hook loads this file by its path.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_FLAGS = ("-std=gnu11", "-O2", "-static", "-Wall", "-Wextra", "-Werror=implicit")


class CompileError(Exception):
    """The launcher could not be compiled; the message names the command that fixes it."""


def compile_launcher(sources: Path, target: Path) -> None:
    """Compile the C files in `sources` into the static executable `target`, atomically.

    The compiler is ``$CC``, else the first of ``cc``, ``gcc``, ``clang`` on PATH.

    Raises:
        CompileError: no compiler, no static C library, or the compiler refused.

    """
    names = [os.environ["CC"]] if os.environ.get("CC") else ["cc", "gcc", "clang"]
    compiler = next((found for name in names if (found := shutil.which(name))), None)
    if compiler is None:
        raise CompileError(
            f"no C compiler (looked for {', '.join(names)}); install one: "
            "apt-get install gcc libc6-dev, or dnf install gcc glibc-static, "
            "or apk add gcc musl-dev"
        )
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".launcher-") as scratch:
        built = Path(scratch, "launcher")
        done = subprocess.run(
            [compiler, *_FLAGS, "-o", str(built), *sorted(map(str, sources.glob("*.c")))],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CompileError(
                f"{compiler} could not build the launcher as a static program "
                "(a static C library is needed: apt-get install libc6-dev, or dnf install "
                f"glibc-static, or apk add musl-dev):\n{done.stderr.strip()}"
            )
        built.chmod(0o755)
        built.replace(target)
