"""A place where the user ``nobody`` can run nitrosim, for tests that run as root.

It has copies of the package and of the libraries, because a root user's checkout and interpreter
usually lie where nobody else can enter.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPOSITORY = Path(__file__).resolve().parent.parent.parent
USER = "nobody"
USER_GROUP = 65534  # not called nobody everywhere
PATH = "/usr/local/bin:/usr/bin:/bin"

_COMMANDS = {"nitrosim": "nitrosim.cli.main", "nitro-cli": "nitrosim.cli.nitro_cli.main"}
"""By command: the module whose function ``main`` it is, as in pyproject.toml."""


def run_as_user(*command, cwd="/", **environment):
    """Run a command to its end as the user, with these variables and few others."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={"PATH": PATH, "LANG": "C.UTF-8", **environment},
        user=USER,
        group=USER_GROUP,
        extra_groups=[],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def usable_interpreter():
    """Return an interpreter of our version that the user can run: extension modules need it."""
    asked = "import sys; print(*sys.version_info[:2])"
    expected = f"{sys.version_info[0]} {sys.version_info[1]}"
    found = []
    for candidate in (os.path.realpath(sys.executable), "/usr/bin/python3"):
        try:
            version = run_as_user(candidate, "-c", asked).stdout.strip()
        except OSError as error:
            version = error.strerror
        if expected == version:
            return candidate
        found.append(f"{candidate}: {version}")
    pytest.skip(f"no Python {expected.replace(' ', '.')} that {USER} can run ({'; '.join(found)})")


def installed_with(*names):
    """Return the distributions of these names and of all that they require."""
    found = {}
    wanted = list(names)
    while wanted:
        name = wanted.pop().lower().replace("_", "-")
        if name in found:
            continue
        found[name] = importlib.metadata.distribution(name)
        required = map(Requirement, found[name].requires or ())
        wanted += [
            requirement.name
            for requirement in required
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        ]
    return found.values()


def copy_distributions(target, names):
    """Copy the files of installed distributions, and of what they require."""
    for distribution in installed_with(*names):
        for file in distribution.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(distribution.locate_file(file), target / file)


@contextlib.contextmanager
def workplace(
    *, parts: Sequence[str] = (), distributions: Sequence[str] = (), folder: str = "/tmp"
) -> Iterator[Path]:
    """Make a directory below `folder` that the user can read: ``checkout``, ``venv`` and ``home``.

    The checkout has the packages and `parts` of the repository; the virtual environment has what
    nitrosim needs, `distributions`, and the commands. The home is the user's.
    """
    interpreter = usable_interpreter()
    with tempfile.TemporaryDirectory(prefix="nitrosim-user-", dir=folder) as name:
        place = Path(name)
        place.chmod(0o755)
        for part in ("nitrosim", "fake_nsm", "sample_apps", *parts):
            _copy_part(part, place / "checkout" / part)
        environment = place / "venv"
        subprocess.run([interpreter, "-m", "venv", "--without-pip", environment], check=True)
        (packages,) = environment.glob("lib/python*/site-packages")
        copy_distributions(packages, ["cryptography", "cbor2", *distributions])
        # Once, and not by every process of a user who may not write here.
        modules = [str(place / "checkout" / name) for name in ("nitrosim", "fake_nsm")]
        subprocess.run(
            [environment / "bin" / "python", "-m", "compileall", "-q", *modules, packages],
            env={},
            check=True,
        )
        (packages / "checkout.pth").write_text(f"{place / 'checkout'}\n")
        for command, module in _COMMANDS.items():
            script = environment / "bin" / command
            script.write_text(
                f"#!{environment}/bin/python\nimport sys\nfrom {module} import main\n"
                "sys.exit(main())\n"
            )
            script.chmod(0o755)
        (place / "home").mkdir()
        shutil.chown(place / "home", USER)
        subprocess.run(["chmod", "-R", "a+rX", place], check=True)
        yield place


def _copy_part(part: str, target: Path) -> None:
    source = REPOSITORY / part
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_file():
        shutil.copy2(source, target)
        return
    left_out = shutil.ignore_patterns("target", "__pycache__", ".lock")
    shutil.copytree(source, target, ignore=left_out)
