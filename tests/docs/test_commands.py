"""Every command and every piece of Python that the documentation shows works as shown.

The blocks of a page are run in order, in one scratch copy of what a checkout has, with an
instance of their own:

- ```` ```sh ````: a script; it must succeed.
- ```` ```console ````: lines after ``$`` are commands, what follows is their output, in which
  ``...`` stands for anything. A command may fail if the next one is ``echo $?``.
- ```` ```python ````: a program; it must succeed.

Directory, variables and exit status live from block to block. What cannot be run here has
``<!-- not run: REASON -->`` before it; what needs more than an enclave does,
``<!-- needs: docker -->``, and is run where that is there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^>]*) -->\n|^<!-- needs: (?P<feature>[a-z]+) -->\n)?"
    r"^```(?P<kind>sh|console|python)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
#: Variables that belong to bash itself and cannot be set: read-only ones, and some others.
_OF_BASH = re.compile(
    r"^declare -(\w*r\w* .*|\S+ (BASH\w*|DIRSTACK|FUNCNAME|GROUPS|PIPESTATUS|_)\b.*)$",
    re.MULTILINE,
)
#: Why a block may be left out. Each is run somewhere else, or needs what no test machine has.
REASONS = {
    "make demo is run by .ci/run",
    "make setup installs packages from the network",
    "this test is part of make test",
    "it needs AWS hardware",
}
_PATIENCE = 60


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    kind: str
    text: str
    reason: str | None
    feature: str | None


def pages() -> list[Path]:
    found = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]
    found += sorted((REPOSITORY / "fixtures").glob("*/README.md"))
    found += sorted((REPOSITORY / "docs").rglob("*.md"))
    return [*found, *sorted((REPOSITORY / "sample_apps").glob("*/README.md"))]


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(page=page, line=text.count("\n", 0, match.start("text")), **match.groupdict())
        for match in _BLOCK.finditer(text)
    ]


class Shell:
    """Runs scripts one after the other as if they were typed into one shell."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._state = directory / "state"
        self._state.write_text("\n")
        self._status = directory / "status"
        self._status.write_text("0")
        self._place = directory / "place"
        self._place.write_text(str(directory / "checkout"))
        self._environment = environment

    def run(self, script: str, *, options: str = "") -> tuple[int, str]:
        """Return exit status, and standard output and error as one text."""
        status = self._status.read_text().strip()
        wrapped = (
            f'source {self._state}; cd "$(cat {self._place})" || exit 99\n'
            f"trap 's=$?; declare -p > {self._state}.new; pwd > {self._place};"
            f" echo $s > {self._status}' EXIT\n"
            f"{options}\n(exit {status}){' || true' if options else ''}\n{script}"
        )
        done = subprocess.run(
            ["bash", "-c", wrapped],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PATIENCE,
            check=False,
            env=self._environment,
        )
        kept = _OF_BASH.sub("", Path(f"{self._state}.new").read_text())
        self._state.write_text(kept)
        return done.returncode, done.stdout


@pytest.fixture
def shell(tmp_path):
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "sample_apps", checkout / "sample_apps", ignore=ignored)
    venv = Path(sys.executable).parent.parent
    (checkout / ".venv").symlink_to(venv)
    (checkout / "fixtures").symlink_to(REPOSITORY / "fixtures")
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        "HOME": str(home),
        "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "NITROSIM_STATE": str(tmp_path / "state-of-instances"),
        "NITROSIM_INSTANCE": f"docs-{os.getpid()}",
        "TMPDIR": str(tmp_path),
    }
    if "DOCKER_HOST" in os.environ:
        environment["DOCKER_HOST"] = os.environ["DOCKER_HOST"]
    # Short: an AF_UNIX address has little room.
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as runtime:
        environment["XDG_RUNTIME_DIR"] = runtime
        yield Shell(tmp_path, environment)
        subprocess.run(["nitrosim", "shutdown"], env=environment, check=True, capture_output=True)


def runnable_pages():
    """Yield every page with the features that it may use: with none, and with all that it needs."""
    for page in pages():
        blocks = [block for block in blocks_of(page) if block.reason is None]
        if not blocks:
            continue
        name = str(page.relative_to(REPOSITORY))
        marks = [pytest.mark.needs("userns")]
        if "socat" in page.read_text("utf-8"):
            marks.append(pytest.mark.needs("socat"))
        yield pytest.param(page, set(), id=name, marks=marks)
        features = {block.feature for block in blocks} - {None}
        if features:
            needs = [*marks, pytest.mark.needs(*sorted(features))]
            yield pytest.param(page, features, id="-".join([name, *sorted(features)]), marks=needs)


@pytest.mark.parametrize(("page", "features"), list(runnable_pages()))
def test_commands_of_page_do_what_it_says(page, features, shell, tmp_path):
    for block in blocks_of(page):
        if block.reason is not None or block.feature not in {None, *features}:
            continue
        where = f"{page.relative_to(REPOSITORY)}:{block.line}"
        if block.kind == "sh":
            status, output = shell.run(block.text, options="set -e -o pipefail")
            assert 0 == status, f"{where}:\n{output}"
        elif block.kind == "python":
            program = tmp_path / "program.py"
            program.write_text(block.text)
            status, output = shell.run(f"python3 -W error {program}", options="set -e")
            assert 0 == status, f"{where}:\n{output}"
        else:
            check_console(block.text, shell, where)


def check_console(text: str, shell: Shell, where: str) -> None:
    entries = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert "" == entries[0], f"{where}: output before the first command"
    for entry, following in zip(entries[1:], [*entries[2:], ""], strict=True):
        command, _, expected = entry.partition("\n")
        status, output = shell.run(command)
        assert matches(expected, output), f"{where}: $ {command}\n{output}"
        if not following.startswith("echo $?"):
            assert 0 == status, f"{where}: $ {command}\n{output}"


def matches(expected: str, output: str) -> bool:
    """Say whether the output is the expected one, in which ``...`` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in expected.rstrip("\n").split("..."))
    text = output.replace("\r\n", "\n").rstrip("\n")
    return re.fullmatch(pattern, text, re.DOTALL) is not None


@pytest.mark.parametrize(
    ("expected", "output", "answer"),
    [
        ("hello\n", "hello\r\n", True),
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("", "something", False),
        ("id ...", "id 42", True),
        ("id ...", "ids", False),
    ],
)
def test_dots_stand_for_anything_and_all_else_for_itself(expected, output, answer):
    assert answer == matches(expected, output)


def test_only_known_reasons_leave_a_block_out():
    reasons = {block.reason for page in pages() for block in blocks_of(page)}

    assert reasons - {None} <= REASONS


def test_every_fence_is_of_a_kind_that_is_run_or_is_plain_text():
    fences = re.compile(r"^```(\S+)$", re.MULTILINE)
    kinds = {kind for page in pages() for kind in fences.findall(page.read_text("utf-8"))}

    # Go and Rust are shown as whole files, which other tests build and run.
    assert kinds <= {"sh", "console", "python", "text", "go", "rust"}
