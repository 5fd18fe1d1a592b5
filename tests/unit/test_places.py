"""Where instances keep their files, and who may use them."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from nitrosim.directories import runtime_directory, state_directory
from nitrosim.errors import InstanceError
from nitrosim.places import (
    check_instance_name,
    ephemeral_places,
    instance_state,
    make_private,
    named_places,
)


@pytest.fixture
def short():
    """Return a directory whose path is short enough for the runtime of instances."""
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in ("NITROSIM_STATE", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize("name", ["default", "a", "0", "A.b_c-d", "x" * 32])
def test_a_name_of_letters_digits_and_a_few_signs_is_one(name):
    assert name == check_instance_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "-x", "_x", "a/b", "../a", "x" * 33, "a b", "a\n", "ä", "a\0"]
)
def test_other_names_are_refused(name):
    for ask in (check_instance_name, instance_state, named_places, runtime_directory):
        with pytest.raises(InstanceError) as caught:
            ask(name)
        assert "INSTANCE_NAME" == caught.value.code


def test_the_state_is_in_the_users_home(tmp_path):
    assert tmp_path / ".local" / "state" / "nitrosim" / "x" == instance_state("x")


def test_a_user_without_a_home_is_told_to_name_a_directory(monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 4_294_967_294)
    with pytest.raises(InstanceError, match="set NITROSIM_STATE") as caught:
        instance_state("x")

    assert "INSTANCE_DIRECTORY" == caught.value.code


def test_a_tilde_in_a_variable_means_nothing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", "~x")

    assert tmp_path / "~x" / "nitrosim" / "x" == instance_state("x")


def test_the_state_is_where_the_desktop_wants_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))

    assert tmp_path / "s" / "nitrosim" / "x" == instance_state("x")


def test_the_state_is_where_the_user_wants_it_before_all(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setenv("NITROSIM_STATE", str(tmp_path / "own"))

    assert tmp_path / "own" / "x" == instance_state("x")


def test_a_relative_state_is_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NITROSIM_STATE", "own")

    assert tmp_path / "own" / "x" == instance_state("x")


@pytest.mark.parametrize("name", ["NITROSIM_STATE", "XDG_STATE_HOME"])
def test_an_empty_variable_is_none(monkeypatch, tmp_path, name):
    monkeypatch.setenv(name, "")

    assert tmp_path / ".local" / "state" / "nitrosim" / "x" == instance_state("x")


def test_the_runtime_is_where_the_system_wants_it(monkeypatch, short):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))

    assert short / "nitrosim" / "x" == named_places("x").runtime


def test_the_runtime_is_the_users_own_below_tmp_otherwise():
    assert Path(f"/tmp/nitrosim-{os.getuid()}/x") == named_places("x").runtime


@pytest.mark.parametrize("given", ["", "/no/such/directory", "/" + "x" * 60])
def test_a_runtime_that_cannot_be_used_is_passed_over(monkeypatch, given):
    monkeypatch.setenv("XDG_RUNTIME_DIR", given)

    assert Path(f"/tmp/nitrosim-{os.getuid()}/x") == named_places("x").runtime


def test_a_runtime_whose_path_is_long_is_passed_over(monkeypatch, tmp_path):
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))

    assert Path(f"/tmp/nitrosim-{os.getuid()}/x") == named_places("x").runtime


def test_there_is_room_for_a_socket_below_the_longest_runtime(monkeypatch):
    directory = Path("/" + "r" * 16)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    monkeypatch.setattr("os.access", lambda _path, _mode: True)
    runtime = named_places("x" * 32).runtime

    assert directory / "nitrosim" / ("x" * 32) == runtime
    # CID, port and a serial of twelve digits.
    assert 107 >= len(f"{runtime}/v/4294967295.4294967295.{10**12}")


def test_places_and_directories_are_the_same():
    places = named_places("x")

    assert (str(places.state), str(places.runtime)) == (
        state_directory("x"),
        runtime_directory("x"),
    )


def test_asking_for_places_makes_none(monkeypatch, short):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    monkeypatch.setenv("NITROSIM_STATE", str(short / "state"))
    named_places("x")

    assert [] == list(short.iterdir())


def test_instances_without_a_name_have_a_private_directory_each(monkeypatch, short):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    one, two = ephemeral_places(), ephemeral_places()

    assert one.runtime != two.runtime
    assert one.runtime / "state" == one.state
    assert one.name is None
    for directory in (one.runtime, one.runtime.parent):
        assert 0o700 == stat.S_IMODE(directory.stat().st_mode)


def test_a_private_directory_is_made_with_what_is_above_it(tmp_path):
    directory = make_private(tmp_path / "a" / "b")

    assert 0o700 == stat.S_IMODE(directory.stat().st_mode)


def test_a_directory_that_others_can_enter_is_closed_to_them(tmp_path):
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(0o755)

    assert directory == make_private(directory)
    assert 0o700 == stat.S_IMODE(directory.stat().st_mode)


def refused(directory):
    with pytest.raises(InstanceError) as caught:
        make_private(directory)
    assert "INSTANCE_DIRECTORY" == caught.value.code
    assert str(directory) in str(caught.value)


def test_a_directory_of_somebody_else_is_refused(monkeypatch, tmp_path):
    directory = tmp_path / "theirs"
    directory.mkdir()
    somebody_else = os.getuid() + 1
    monkeypatch.setattr("os.getuid", lambda: somebody_else)

    refused(directory)


def test_a_link_in_place_of_a_directory_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    refused(tmp_path / "link")


def test_a_file_in_place_of_a_directory_is_refused(tmp_path):
    (tmp_path / "file").write_text("")

    refused(tmp_path / "file")
    refused(tmp_path / "file" / "below")
