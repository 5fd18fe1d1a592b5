"""The cache of unpacked images: made once, made anew when damaged, shared by processes."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nitrosim.backends.eif_cache import cache_directory, cached
from nitrosim.errors import EnclaveError

REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent

MAKER = """
import sys
from pathlib import Path
from nitrosim.backends.eif_cache import cached

def make(target):
    print("making", flush=True)
    sys.stdin.read()
    (target / "file").write_text("content")
    return {"fact": 1}

print("begins", flush=True)
entry = cached(Path(sys.argv[1]), "key", make)
print((entry.directory / "file").read_text(), entry.facts["fact"])
"""


class Maker:
    """Makes entries with directories in them, and counts."""

    def __init__(self):
        self.made = 0

    def __call__(self, target):
        self.made += 1
        (target / "a" / "b").mkdir(parents=True)
        (target / "a" / "b" / "file").write_text("content")
        os.utime(target / "a" / "b", ns=(0, 0))
        return {"text": "\udcff", "list": ["x"]}


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "above" / "cache"


@pytest.fixture
def make():
    return Maker()


def test_an_entry_is_made_once(cache, make):
    first, second = (cached(cache, "key", make) for _ in range(2))

    assert first == second
    assert cache / "key" == first.directory
    assert {"text": "\udcff", "list": ["x"]} == first.facts
    assert "content" == (first.directory / "a" / "b" / "file").read_text()
    assert 1 == make.made


def test_entries_of_other_keys_are_others(cache, make):
    assert cached(cache, "one", make).directory != cached(cache, "two", make).directory
    assert 2 == make.made


def test_the_cache_is_private(cache, make):
    cached(cache, "key", make)

    assert 0o700 == cache.stat().st_mode & 0o777


def remove_a_file(entry):
    (entry / "a" / "b" / "file").unlink()


def add_a_file(entry):
    (entry / "a" / "new").touch()


def remove_a_directory(entry):
    (entry / "a" / "b" / "file").unlink()
    (entry / "a" / "b").rmdir()


def replace_a_directory_by_a_file(entry):
    remove_a_directory(entry)
    (entry / "a" / "b").touch()


def remove_the_manifest(entry):
    (entry / "entry.json").unlink()


def cut_the_manifest(entry):
    os.truncate(entry / "entry.json", 10)


def write_another_manifest(entry):
    (entry / "entry.json").write_text(json.dumps([]))


def replace_the_entry_by_a_file(entry):
    entry.rename(entry.with_name("elsewhere"))
    entry.touch()


@pytest.mark.parametrize(
    "damage",
    [
        remove_a_file,
        add_a_file,
        remove_a_directory,
        replace_a_directory_by_a_file,
        remove_the_manifest,
        cut_the_manifest,
        write_another_manifest,
        replace_the_entry_by_a_file,
    ],
)
def test_a_damaged_entry_is_made_anew(cache, make, damage):
    damage(cached(cache, "key", make).directory)

    entry = cached(cache, "key", make)

    assert 2 == make.made
    assert ["a", "a/b", "a/b/file", "entry.json"] == sorted(
        str(path.relative_to(entry.directory)) for path in entry.directory.rglob("*")
    )
    assert [] == [*cache.glob(".key.*")]


def test_an_entry_that_cannot_be_made_leaves_nothing(cache, make):
    def fail(target):
        make(target)
        raise EnclaveError("no", code="EIF_LAYOUT")

    with pytest.raises(EnclaveError, match="no"):
        cached(cache, "key", fail)

    assert ["key.lock"] == [path.name for path in cache.iterdir()]


def test_a_cache_that_cannot_be_made_is_an_error(tmp_path, make):
    (tmp_path / "file").touch()

    with pytest.raises(EnclaveError, match="set XDG_CACHE_HOME") as caught:
        cached(tmp_path / "file" / "cache", "key", make)

    assert ("EIF_CACHE", 0) == (caught.value.code, make.made)


def test_a_system_that_refuses_to_write_an_entry_is_an_error(cache, make):
    def fail(target):
        make(target)
        (target / "missing" / "file").touch()

    with pytest.raises(EnclaveError, match=r"cannot write to .*No such file") as caught:
        cached(cache, "key", fail)

    assert "EIF_CACHE" == caught.value.code
    assert ["key.lock"] == [path.name for path in cache.iterdir()]


def test_the_cache_is_the_users(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/me")
    assert Path("/var/cache/me/nitrosim") == cache_directory()

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert Path("/home/me/.cache/nitrosim") == cache_directory()


@pytest.fixture
def start_maker(cache):
    """Start processes that ask for the entry, and make it once their input ends."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", MAKER, str(cache)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert "begins\n" == process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_of_two_processes_at_once_one_makes_the_entry(cache, start_maker):
    cache.mkdir(parents=True, mode=0o700)
    # Neither gets past the lock before both have begun.
    fd = os.open(cache / "key.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    processes = [start_maker() for _ in range(2)]
    os.close(fd)

    # Their input ends one after the other: whoever is first may be the one that waits.
    for process in processes:
        process.stdin.close()
        process.stdin = None
    answers = [process.communicate(timeout=60)[0] for process in processes]

    assert ["content 1\n", "making\ncontent 1\n"] == sorted(answers)


def test_an_entry_whose_maker_is_killed_is_made_by_the_next(cache, start_maker, make):
    process = start_maker()
    assert "making\n" == process.stdout.readline()
    assert 1 == len([*cache.glob(".key.*")])
    process.kill()
    process.wait()

    cached(cache, "key", make)

    assert 1 == make.made
    assert ["key", "key.lock"] == sorted(path.name for path in cache.iterdir())
