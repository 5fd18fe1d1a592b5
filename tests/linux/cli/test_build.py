"""Images that are built without the blobs of nitro-cli run under nitrosim."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from docker_engine import make_image, running_engine
from nitrosim.eif import Eif

pytestmark = pytest.mark.needs("userns", "cc")

PROGRAM = r"""
#include <stdio.h>

extern char **environ;

int main(int count, char **words)
{
    for (int n = 0; n < count; n++)
        printf("argument %s\n", words[n]);
    for (char **variable = environ; *variable; variable++)
        printf("variable %s\n", *variable);
    return 7;
}
"""
SAID = ["argument /bin/say", "argument two words", "variable B=x=y", "variable A=1"]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("say")
    (folder / "say.c").write_text(PROGRAM)
    subprocess.run(["cc", "-static", "-o", "say", "say.c"], cwd=folder, check=True)
    return (folder / "say").read_bytes()


@pytest.fixture
def built_and_run(nitrosim, tmp_path):
    """Build an image, run it, and return what its program said and ended with."""

    def call(*words, **variables):
        output = tmp_path / "say.eif"
        places = {"NITRO_CLI_BLOBS": str(tmp_path / "blobs"), **variables}
        done = nitrosim("build", "--json", "--output", output, *words, env=places)
        assert 0 == done.returncode, done.stderr
        printed = json.loads(done.stdout)
        assert "bzImage" in printed["missing_blobs"] or "Image" in printed["missing_blobs"]
        with Eif.open(output, check="boot") as eif:
            assert eif.measure().as_json() == printed["Measurements"]
        ran = nitrosim("run", "--eif", output)
        return ran.stdout.splitlines(), ran.returncode

    return call


def test_directory_runs_with_the_command_and_environment_that_were_given(
    built_and_run, program, tmp_path
):
    (tmp_path / "rootfs" / "bin").mkdir(parents=True)
    (tmp_path / "rootfs" / "bin" / "say").write_bytes(program)
    (tmp_path / "rootfs" / "bin" / "say").chmod(0o755)

    rootfs = ("--rootfs", tmp_path / "rootfs", "--env", "B=x=y", "--env", "A=1")
    assert (SAID, 7) == built_and_run(*rootfs, "--", "/bin/say", "two words")


@pytest.fixture
def image(program):
    return make_image(
        "say:latest",
        files={"bin/say": program},
        architecture={"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        Cmd=["/bin/say", "two words"],
        Env=["B=x=y", "A=1"],
        Entrypoint=["/never"],
        WorkingDir="/work",
    )


def test_image_runs_with_its_own_command_and_environment(built_and_run, image, tmp_path):
    (tmp_path / "say.tar").write_bytes(image.archive)

    assert (SAID, 7) == built_and_run("--image", tmp_path / "say.tar")


def test_image_of_an_engine_runs_with_its_own_command_and_environment(built_and_run, image):
    with running_engine() as engine:
        engine.images["say:latest"] = image

        assert (SAID, 7) == built_and_run("--docker-uri", "say", DOCKER_HOST=engine.host)
