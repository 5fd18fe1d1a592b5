"""The tests of this folder once more, as an ordinary user, when they run as root.

The user gets copies of the package, the programs and the libraries in a directory that it can
read: a root user's checkout and interpreter usually lie where nobody else can enter.
"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.needs("userns", "other-user")

REPOSITORY = Path(__file__).resolve().parent.parent.parent
USER = "nobody"
USER_GROUP = 65534  # not called nobody everywhere
C_PROGRAMS = ("hostile_nsm", "hostile_sockets", "hostile_waiting")


def run_as_user(*command, cwd="/", **environment):
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **environment},
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


def copy_distributions(target):
    for distribution in installed_with("pytest", "cryptography", "cbor2", "aws-nsm-interface"):
        for file in distribution.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(distribution.locate_file(file), target / file)


@pytest.fixture(scope="module")
def workplace():
    """Make a directory that the user can read: a checkout and a virtual environment."""
    interpreter = usable_interpreter()
    with tempfile.TemporaryDirectory(prefix="nitrosim-user-", dir="/tmp") as name:
        place = Path(name)
        place.chmod(0o755)
        left_out = shutil.ignore_patterns("target", "__pycache__", ".lock")
        for part in ("nitrosim", "fake_nsm", "sample_apps", "tests/third_party"):
            shutil.copytree(REPOSITORY / part, place / "checkout" / part, ignore=left_out)
        for part in ("pyproject.toml", "tests/conftest.py"):
            shutil.copy2(REPOSITORY / part, place / "checkout" / part)
        subprocess.run([interpreter, "-m", "venv", "--without-pip", place / "venv"], check=True)
        (packages,) = (place / "venv").glob("lib/python*/site-packages")
        copy_distributions(packages)
        (packages / "checkout.pth").write_text(f"{place / 'checkout'}\n")
        (place / "home").mkdir()
        shutil.chown(place / "home", USER)
        subprocess.run(["chmod", "-R", "a+rX", place], check=True)
        yield place


def hand_over_programs(request, workplace, folder):
    """Build the programs of one folder, if they are not there yet, and copy them."""
    if folder == "c":
        for name in C_PROGRAMS:
            request.getfixturevalue("c_program")(name)
    else:
        request.getfixturevalue(f"{folder}_program")
    programs = Path("tests", "third_party", folder, "bin")
    left_out = shutil.ignore_patterns(".lock", "*.new")
    shutil.copytree(
        REPOSITORY / programs,
        workplace / "checkout" / programs,
        ignore=left_out,
        dirs_exist_ok=True,
    )


@pytest.mark.parametrize(
    ("file", "folders"),
    [
        ("test_hostile_nsm.py", ["c"]),
        ("test_hostile_sockets.py", ["c"]),
        ("test_hostile_waiting.py", ["c"]),
        ("test_python.py", []),
        ("test_sample.py", []),
        pytest.param("test_socat.py", [], marks=pytest.mark.needs("socat")),
        ("test_static_programs.py", ["go", "rust"]),
    ],
)
def test_an_ordinary_user_gets_the_same_answers(request, workplace, file, folders):
    for folder in folders:
        hand_over_programs(request, workplace, folder)

    done = run_as_user(
        workplace / "venv" / "bin" / "python",
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/third_party/{file}"),
        cwd=workplace / "checkout",
        HOME=str(workplace / "home"),
        TMPDIR=str(workplace / "home"),
        PYTHONDONTWRITEBYTECODE="1",
        NITROSIM_REQUIRE="userns,socat,go,cargo,cc",
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
