"""Commands: how they are found, what comes along with them, and what is measured."""

import os
import sys
from pathlib import Path

import pytest

from nitrosim.backends.command import find_command, hints, image_from_command
from nitrosim.backends.host_view import host_view
from nitrosim.errors import EnclaveError
from nitrosim.sandbox.operation import Operation

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / "home" / "somebody"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    return home


def program(path, text="#!/bin/sh\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def brought_along(image):
    """Return the operations of an image beside the view of the host."""
    return list(image.operations[len(host_view()) :])


def shown(image):
    return {operation.arguments[1] for operation in brought_along(image)}


# ---- finding ----


def test_a_command_is_looked_up_on_the_path_in_its_order(tmp_path):
    first, second = (program(tmp_path / name / "tool") for name in ("one", "two"))

    assert first == find_command("tool", f"{first.parent}:{second.parent}")
    assert second == find_command("tool", f"{second.parent}:{first.parent}")


def test_a_command_with_a_slash_is_not_looked_up(tmp_path, monkeypatch):
    tool = program(tmp_path / "tool")
    monkeypatch.chdir(tmp_path)

    assert tool == find_command("./tool", "/usr/bin") == find_command(str(tool), "")


def test_a_link_to_a_program_keeps_its_name(tmp_path):
    tool = program(tmp_path / "real" / "tool")
    link = tmp_path / "link"
    link.symlink_to(tool)

    assert link == find_command(str(link), "")


@pytest.mark.parametrize("name", ["no-such-tool", "./no-such-tool", "/etc/passwd", "/usr"])
def test_what_is_no_program_is_not_found(name):
    with pytest.raises(EnclaveError) as caught:
        find_command(name, "/usr/bin")
    assert "COMMAND_NOT_FOUND" == caught.value.code
    assert name in str(caught.value)


def test_no_command_is_not_found():
    with pytest.raises(EnclaveError) as caught:
        image_from_command([])
    assert "COMMAND_NOT_FOUND" == caught.value.code


@pytest.fixture
def pyenv(tmp_path, monkeypatch):
    """Make a pyenv: a shim, the program behind it, and ``pyenv which`` that knows it."""
    root = tmp_path / "pyenv"
    real = program(root / "versions" / "3.12.1" / "bin" / "tool")
    program(root / "shims" / "tool", "#!/bin/sh\nexec pyenv exec tool\n")
    program(root / "bin" / "pyenv", f'#!/bin/sh\n[ "$2" = tool ] && echo {real}\n')
    monkeypatch.setenv("PATH", PATH)
    return root, real


def test_a_pyenv_shim_stands_for_the_program_behind_it(pyenv):
    root, real = pyenv

    assert real == find_command("tool", f"{root}/shims:/usr/bin")


def test_a_shim_of_something_else_is_a_program_like_any_other(pyenv):
    root, _real = pyenv
    other = program(root / "shims" / "other")

    assert other == find_command("other", f"{root}/shims")


# ---- the image ----


def test_a_program_of_the_system_brings_nothing_along():
    image = image_from_command(["/usr/bin/env"])

    assert [] == brought_along(image)
    assert ("/usr/bin/env",) == image.command
    assert {"PATH": PATH} == image.environment
    assert "env" == image.name


def test_the_arguments_are_left_alone():
    image = image_from_command(["/usr/bin/env", "", "a b", "*", "./x"])

    assert ("/usr/bin/env", "", "a b", "*", "./x") == image.command


def test_the_environment_is_added_to_a_path():
    assert {"PATH": PATH, "A": "1"} == image_from_command(
        ["env"], environment={"A": "1"}
    ).environment
    assert {"PATH": "/x"} == image_from_command(["env"], environment={"PATH": "/x"}).environment


@pytest.mark.parametrize(("name", "value"), [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0")])
def test_an_environment_that_cannot_be_is_refused(name, value):
    with pytest.raises(EnclaveError) as caught:
        image_from_command(["env"], environment={name: value})
    assert "ENVIRONMENT" == caught.value.code


def test_an_application_directory_is_at_app_and_writable(tmp_path):
    app = tmp_path / "app"
    app.mkdir()
    image = image_from_command(["/usr/bin/env"], app_dir=app)

    assert [Operation("overlay", (str(app), "/app"))] == brought_along(image)


def test_a_link_to_an_application_directory_is_followed(tmp_path):
    app, link = tmp_path / "app", tmp_path / "link"
    app.mkdir()
    link.symlink_to(app)
    image = image_from_command(["/usr/bin/env"], app_dir=link)

    assert [Operation("overlay", (str(app), "/app"))] == brought_along(image)


@pytest.mark.parametrize("name", ["missing", "file"])
def test_an_application_directory_has_to_be_one(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnclaveError) as caught:
        image_from_command(["/usr/bin/env"], app_dir=tmp_path / name)
    assert "APP_DIR" == caught.value.code


def test_a_program_of_the_application_is_named_as_it_is_inside(tmp_path):
    tool = program(tmp_path / "app" / "bin" / "tool")
    app = tmp_path / "app"

    by_host_path = image_from_command([str(tool)], app_dir=app)
    by_inside_path = image_from_command(["/app/bin/tool"], app_dir=app)

    assert ("/app/bin/tool",) == by_host_path.command == by_inside_path.command
    assert {"PATH": f"/app/bin:{PATH}"} == by_host_path.environment


def test_the_installation_of_a_tool_comes_along(home):
    tool = program(home / "tools" / "thing" / "bin" / "tool")

    image = image_from_command([str(tool)])

    prefix = str(home / "tools" / "thing")
    assert [Operation("ro-bind", (prefix, prefix))] == brought_along(image)
    assert {"PATH": f"{prefix}/bin:{PATH}"} == image.environment


@pytest.mark.parametrize("place", ["bin", ".local/bin"])
def test_the_home_directory_never_comes_along(home, place):
    tool = program(home / place / "tool")
    image = image_from_command([str(tool)])

    assert {str(tool)} == shown(image)


def test_a_lone_program_comes_along_alone(home):
    tool = program(home / "work" / "tool")

    assert {str(tool)} == shown(image_from_command([str(tool)]))


def test_a_virtual_environment_comes_with_the_interpreter_it_was_made_from(home):
    base = program(home / "pythons" / "3.12" / "bin" / "python3.12", "an interpreter")
    venv = home / "project" / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text(f"home = {base.parent}\nversion = 3.12.1\n")
    for name, target in (("python3", base), ("python", "python3")):
        (venv / "bin" / name).symlink_to(target)

    image = image_from_command(["python"], search_path=str(venv / "bin"))

    assert {str(venv), str(home / "pythons" / "3.12")} == shown(image)
    assert (str(venv / "bin" / "python"),) == image.command


def test_a_script_comes_with_its_interpreter(home):
    interpreter = program(home / "runtimes" / "ruby" / "bin" / "ruby", "an interpreter")
    script = program(home / "work" / "script", f"#!{interpreter} -w\n")

    image = image_from_command([str(script)])

    assert {str(script), str(home / "runtimes" / "ruby")} == shown(image)


@pytest.mark.parametrize(
    "line", ["#!/usr/bin/env {}", "#!/usr/bin/env -S {} -u", "#! /usr/bin/env X=1 {}"]
)
def test_a_script_comes_with_the_interpreter_that_env_finds(home, line):
    interpreter = program(home / "runtimes" / "node" / "bin" / "node", "an interpreter")
    script = program(home / "work" / "script", line.format("node") + "\n")

    image = image_from_command([str(script)], search_path=f"{interpreter.parent}:/usr/bin")

    assert {str(script), str(home / "runtimes" / "node")} == shown(image)


@pytest.mark.parametrize("text", ["#!\n", "#! \n", "", "#!/usr/bin/env\n", "#!/no/such/program\n"])
def test_a_script_with_an_odd_first_line_brings_nothing_more(home, text):
    script = program(home / "work" / "script", text)

    assert {str(script)} == shown(image_from_command([str(script)]))


def test_a_script_whose_interpreter_env_cannot_find_is_refused(home):
    script = program(home / "work" / "script", "#!/usr/bin/env no-such-tool\n")

    with pytest.raises(EnclaveError) as caught:
        image_from_command([str(script)], search_path="/usr/bin")
    assert "COMMAND_NOT_FOUND" == caught.value.code


def test_the_interpreter_of_these_tests_can_be_brought_along():
    image = image_from_command([sys.executable])
    places = [Path(target) for target in shown(image)] + [Path("/usr"), Path("/bin")]

    for path in (Path(sys.executable), Path(sys.executable).resolve(), Path(sys.base_prefix)):
        assert any(path.is_relative_to(place) for place in places)


# ---- hints ----


def test_a_file_of_the_application_that_is_named_without_its_place_is_remarked_on(tmp_path):
    (tmp_path / "server.py").write_text("")

    (hint,) = hints(["python3", "server.py"], tmp_path)

    assert "write /app/server.py" in hint


def test_other_arguments_are_not_remarked_on(tmp_path):
    (tmp_path / "server.py").write_text("")
    (tmp_path / "folder").mkdir()

    for argument in ("/app/server.py", "-server.py", "other.py", "folder", "5000"):
        assert [] == hints(["python3", argument], tmp_path)
    assert [] == hints(["server.py"], tmp_path)
    assert [] == hints(["python3", "server.py"], None)


# ---- measurements ----


@pytest.fixture
def app(tmp_path):
    app = tmp_path / "app"
    (app / "sub").mkdir(parents=True)
    (app / "server.py").write_text("print(1)")
    (app / "sub" / "data").write_text("data")
    (app / "link").symlink_to("server.py")
    return app


def pcrs(app, command=("/usr/bin/env",), **environment):
    image = image_from_command(list(command), app_dir=app, environment=environment)
    return dict(image.pcrs)


def change_content(app):
    (app / "server.py").write_text("print(2)")


def change_mode(app):
    (app / "server.py").chmod(0o700)


def change_name(app):
    (app / "server.py").rename(app / "main.py")


def change_place(app):
    (app / "sub" / "data").rename(app / "data")


def change_link(app):
    (app / "link").unlink()
    (app / "link").symlink_to("sub/data")


def add_file(app):
    (app / "empty").write_text("")


def add_directory(app):
    (app / "empty").mkdir()


@pytest.mark.parametrize(
    "change",
    [
        change_content,
        change_mode,
        change_name,
        change_place,
        change_link,
        add_file,
        add_directory,
    ],
)
def test_every_change_of_the_application_changes_pcr0_and_pcr2_but_not_pcr1(app, change):
    before = pcrs(app)
    change(app)
    after = pcrs(app)

    assert [True, False, True] == [before[n] != after[n] for n in range(3)]


@pytest.mark.parametrize(
    "options",
    [
        {"command": ("/usr/bin/env", "x")},
        {"command": ("/usr/bin/printenv",)},
        {"A": "1"},
        {"PATH": "/usr/bin"},
    ],
)
def test_command_and_environment_are_measured(app, options):
    before, after = pcrs(app), pcrs(app, **options)

    assert [True, False, True] == [before[n] != after[n] for n in range(3)]


def test_words_are_measured_one_by_one(app):
    assert pcrs(app, ("/usr/bin/env", "a", "b")) != pcrs(app, ("/usr/bin/env", "a b"))
    assert pcrs(app, ("/usr/bin/env", "a", "")) != pcrs(app, ("/usr/bin/env", "a"))
    assert pcrs(app, ("/usr/bin/env", "A=1")) != pcrs(app, A="1")


def test_the_same_input_measures_the_same_wherever_and_whenever_it_is(app, tmp_path):
    copy = tmp_path / "elsewhere"
    (copy / "sub").mkdir(parents=True)
    # Made in another order, with other times.
    (copy / "link").symlink_to("server.py")
    (copy / "sub" / "data").write_text("data")
    (copy / "server.py").write_text("print(1)")
    os.utime(copy / "server.py", (0, 0))

    assert pcrs(app) == pcrs(copy)


def test_what_tools_leave_behind_is_not_measured(app):
    before = pcrs(app)
    for name in (".git", "__pycache__", ".venv", "sub/__pycache__"):
        (app / name).mkdir()
        (app / name / "file").write_text("x")

    assert before == pcrs(app)


def test_no_application_differs_from_an_empty_one(tmp_path):
    (tmp_path / "empty").mkdir()

    assert pcrs(None) != pcrs(tmp_path / "empty")


def test_special_files_are_measured_by_their_names(app):
    before = pcrs(app)
    os.mkfifo(app / "fifo")

    assert before != pcrs(app)


def test_registers_are_of_48_bytes(app):
    assert {0: 48, 1: 48, 2: 48} == {index: len(value) for index, value in pcrs(app).items()}
