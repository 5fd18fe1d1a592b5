"""What a machine lacks is said in one message with the command that fixes it, never a traceback."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("userns")
REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent
PATIENCE = 60

# In a user namespace of its own the limit can be set, and holds for everything inside.
NO_NAMESPACES = """
echo 0 > /proc/sys/user/max_user_namespaces || exit 99
"$@"
"""
# Makes seccomp(2) fail like on a kernel without it, and becomes the command.
NO_SECCOMP = """
import ctypes, os, platform, struct, sys
number = {"x86_64": 317, "aarch64": 277}[platform.machine()]
code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x50000 | 38), (6, 0, 0, 0x7FFF0000)]
filters = b"".join(struct.pack("HBBI", *line) for line in code)
buffer = ctypes.create_string_buffer(filters)
program = struct.pack("H6xQ", len(code), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.create_string_buffer(program), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def runtime():
    # Short: an AF_UNIX address has little room.
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as directory:
        yield directory


@pytest.fixture
def place(tmp_path, runtime):
    """Return a function that runs the command line behind others, in a home of its own."""

    def run(*prefix, words, package=REPOSITORY, **environment):
        return subprocess.run(
            [*prefix, sys.executable, "-m", "nitrosim.cli.main", *words],
            cwd="/",
            env={
                "HOME": str(tmp_path),
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(package),
                "NITROSIM_STATE": str(tmp_path / "state"),
                "XDG_RUNTIME_DIR": runtime,
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    yield run
    run(words=["shutdown"])


@pytest.fixture
def without_namespaces(place):
    shell = shutil.which("sh")
    return lambda *words: place(
        "unshare", "--user", "--map-root-user", shell, "-c", NO_NAMESPACES, "sh", words=words
    )


@pytest.fixture
def without_notification(place):
    return lambda *words: place(sys.executable, "-c", NO_SECCOMP, words=words)


@pytest.fixture
def without_compiler(place, tmp_path):
    """A package that came without launcher, on a machine that cannot build one."""
    ignored = shutil.ignore_patterns("__pycache__", "launcher")
    package = tmp_path / "package"
    for name in ("nitrosim", "fake_nsm"):
        shutil.copytree(REPOSITORY / name, package / name, ignore=ignored)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "true").symlink_to(shutil.which("true"))
    return lambda *words: place(words=words, package=package, PATH=str(programs))


LACKS = [
    ("without_namespaces", "userns", "sysctl -w user.max_user_namespaces="),
    ("without_notification", "seccomp-notify", "CONFIG_SECCOMP_FILTER"),
    ("without_compiler", "launcher", "apt-get install gcc libc6-dev"),
]


@pytest.mark.needs("unshare")
@pytest.mark.parametrize(("machine", "name", "fix"), LACKS)
def test_run_says_what_is_missing_and_what_fixes_it(machine, name, fix, request):
    done = request.getfixturevalue(machine)("run", "--", "true")

    assert (3, "") == (done.returncode, done.stdout)
    assert f"\n{name}: " in done.stderr
    assert fix in done.stderr
    assert "'nitrosim doctor' prints the whole list." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.needs("unshare")
@pytest.mark.parametrize(("machine", "name", "fix"), LACKS)
def test_doctor_finds_it_among_all_requirements(machine, name, fix, request):
    run = request.getfixturevalue(machine)
    text = run("doctor")
    answer = json.loads(run("doctor", "--json").stdout)

    assert 3 == text.returncode
    assert f"MISSING  {name}: " in text.stdout
    assert "this machine cannot run enclaves yet" in text.stdout
    assert answer["ok"] is False
    entries = {entry["name"]: entry for entry in answer["requirements"]}
    assert fix in entries[name]["fix"]
    assert {"linux", "machine", "no-real-hardware"} == {
        entry for entry in entries if entries[entry]["ok"]
    } & {"linux", "machine", "no-real-hardware", name}


def test_doctor_is_content_where_enclaves_run(place):
    done = place(words=["doctor"])

    assert 0 == done.returncode
    assert done.stdout.endswith("this machine can run enclaves\n")
    assert "MISSING" not in done.stdout


@pytest.mark.needs("cc")
def test_missing_launcher_is_built_by_the_first_command_that_needs_it(place, tmp_path):
    package = tmp_path / "package"
    ignored = shutil.ignore_patterns("__pycache__", "launcher")
    for name in ("nitrosim", "fake_nsm"):
        shutil.copytree(REPOSITORY / name, package / name, ignore=ignored)

    done = place(words=["run", "--", "echo", "built"], package=package)

    assert (0, "built\n", "") == (done.returncode, done.stdout, done.stderr)
    (launcher,) = (tmp_path / ".cache" / "nitrosim").iterdir()
    assert os.access(launcher, os.X_OK)
