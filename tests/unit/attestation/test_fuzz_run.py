"""The command that fuzzes, with a script in place of the fuzzer."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parents[2] / "fuzz"
QUIET = """
import sys
print("#9\\tDONE   cov: 104 ft: 250 corp: 61/9Kb lim: 4096 exec/s: 3 rss: 70Mb")
print("stat::number_of_executed_units: 1234")
"""
FINDING = """
import sys
prefix = next(option for option in sys.argv if option.startswith("-artifact_prefix="))
open(prefix.partition("=")[2] + "crash-1", "wb").write(b"bad input")
print("what went wrong")
sys.exit(77)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return the command as a module, with a cache of its own and a folder for a fake fuzzer."""
    specification = importlib.util.spec_from_file_location("fuzz_run", FUZZ / "run.py")
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "fuzz_run", module)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(module, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(module, "installed", lambda: True)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("NITROSIM_REQUIRE", raising=False)
    return module


def test_a_quiet_run_is_counted(run, tmp_path, capsys):
    (tmp_path / "worker.py").write_text(QUIET)

    assert 0 == run.main(["--seconds", "1", "revocation"])
    line = capsys.readouterr().out.splitlines()[-1].split()
    assert ("revocation", "1,234", "104", "61") == (line[0], line[2], line[4], line[5])


def test_the_fuzzer_starts_from_the_seeds_and_keeps_what_it_learnt(run, tmp_path):
    (tmp_path / "worker.py").write_text(QUIET)
    run.main(["--seconds", "1", "revocation"])
    (tmp_path / "cache" / "revocation" / "corpus" / "learnt").write_bytes(b"x")
    run.main(["--seconds", "1", "revocation"])

    seeds = {path.read_bytes() for path in (tmp_path / "cache" / "revocation" / "seeds").iterdir()}
    assert set(run.targets.load("revocation").seeds()) == seeds
    assert (tmp_path / "cache" / "revocation" / "corpus" / "learnt").exists()
    assert "*\n" == (tmp_path / "cache" / ".gitignore").read_text()


def test_a_finding_fails_and_says_how_to_see_it_again(run, tmp_path, capsys):
    (tmp_path / "worker.py").write_text(FINDING)

    assert 1 == run.main(["--seconds", "1", "walker", "revocation"])
    shown = capsys.readouterr()
    finding = tmp_path / "cache" / "walker" / "findings" / "crash-1"
    assert f"python tests/fuzz/run.py walker --replay {finding}" in shown.err
    assert "what went wrong" in shown.err
    # The other target ran all the same.
    assert shown.out.count("FOUND SOMETHING") == 2


def test_an_input_is_replayed_without_the_fuzzer(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(run, "installed", lambda: False)
    (tmp_path / "input").write_bytes(b"\x01")

    assert 0 == run.main(["walker", "--replay", str(tmp_path / "input")])
    assert f"{tmp_path / 'input'}: nothing wrong\n" == capsys.readouterr().out


def test_without_the_fuzzer_nothing_is_done(run, monkeypatch, capsys):
    monkeypatch.setattr(run, "installed", lambda: False)

    assert 2 == run.main(["walker"])
    assert "pip install --group fuzz" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("NITROSIM_REQUIRE", "cc, atheris")])
def test_where_it_is_required_its_absence_is_a_failure(run, monkeypatch, name, value):
    monkeypatch.setattr(run, "installed", lambda: False)
    monkeypatch.setenv(name, value)

    assert 1 == run.main(["walker"])


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["--replay", "x"], ["walker", "sealed", "--replay", "x"]]
)
def test_unknown_targets_and_replays_of_several_are_usage_errors(run, arguments):
    with pytest.raises(SystemExit) as caught:
        run.main(arguments)

    assert 2 == caught.value.code
