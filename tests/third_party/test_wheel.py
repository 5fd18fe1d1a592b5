"""What users install: a wheel without extras, whose verifier loads two libraries and nothing else.

The verifier ships in other people's products, on other systems than Linux. So what it loads is
looked at in a bare virtual environment, and once more with everything missing that Windows lacks.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# Verifies one document of the corpus, refuses another, and tells what was loaded for that.
_PROGRAM = """
import json, pathlib, sys
before = set(sys.modules)
{prelude}
from datetime import UTC, datetime
from nitrosim.attestation import AttestationError, Pcrs, Verifier, read_unverified

corpus = pathlib.Path(sys.argv[1])
index = json.loads((corpus / "index.json").read_text())
cases = {{case["id"]: case for case in index["cases"]}}
verifier = Verifier(
    [(corpus / index["roots"]["corpus"]["pem"]).read_text()],
    now=lambda: datetime(2026, 6, 1, 12, tzinfo=UTC),
)

def judge(name):
    case = cases[name]
    pcrs = {{int(i): value for i, value in case["expect"]["pcrs"].items()}}
    document = (corpus / case["document"]).read_bytes()
    try:
        return verifier.verify(document, Pcrs(pcrs)).module_id == read_unverified(
            document).claims.module_id
    except AttestationError as error:
        return error.code

print(json.dumps({{
    "answers": [judge("good/as-today"), judge("payload/pcrs-twice")],
    "loaded": sorted({{name for name in sys.modules if name not in before}}),
    "where": sys.modules["nitrosim.attestation"].__file__,
}}))
"""

# Modules of the standard library that Python for Windows does not have.
_ABSENT_ON_WINDOWS = (
    "fcntl grp nis posix pwd readline resource spwd syslog termios _posixshmem _posixsubprocess"
)

# What is needed to import at all (os, subprocess) keeps the modules it has already loaded.
_AS_ON_WINDOWS = f"""
import importlib.abc, os, pathlib

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {_ABSENT_ON_WINDOWS.split()!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}} (as on Windows)", name=name)

for name in {_ABSENT_ON_WINDOWS.split()!r}:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Absent())
for name in ("fork", "geteuid", "getuid", "memfd_create", "openpty", "pidfd_open", "setsid"):
    delattr(os, name)
"""


def pip(python, *arguments):
    done = subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """Build the wheel from a copy of what goes into it, install it into a bare environment."""
    folder = tmp_path_factory.mktemp("wheel")
    # In a copy, because the build compiles the launcher that other tests are running.
    copy = folder / "source"
    copy.mkdir()
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, copy)
    for name in ("nitrosim", "fake_nsm", "sample_apps"):
        shutil.copytree(
            REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "launcher")
        )
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", folder, copy)
    (wheel,) = folder.glob("nitrosim-*.whl")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    pip(python, "install", wheel)
    return python


def run(python, folder, prelude=""):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-I", "-c", _PROGRAM.format(prelude=prelude), REPOSITORY / "fixtures/attestation"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.mark.needs("pypi")
def test_the_verifier_of_a_bare_installation_loads_nothing_else(bare_python, tmp_path):
    told = run(bare_python, tmp_path)
    ours = {name for name in told["loaded"] if name.split(".")[0] in {"nitrosim", "fake_nsm"}}
    packages = {name.split(".")[0] for name in told["loaded"]} - set(sys.stdlib_module_names)

    assert [True, "DUPLICATE_KEY"] == told["answers"]
    assert str(REPOSITORY) not in told["where"]
    assert {"nitrosim"} == {name for name in ours if not name.startswith("nitrosim.attestation")}
    assert packages <= {"nitrosim", "cryptography", "cbor2", "_cbor2", "_cffi_backend", "_openssl"}
    assert not [name for name in told["loaded"] if name.startswith("cryptography.x509")]


@pytest.mark.needs("pypi")
def test_the_verifier_works_without_what_windows_lacks(bare_python, tmp_path):
    assert [True, "DUPLICATE_KEY"] == run(bare_python, tmp_path, _AS_ON_WINDOWS)["answers"]


@pytest.mark.needs("pypi")
def test_a_bare_installation_can_inspect_a_document(bare_python):
    document = REPOSITORY / "fixtures/attestation/documents/good/as-today.cbor"
    done = subprocess.run(
        [bare_python, "-I", "-m", "nitrosim.cli.main", "inspect", document],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert "i-" in done.stdout
