"""The tests of this folder once more, as an ordinary user, when they run as root.

The user gets copies of the package, the programs and the libraries in a directory that it can
read: a root user's checkout and interpreter usually lie where nobody else can enter.
"""

import shutil
from pathlib import Path

import pytest

import ordinary_user
from ordinary_user import REPOSITORY, run_as_user

pytestmark = pytest.mark.needs("userns", "other-user")

C_PROGRAMS = ("hostile_nsm", "hostile_sockets", "hostile_waiting")


@pytest.fixture(scope="module")
def workplace():
    """Make a checkout and a virtual environment that the user can read."""
    parts = ("tests/third_party", "tests/conftest.py", "pyproject.toml")
    with ordinary_user.workplace(
        parts=parts, distributions=("pytest", "aws-nsm-interface")
    ) as place:
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
