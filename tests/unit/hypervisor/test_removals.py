"""Files that are removed: who is told, and of which file. The directories are real ones."""

import os
import shutil
from pathlib import Path

import pytest

from nitrosim.hypervisor.loop import Loop
from nitrosim.hypervisor.removals import Removals


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def removals(loop):
    removals = Removals(loop)
    yield removals
    os.close(removals._fd)


@pytest.fixture
def watched(removals):
    """Make files that are watched; return the list of those that were reported."""
    reported = []

    def watch(*files):
        for file in files:
            file.parent.mkdir(exist_ok=True)
            file.touch()
            removals.watch(file, lambda file=file: reported.append(file))
        return reported

    return watch


@pytest.fixture
def settle(loop, removals, tmp_path):
    """Run the loop until everything has been reported that has happened so far."""

    def settle():
        # Events come in the order of what happened.
        last = tmp_path / "last"
        last.touch()
        removals.watch(last, loop.stop)
        last.unlink()
        loop.run()

    return settle


def test_a_removed_file_is_reported(watched, settle, tmp_path):
    reported = watched(tmp_path / "one")
    (tmp_path / "one").unlink()
    settle()

    assert [tmp_path / "one"] == reported


def test_a_renamed_file_is_reported(watched, settle, tmp_path):
    reported = watched(tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "two")
    settle()

    assert [tmp_path / "one"] == reported


def test_a_file_that_is_moved_elsewhere_is_reported(watched, settle, tmp_path):
    reported = watched(tmp_path / "here" / "one")
    (tmp_path / "here" / "one").rename(tmp_path / "one")
    settle()

    assert [tmp_path / "here" / "one"] == reported


def test_a_file_is_reported_once(watched, settle, tmp_path):
    reported = watched(tmp_path / "one")
    for _ in range(2):
        (tmp_path / "one").touch()
        (tmp_path / "one").unlink()
    settle()

    assert [tmp_path / "one"] == reported


def test_files_go_with_their_directory(watched, settle, tmp_path):
    reported = watched(*(tmp_path / "here" / name for name in "abc"), tmp_path / "there" / "a")
    shutil.rmtree(tmp_path / "here")
    settle()

    assert {tmp_path / "here" / name for name in "abc"} == set(reported)


def test_other_files_are_not_reported(watched, settle, tmp_path):
    reported = watched(tmp_path / "here" / "one", tmp_path / "there" / "two")
    (tmp_path / "here" / "two").touch()
    (tmp_path / "here" / "two").unlink()
    (tmp_path / "here" / "one").write_text("changed")
    (tmp_path / "here" / "one").chmod(0o600)
    os.link(tmp_path / "here" / "one", tmp_path / "here" / "another name")
    (tmp_path / "here" / "another name").unlink()
    settle()

    assert [] == reported


def test_a_name_that_no_text_has_is_reported(watched, settle, tmp_path):
    file = tmp_path / os.fsdecode(b"\xff\xfe")
    reported = watched(file)
    file.unlink()
    settle()

    assert [file] == reported


def test_a_directory_is_the_same_under_another_path(watched, settle, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "also").symlink_to("here")
    one, two = tmp_path / "here" / "one", tmp_path / "also" / "two"
    reported = watched(one, two)
    one.unlink()
    two.unlink()
    settle()

    assert [one, two] == reported


def test_a_forgotten_file_is_not_reported_and_the_others_are(removals, watched, settle, tmp_path):
    reported = watched(tmp_path / "one", tmp_path / "two")
    removals.forget(tmp_path / "one")
    removals.forget(tmp_path / "one")
    removals.forget(tmp_path / "never watched")
    for name in ("one", "two"):
        (tmp_path / name).unlink()
    settle()

    assert [tmp_path / "two"] == reported


def test_who_is_told_may_forget_the_file(loop, removals, tmp_path):
    (tmp_path / "one").touch()

    def told():
        removals.forget(tmp_path / "one")
        loop.stop()

    removals.watch(tmp_path / "one", told)
    (tmp_path / "one").unlink()
    loop.run()

    assert ({}, {}) == (removals._watches, removals._callbacks)


def test_a_directory_is_no_longer_watched_when_all_its_files_are_forgotten(
    removals, watched, tmp_path
):
    files = [tmp_path / "here" / "one", tmp_path / "here" / "two"]
    watched(*files)
    watches = Path(f"/proc/self/fdinfo/{removals._fd}")
    removals.forget(files[0])
    assert 1 == watches.read_text().count("inotify wd")
    removals.forget(files[1])

    assert 0 == watches.read_text().count("inotify wd")
    assert ({}, {}) == (removals._watches, removals._callbacks)


def test_a_directory_that_is_gone_and_made_again_is_watched_again(
    removals, watched, settle, tmp_path
):
    file = tmp_path / "here" / "one"
    watched(file)
    shutil.rmtree(tmp_path / "here")
    removals.forget(file)
    reported = watched(file)
    file.unlink()
    settle()

    assert [file] == reported


@pytest.mark.parametrize("parent", ["missing", "a-file"])
def test_what_is_no_directory_cannot_be_watched(removals, tmp_path, parent):
    (tmp_path / "a-file").touch()

    with pytest.raises(OSError, match="inotify_add_watch"):
        removals.watch(tmp_path / parent / "one", lambda: None)


def test_after_more_events_than_the_system_keeps_it_is_looked_what_is_gone(
    watched, settle, tmp_path
):
    reported = watched(tmp_path / "one", tmp_path / "two")
    kept = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    here, there = tmp_path / "here", tmp_path / "there"
    here.touch()
    # Each time two events.
    for _ in range(kept // 4 + 1):
        here.rename(there)
        there.rename(here)
    (tmp_path / "one").unlink()
    settle()

    assert [tmp_path / "one"] == reported
