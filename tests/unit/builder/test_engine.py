"""The engine as a build sees it, with an engine that has images in memory."""

import base64
import gc
import json
import sys
import warnings

import pytest

from docker_engine import make_image, running_engine
from nitrosim.builder import BuildError, Engine
from nitrosim.eif.cpio import read_content
from nitrosim.images import ImageError


@pytest.fixture
def docker():
    with running_engine() as engine:
        yield engine


@pytest.fixture
def engine(docker):
    with Engine.connect({"DOCKER_HOST": docker.host}) as engine:
        yield engine


@pytest.fixture
def _sockets_of_dockers_package():
    """Clear up sockets that Docker's package leaves open when an engine fails."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def refusal(function, *arguments, **options):
    with pytest.raises(BuildError) as caught:
        function(*arguments, **options)
    return caught.value.code, str(caught.value)


def left(folder):
    return [path.name for path in folder.iterdir()]


def test_image_that_is_there_is_inspected(docker, engine):
    docker.images["hello:latest"] = make_image()

    assert ["hello:latest"] == engine.inspect("hello")["RepoTags"]


def test_image_that_is_not_there_is_none(engine):
    assert engine.inspect("hello") is None


def test_image_comes_over_whole_and_leaves_no_file(docker, engine, tmp_path):
    docker.images["hello:latest"] = make_image(files={"a": b"1", "b": b"2"}, Cmd=["/a"])

    with engine.open("hello", spool=tmp_path) as root:
        assert [] == left(tmp_path)
        assert [b"1", b"2"] == [read_content(entry) for entry in root.entries()]
        assert ("/a",) == root.config.command()
        assert ("hello:latest",) == root.names


def test_image_for_another_architecture_is_refused(docker, engine, tmp_path):
    docker.images["hello:latest"] = make_image(architecture="arm64")

    with pytest.raises(ImageError) as caught:
        engine.open("hello", architecture="amd64", spool=tmp_path)

    assert "IMAGE_PLATFORM" == caught.value.code
    assert [] == left(tmp_path)


def test_image_that_is_gone_meanwhile_is_an_error(engine, tmp_path):
    assert ("ENGINE_IMAGE", "cannot get hello: No such image: hello") == refusal(
        engine.open, "hello", spool=tmp_path
    )
    assert [] == left(tmp_path)


@pytest.mark.usefixtures("_sockets_of_dockers_package")
@pytest.mark.parametrize("size", [1, 512, 5000])
def test_engine_that_hangs_up_half_way_leaves_nothing(docker, engine, tmp_path, size):
    docker.images["hello:latest"] = make_image()
    docker.saved_bytes = size

    code, message = refusal(engine.open, "hello", spool=tmp_path)

    assert "ENGINE_IMAGE" == code
    assert message.startswith("cannot get hello: ")
    assert [] == left(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"no archive at all", bytes(1024)])
def test_what_comes_over_may_be_no_image(docker, engine, tmp_path, damage):
    docker.images["hello:latest"] = make_image()
    docker.images["hello:latest"].archive = damage or b"x"

    with pytest.raises(ImageError):
        engine.open("hello", spool=tmp_path)

    assert [] == left(tmp_path)


def test_image_is_pulled_with_progress(docker, engine):
    docker.registry["here/hello:v1"] = make_image("here/hello:v1")
    told = []

    engine.pull("here/hello:v1", tell=told.append)

    assert [
        "Pulling from here/hello:v1",
        "0a1b: Pulling fs layer",
        "0a1b: Pull complete",
    ] == told
    assert engine.inspect("here/hello:v1") is not None


def test_name_without_a_tag_is_pulled_as_latest(docker, engine):
    docker.registry["hello:latest"] = make_image()

    engine.pull("hello", architecture="arm64")

    assert ["hello:latest"] == list(docker.images)


def test_image_that_no_registry_has_is_an_error(engine):
    assert ("ENGINE_PULL", "cannot pull hello: manifest unknown") == refusal(engine.pull, "hello")


@pytest.mark.parametrize("named", ["file", "folder", "home"])
def test_credentials_come_from_the_file_or_folder_that_is_named(docker, tmp_path, named):
    folder = tmp_path / ".docker"
    folder.mkdir()
    auth = base64.b64encode(b"me:secret").decode()
    (folder / "config.json").write_text(json.dumps({"auths": {"registry.test": {"auth": auth}}}))
    docker.registry["registry.test/hello:v1"] = make_image()
    variables = {
        "file": {"DOCKER_CONFIG": str(folder / "config.json")},
        "folder": {"DOCKER_CONFIG": str(folder)},
        "home": {"HOME": str(tmp_path)},
    }[named]

    with Engine.connect({"DOCKER_HOST": docker.host, **variables}) as engine:
        engine.pull("registry.test/hello:v1")

    (sent,) = docker.credentials
    assert {"username": "me", "password": "secret"}.items() <= json.loads(
        base64.urlsafe_b64decode(sent)
    ).items()


def test_dockerfile_is_built_with_what_is_in_its_folder(docker, engine, tmp_path):
    docker.built = make_image("app:v1")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / ".dockerignore").write_text("secret\n")
    (tmp_path / "app").write_bytes(b"app")
    (tmp_path / "secret").write_bytes(b"secret")
    told = []

    engine.build(tmp_path, "app:v1", tell=told.append)

    assert [[".dockerignore", "Dockerfile", "app"]] == docker.contexts
    assert ["Step 1/1 : FROM scratch"] == told
    assert ["app:v1"] == list(docker.images)


def test_dockerfile_that_does_not_build_is_an_error(engine, tmp_path):
    assert ("ENGINE_BUILD", f"cannot build {tmp_path}: no such stage") == refusal(
        engine.build, tmp_path, "app:v1"
    )


@pytest.mark.parametrize("name", ["none", "file"])
def test_dockerfile_needs_a_folder(docker, engine, tmp_path, name):
    (tmp_path / "file").write_bytes(b"")
    docker.requests.clear()

    code, message = refusal(engine.build, tmp_path / name, "app:v1")

    assert "ENGINE_BUILD" == code
    assert "expected a folder with a Dockerfile" in message
    assert [] == docker.requests


def test_name_that_no_image_can_have_is_an_error(engine, tmp_path):
    code, message = refusal(engine.build, tmp_path, "NOT A NAME")

    assert "ENGINE_BUILD" == code
    assert "NOT A NAME" in message


@pytest.mark.usefixtures("_sockets_of_dockers_package")
@pytest.mark.parametrize(
    "host", ["unix:///nonexistent/docker.sock", "nonsense", "tcp://127.0.0.1:1"]
)
def test_engine_that_does_not_answer_is_an_error(host):
    code, message = refusal(Engine.connect, {"DOCKER_HOST": host})

    assert "ENGINE_UNREACHABLE" == code
    assert message.startswith(f"no Docker engine answers at {host}; start one, or set DOCKER_HOST")


def test_without_dockers_package_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "docker.errors", None)

    code, message = refusal(Engine.connect, {})

    assert "ENGINE_SDK" == code
    assert "pip install 'nitrosim[docker]'" in message


@pytest.mark.parametrize(
    "content", ['{"auths": {"registry.test": []}}', '{"auths": {"a": {"auth": "!"}}}']
)
def test_credentials_that_cannot_be_read_matter_to_pulls_only(docker, tmp_path, content):
    docker.images["hello:latest"] = make_image()
    (tmp_path / "config.json").write_text(content)
    variables = {"DOCKER_HOST": docker.host, "DOCKER_CONFIG": str(tmp_path)}

    with Engine.connect(variables) as engine:
        assert engine.inspect("hello") is not None
        assert "ENGINE_PULL" == refusal(engine.pull, "registry.test/hello")[0]


def test_lines_of_an_engine_are_printable(docker, engine):
    image = make_image("hello:\x1b")
    docker.registry["hello:\x1b"] = image
    told = []

    engine.pull("hello:\x1b", tell=told.append)

    assert "Pulling from hello:\\x1b" == told[0]
