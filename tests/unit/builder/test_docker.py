"""Images of a real engine, where there is one, are the same however they come over.

Needs an engine that this user may talk to (DOCKER_HOST is heeded). Nothing is pulled from a
network, and nothing is started but what a Dockerfile without RUN makes.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from pathlib import Path

import pytest

from nitrosim.builder import BuildError, Engine
from nitrosim.cli.main import main as nitrosim
from nitrosim.cli.nitro_cli.main import main as nitro_cli
from nitrosim.eif import Eif, describe

pytestmark = pytest.mark.needs("docker", "cc")

PROGRAM = "int main(void) { return 7; }\n"
DOCKERFILE = """\
FROM scratch
COPY hello /bin/hello
COPY --chown=1000:7 hello /srv/app/again
ENV GREETING="hello world"
WORKDIR /srv/app
ENTRYPOINT ["/never"]
CMD ["/bin/hello", "two words"]
"""


def docker(*arguments):
    return subprocess.run(["docker", *arguments], capture_output=True, check=True).stdout


@pytest.fixture
def tag():
    name = f"nitrosim-test/build:{uuid.uuid4().hex}"
    yield name
    subprocess.run(["docker", "image", "rm", "-f", name], capture_output=True, check=False)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Work in a folder of our own, with a Dockerfile in the folder context, and no blobs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NITRO_CLI_BLOBS", str(tmp_path / "blobs"))
    monkeypatch.setenv("NITRO_CLI_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.setenv("NITRO_CLI_LOGS_PATH", str(tmp_path))
    context = tmp_path / "context"
    context.mkdir()
    (context / "hello.c").write_text(PROGRAM)
    subprocess.run(["cc", "-static", "-o", "hello", "hello.c"], cwd=context, check=True)
    (context / "Dockerfile").write_text(DOCKERFILE)
    (context / ".dockerignore").write_text("hello.c\n")
    return tmp_path


@pytest.fixture
def measured(capsys, place):
    """Run a command line that must build an image; return its measurements."""

    def call(main, *words):
        status = main(words)
        captured = capsys.readouterr()
        assert 0 == status, captured.err
        assert [] == [path.name for path in place.iterdir() if path.name.startswith(".")]
        return json.loads(captured.out)["Measurements"]

    return call


@pytest.mark.needs("skopeo")
def test_an_image_has_the_same_measurements_however_it_comes_over(measured, tag):
    # A WORKDIR that no layer writes down has the time of the day, so this is built once only.
    build = ("build", "--output", "out.eif")
    first = measured(nitrosim, *build, "--docker-uri", tag, "--docker-dir", "context")
    docker("save", "-o", "saved.tar", tag)
    copy = ["skopeo", "--insecure-policy", "copy", "--quiet", "docker-archive:saved.tar"]
    subprocess.run([*copy, "oci:layout:hello"], check=True)
    subprocess.run([*copy, "oci-archive:archive.tar:hello"], check=True)

    assert first == measured(nitrosim, *build, "--docker-uri", tag)
    assert first == measured(nitrosim, *build, "--image", "saved.tar", "--reference", tag)
    assert first == measured(nitrosim, *build, "--image", "layout")
    assert first == measured(nitrosim, *build, "--image", "archive.tar")
    arguments = ("--docker-uri", tag, "--output-file", "out.eif")
    assert first == measured(nitro_cli, "build-enclave", *arguments)


def test_an_image_that_is_loaded_again_has_the_same_measurements(measured, tag):
    docker("build", "-t", tag, "context")
    arguments = ("build-enclave", "--docker-uri", tag, "--output-file", "out.eif")
    first = measured(nitro_cli, *arguments)
    docker("save", "-o", "saved.tar", tag)
    docker("image", "rm", tag)
    docker("load", "-i", "saved.tar")

    assert first == measured(nitro_cli, *arguments)


def test_a_dockerfile_is_built_and_described_as_the_engine_does(measured, place, tag):
    arguments = ("build-enclave", "--docker-uri", tag, "--output-file", "out.eif")
    measured(nitro_cli, *arguments, "--docker-dir", "context")

    (inspected,) = json.loads(docker("image", "inspect", tag))
    with Eif.open("out.eif", check="boot") as eif:
        found = describe(eif)
    assert "nitrosim-test/build" == found["ImageName"]
    assert inspected["Id"] == f"sha256:{found['ImageVersion']}"
    assert inspected["Config"]["Cmd"] == found["Metadata"]["DockerInfo"]["Config"]["Cmd"]
    assert inspected.keys() <= found["Metadata"]["DockerInfo"].keys()
    assert [] == [*(place / "artifacts").iterdir()]


@pytest.mark.usefixtures("place")
def test_a_dockerfile_that_fails_is_e49(capsys, tag):
    Path("context/Dockerfile").write_text("FROM scratch\nCOPY nothing /\n")

    arguments = ("--docker-uri", tag, "--output-file", "out.eif", "--docker-dir", "context")
    status = nitro_cli(("build-enclave", *arguments))

    errors = capsys.readouterr().err
    assert 49 == status
    assert "nitrosim: ENGINE_BUILD: cannot build context: " in errors
    assert "[ E49 ] Docker image build error." in errors


@pytest.mark.usefixtures("place")
def test_an_image_that_cannot_be_pulled_is_e50(capsys):
    # A registry that nobody listens at.
    arguments = ("--docker-uri", "127.0.0.1:1/nothing:v1", "--output-file", "out.eif")
    status = nitro_cli(("build-enclave", *arguments))

    errors = capsys.readouterr().err
    assert 50 == status
    assert "nitrosim: ENGINE_PULL: cannot pull 127.0.0.1:1/nothing:v1: " in errors


@pytest.mark.usefixtures("place")
def test_the_answers_of_the_real_engine_are_understood(tag):
    with Engine.connect(os.environ) as engine:
        assert engine.inspect(tag) is None
        with pytest.raises(BuildError) as caught:
            engine.inspect("NOT A NAME")
        assert "ENGINE_IMAGE" == caught.value.code
        with pytest.raises(BuildError) as caught:
            engine.open(tag)
        assert "ENGINE_IMAGE" == caught.value.code
