from __future__ import annotations

import pytest

from nitrosim.cli.nitro_cli.codes import ErrorCode
from nitrosim.cli.nitro_cli.environment import Environment
from nitrosim.cli.nitro_cli.failure import CommandError
from nitrosim.errors import NitroSimError


def environment(**variables):
    return Environment(variables=variables)


def test_defaults():
    found = environment()

    assert ("1.5.0", False, "INFO") == (found.version, found.wants_backtrace, found.log_level)
    assert "/usr/share/nitro_enclaves/blobs/" == found.blobs
    assert "/var/log/nitro_enclaves" == found.system_logs
    assert "/run/nitro_enclaves" == found.system_sockets


def test_folders_that_variables_name_are_taken_as_they_are(tmp_path):
    found = environment(
        NITRO_CLI_BLOBS="/b",
        NITRO_CLI_LOGS_PATH=str(tmp_path / "l"),
        NITRO_CLI_SOCKETS_PATH=str(tmp_path / "s"),
    )

    assert ("/b", f"{tmp_path}/l", f"{tmp_path}/s") == (
        found.blobs,
        found.logs(),
        found.sockets(),
    )
    assert [] == [*tmp_path.iterdir()]


@pytest.mark.parametrize("version", ["1.4.2", "1.5", "10.0.0.1"])
def test_version_can_be_chosen(version):
    assert version == environment(NITROSIM_NITRO_CLI_VERSION=version).version


def test_empty_version_is_none_at_all():
    assert "1.5.0" == environment(NITROSIM_NITRO_CLI_VERSION="").version


@pytest.mark.parametrize("version", ["1", "v1.5.0", "1.5.x", "1..5", "1.5.0-rc", "\u0661.5", "1."])
def test_what_is_no_version_is_refused(version):
    with pytest.raises(NitroSimError, match="NITROSIM_NITRO_CLI_VERSION") as caught:
        _ = environment(NITROSIM_NITRO_CLI_VERSION=version).version

    assert "ENVIRONMENT" == caught.value.code


@pytest.mark.parametrize(("value", "wanted"), [("1", True), ("0", False), ("", False)])
def test_backtrace_is_wanted_with_1(value, wanted):
    assert wanted is environment(BACKTRACE=value).wants_backtrace


@pytest.mark.parametrize(
    ("value", "level"),
    [("debug", "DEBUG"), ("WARN", "WARN"), ("error", "ERROR"), ("trace", "TRACE"), ("x", "INFO")],
)
def test_level_of_the_log(value, level):
    assert level == environment(RUST_LOG=value).log_level


@pytest.mark.parametrize("kind", ["logs", "sockets"])
def test_default_folder_is_made_where_that_is_possible(tmp_path, kind):
    found = system(tmp_path)
    expected = tmp_path / kind

    assert str(expected) == getattr(found, kind)() == getattr(found, kind)()
    assert expected.is_dir()


def system(folder, **variables):
    return Environment(
        variables=variables,
        system_logs=str(folder / "logs"),
        system_sockets=str(folder / "sockets"),
    )


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return a function that names the user's own folder of a kind and an instance."""
    monkeypatch.setenv("NITROSIM_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("nitrosim.directories.runtime_base", lambda: str(tmp_path / "runtime"))
    bases = {"logs": tmp_path / "state", "sockets": tmp_path / "runtime"}
    return lambda kind, instance: bases[kind] / instance / "nitro-cli"


@pytest.mark.parametrize("kind", ["logs", "sockets"])
def test_folder_of_the_users_own_takes_the_place_of_one_that_cannot_be_made(tmp_path, own, kind):
    expected = own(kind, "default")

    assert str(expected) == getattr(system(tmp_path / "missing"), kind)()
    assert 0o700 == expected.stat().st_mode & 0o777


@pytest.mark.parametrize("kind", ["logs", "sockets"])
def test_file_in_place_of_a_folder_is_passed_over(tmp_path, own, kind):
    (tmp_path / kind).write_bytes(b"")

    assert str(own(kind, "default")) == getattr(system(tmp_path), kind)()


@pytest.mark.parametrize("kind", ["logs", "sockets"])
def test_folders_of_the_system_are_for_the_default_instance_only(tmp_path, own, kind):
    (tmp_path / kind).mkdir()
    named = {
        name: getattr(system(tmp_path, NITROSIM_INSTANCE=name), kind)()
        for name in ("default", "", "gw0", "gw1")
    }

    assert {
        "default": str(tmp_path / kind),
        "": str(tmp_path / kind),
        "gw0": str(own(kind, "gw0")),
        "gw1": str(own(kind, "gw1")),
    } == named


@pytest.mark.parametrize("kind", ["logs", "sockets"])
def test_folder_that_a_variable_names_is_for_every_instance(tmp_path, kind):
    name = f"NITRO_CLI_{kind.upper()}_PATH"
    found = system(tmp_path, NITROSIM_INSTANCE="gw0", **{name: "/x"})

    assert "/x" == getattr(found, kind)()


def test_artifacts_have_a_folder_in_the_home_directory(tmp_path):
    assert f"{tmp_path}/.nitro_cli/" == environment(HOME=str(tmp_path)).artifacts()
    assert (tmp_path / ".nitro_cli").is_dir()


def test_folder_for_artifacts_is_made(tmp_path):
    folder = tmp_path / "a" / "b"

    assert str(folder) == environment(NITRO_CLI_ARTIFACTS=str(folder), HOME="/x").artifacts()
    assert folder.is_dir()


def test_no_place_for_artifacts_is_e51():
    with pytest.raises(CommandError) as caught:
        environment().artifacts()

    assert ErrorCode.ARTIFACTS_PATH is caught.value.reason


def test_folder_for_artifacts_that_cannot_be_made_is_e19(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    folder = str(tmp_path / "file" / "x")
    with pytest.raises(CommandError) as caught:
        environment(NITRO_CLI_ARTIFACTS=folder).artifacts()

    assert ErrorCode.FILE_OPERATION.headline([folder, "Create"]) == caught.value.headline
