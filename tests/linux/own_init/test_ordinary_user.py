"""The tests of this folder once more, as an ordinary user, when they run as root.

Who started the enclave decides what may be mounted in it, and which users exist.
"""

import pytest

import ordinary_user

pytestmark = pytest.mark.needs("userns", "other-user", "cc")


def test_an_ordinary_user_gets_the_same_answers():
    parts = ("tests/linux", "tests/fakes", "tests/third_party/ordinary_user.py")
    parts += ("tests/conftest.py", "pyproject.toml")
    with ordinary_user.workplace(parts=parts, distributions=("pytest",)) as place:
        done = ordinary_user.run_as_user(
            place / "venv" / "bin" / "python",
            *("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/linux/own_init"),
            cwd=place / "checkout",
            HOME=str(place / "home"),
            TMPDIR=str(place / "home"),
            PYTHONDONTWRITEBYTECODE="1",
            NITROSIM_REQUIRE="userns,cc",
        )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
