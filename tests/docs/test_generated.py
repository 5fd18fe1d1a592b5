"""The pages that are made from the sources are what the scripts make of them now."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
_SHOWN_FILE = re.compile(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(script: str, *, docs: Path = DOCS) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(docs / script), "--check"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(DOCS.parent), "PATH": "/usr/bin:/bin"},
    )


@pytest.mark.parametrize(
    "script", ["collect_api.py", "collect_differences.py", "collect_tables.py"]
)
def test_generated_page_is_up_to_date(script):
    done = run(script)

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="argparse writes help in another form since Python 3.13"
)
def test_page_of_the_command_line_is_up_to_date():
    done = run("collect_help.py")

    assert (0, "") == (done.returncode, done.stderr)


def test_a_file_that_a_page_shows_is_shown_as_it_is():
    shown = [
        match for page in DOCS.rglob("*.md") for match in _SHOWN_FILE.findall(page.read_text())
    ]

    assert shown
    for name, text in shown:
        assert (DOCS.parent / name).read_text("utf-8") == text, name


def copy_of_sources(tmp_path: Path) -> Path:
    """Return the docs folder of a repository with one source file, for the scripts."""
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("generated.py", "collect_differences.py", "differences.md"):
        (docs / name).write_text((DOCS / name).read_text("utf-8"), "utf-8")
    (tmp_path / "nitrosim" / "vsock").mkdir(parents=True)
    return docs


def test_new_difference_makes_the_page_stale_and_writing_it_repairs_that(tmp_path):
    docs = copy_of_sources(tmp_path)
    source = tmp_path / "nitrosim" / "vsock" / "addresses.py"
    source.write_text("# DEVIATION: there are no\n# addresses.\nx = 1\n")

    assert 1 == run("collect_differences.py", docs=docs).returncode
    subprocess.run([sys.executable, str(docs / "collect_differences.py")], check=True)
    assert 0 == run("collect_differences.py", docs=docs).returncode
    assert "- There are no addresses. [[source]" in (docs / "differences.md").read_text("utf-8")


def test_difference_in_a_c_comment_is_collected_to_its_end(tmp_path):
    docs = copy_of_sources(tmp_path)
    (tmp_path / "nitrosim" / "sandbox").mkdir()
    source = tmp_path / "nitrosim" / "sandbox" / "launcher.c"
    source.write_text("/* DEVIATION: one,\n * two. */\nint x;\n/* ASSUMPTION: three. */\n")

    subprocess.run([sys.executable, str(docs / "collect_differences.py")], check=True)

    page = (docs / "differences.md").read_text("utf-8")
    assert ["- One, two.", "- Three."] == [
        line.partition(" [[")[0] for line in page.splitlines() if "launcher.c" in line
    ]


def test_difference_in_a_file_without_a_topic_is_an_error(tmp_path):
    docs = copy_of_sources(tmp_path)
    (tmp_path / "nitrosim" / "new.py").write_text("# DEVIATION: it is new.\n")

    done = run("collect_differences.py", docs=docs)

    assert 1 == done.returncode
    assert "nitrosim/new.py has such a comment and no topic" in done.stderr
