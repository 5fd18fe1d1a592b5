"""`nitrosim build`, with directories, files of images, and an engine that has images in memory."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from docker_engine import make_image, running_engine
from nitrosim.cli import build
from nitrosim.cli.main import main
from nitrosim.eif import Eif, SectionType, describe
from nitrosim.eif.cpio import read_content
from nitrosim.eif.cpio_reader import read_cpio


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Work in a folder of our own, with no blobs, no engine and a time that stands still."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setenv("NITRO_CLI_BLOBS", str(tmp_path / "blobs"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NITROSIM_INSTANCE", raising=False)
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    (tmp_path / "rootfs").mkdir()
    (tmp_path / "rootfs" / "hello").write_bytes(b"program")
    return tmp_path


@pytest.fixture
def docker(monkeypatch):
    with running_engine() as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        yield engine


@pytest.fixture
def nitrosim(capsys):
    """Run a command line: exit status, standard output and error."""

    def call(*words):
        try:
            status = main(words)
        except SystemExit as stop:
            status = stop.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def built(nitrosim):
    """Build an image that must succeed: what was printed as an object, and what was noted."""

    def call(*words):
        status, output, errors = nitrosim("build", "--output", "out.eif", *words)
        assert 0 == status, errors
        return json.loads(output), errors

    return call


def described(path="out.eif"):
    with Eif.open(path, check="boot") as eif:
        return describe(eif)


def file_of(name, path="out.eif"):
    with Eif.open(path) as eif:
        ramdisk = eif.payload(eif.sections_of(SectionType.RAMDISK)[1])
        for entry in read_cpio(ramdisk):
            if entry.name == name:
                return read_content(entry)
    return None


ROOTFS = ("--rootfs", "rootfs", "--", "/hello")
PLACEHOLDERS = "bzImage, bzImage.config, cmdline, init, nsm.ko"


def test_directory_is_built_with_the_command_after_two_hyphens(built):
    printed, _ = built(
        "--arch=x86_64",
        "--rootfs=rootfs",
        "--env",
        "A=1",
        "--env",
        "B=x=y",
        "--",
        "/hello",
        "--env",
    )

    assert {"Measurements": described()["Measurements"]} == printed
    assert b"/hello\n--env\n" == file_of(b"cmd")
    assert b"A=1\nB=x=y\n" == file_of(b"env")
    assert b"program" == file_of(b"rootfs/hello")


def test_command_in_one_argument_is_split_as_a_shell_does(built):
    built("--arch=x86_64", "--rootfs=rootfs", "--cmd", "/hello 'my enclave' --env")

    assert b"/hello\nmy enclave\n--env\n" == file_of(b"cmd")


def test_output_is_that_of_build_enclave(nitrosim):
    _, output, _ = nitrosim("build", "-o", "out.eif", "--arch", "x86_64", *ROOTFS)

    text = json.dumps({"Measurements": described()["Measurements"]}, indent=2)
    assert f"{text}\n" == output
    assert ["HashAlgorithm", "PCR0", "PCR1", "PCR2"] == [*json.loads(output)["Measurements"]]


def test_placeholders_are_noted_with_what_is_missing(built, place):
    _, errors = built("--arch", "x86_64", *ROOTFS)

    assert (
        "nitrosim build: note: PCR0 and PCR1 will differ on EC2, PCR2 will not: "
        f"{place / 'blobs'} lacks {PLACEHOLDERS}, so placeholders stand for kernel and init\n"
    ) == errors


@pytest.fixture
def blobs(place):
    folder = place / "blobs"
    folder.mkdir()
    for name in ("bzImage", "bzImage.config", "cmdline", "init", "nsm.ko"):
        (folder / name).write_text(f"#\n#\n# Linux/x86_64 4.14.256-1 {name}")
    return folder


@pytest.mark.usefixtures("blobs")
def test_real_blobs_are_used_without_a_note(built):
    _, errors = built("--arch", "x86_64", *ROOTFS)

    assert "" == errors
    assert "4.14.256" == described()["Metadata"]["KernelVersion"]


def test_blobs_that_are_named_must_be_there(nitrosim, blobs):
    (blobs / "init").unlink()

    status, output, errors = nitrosim(
        "build", "-o", "out.eif", "--arch", "x86_64", "--blobs", "blobs", *ROOTFS
    )

    assert (4, "") == (status, output)
    assert errors.startswith("nitrosim: BLOBS_INCOMPLETE: blobs lacks init; expected the blobs")


def test_the_same_directory_gives_the_same_file(built, place):
    built("--arch", "x86_64", *ROOTFS)
    before = (place / "out.eif").read_bytes()
    (place / "rootfs" / "hello").touch()
    built("--arch", "x86_64", *ROOTFS)

    assert before == (place / "out.eif").read_bytes()


def test_directory_without_names_has_that_of_the_file(built):
    built(*ROOTFS)

    found = described()
    assert ("out", "unversioned") == (found["ImageName"], found["ImageVersion"])
    assert None is found["Metadata"]["DockerInfo"]
    assert "2023-11-14T22:13:20.000000000+00:00" == found["Metadata"]["BuildTime"]
    assert "nitrosim" == found["Metadata"]["BuildTool"]


def test_name_version_and_metadata_can_be_given(built, place):
    (place / "m.json").write_text('{"Commit": "abc"}')
    built("--name", "n", "--version", "7", "--metadata", "m.json", *ROOTFS)

    found = described()
    assert ("n", "7") == (found["ImageName"], found["ImageVersion"])
    assert "abc" == found["Metadata"]["Commit"]


def test_architecture_can_be_another_one(built):
    _, errors = built("--arch", "aarch64", *ROOTFS)

    assert "lacks Image, Image.config" in errors
    with Eif.open("out.eif", check="boot", architecture="aarch64") as eif:
        assert "aarch64" == eif.header.architecture


@pytest.fixture
def archive(place):
    """Return a file as docker save writes it."""
    image = make_image("registry.test:5000/hello:v1", Entrypoint=["/e"], WorkingDir="/w", User="5")
    (place / "image.tar").write_bytes(image.archive)
    return image


def test_image_brings_command_environment_and_names(built, archive):
    _, errors = built("--image", "image.tar")

    found = described()
    assert "registry.test:5000/hello" == found["ImageName"]
    assert archive.inspected["Id"] == f"sha256:{found['ImageVersion']}"
    assert archive.inspected["Id"] == found["Metadata"]["DockerInfo"]["Id"]
    assert b"/hello\n" == file_of(b"cmd")
    assert errors.startswith(
        "nitrosim build: note: ENTRYPOINT ['/e'] is ignored because there is a CMD\n"
        "nitrosim build: note: WORKDIR /w is ignored: the command starts in /\n"
        "nitrosim build: note: USER 5 is ignored: the command runs as root\n"
    )


@pytest.mark.usefixtures("archive")
def test_reference_chooses_and_names(built, nitrosim):
    built("--image", "image.tar", "--reference", "registry.test:5000/hello:v1")

    assert "registry.test:5000/hello" == described()["ImageName"]
    status, _, errors = nitrosim("build", "-o", "o", "--image", "image.tar", "--reference", "x")
    assert 4 == status
    assert errors.startswith("nitrosim: IMAGE_REFERENCE: ")


@pytest.mark.usefixtures("archive")
def test_image_for_another_architecture_is_refused(nitrosim, place):
    status, output, errors = nitrosim(
        "build", "-o", "out.eif", "--image", "image.tar", "--arch", "aarch64"
    )

    assert (4, "") == (status, output)
    assert "nitrosim: IMAGE_PLATFORM: the architectures of the image, got ['amd64']" in errors
    assert not (place / "out.eif").exists()


def test_json_says_more_of_what_was_built(built, archive):
    printed, errors = built("--json", "--image", "image.tar")

    notes = printed.pop("notes")
    assert [f"nitrosim build: note: {note}" for note in notes] == errors.splitlines()
    assert {
        "Measurements": described()["Measurements"],
        "output": "out.eif",
        "name": "registry.test:5000/hello",
        "version": archive.inspected["Id"].removeprefix("sha256:"),
        "architecture": "x86_64",
        "missing_blobs": PLACEHOLDERS.split(", "),
    } == printed


def test_json_of_an_error_has_its_code(nitrosim):
    status, output, _ = nitrosim("--json", "build", "-o", "out.eif", "--image", "none.tar")

    assert 4 == status
    assert (False, "IMAGE_NOT_FOUND") == (json.loads(output)["ok"], json.loads(output)["code"])


def test_image_of_an_engine_is_used_as_it_is(built, docker):
    docker.images["hello:latest"] = make_image()
    built("--docker-uri", "hello")

    assert "hello" == described()["ImageName"]
    assert [] == [request for request in docker.requests if request.startswith("POST")]


def test_image_that_the_engine_lacks_is_pulled(built, docker):
    docker.registry["hello:v2"] = make_image("hello:v2")
    _, errors = built("--docker-uri", "hello:v2")

    assert "nitrosim build: Pulling from hello:v2\n" in errors
    assert "POST /images/create" in docker.requests


def test_dockerfile_is_built_under_the_name_of_the_image(built, docker, place):
    docker.built = make_image("app:v1")
    (place / "Dockerfile").write_text("FROM scratch\n")
    _, errors = built("--docker-uri", "app:v1", "--docker-dir", ".")

    assert errors.startswith("nitrosim build: Step 1/1 : FROM scratch\n")
    assert ["app:v1"] == list(docker.images)
    assert "app" == described()["ImageName"]


def test_engine_and_file_give_the_same_image(built, docker, place):
    docker.images["hello:latest"] = image = make_image()
    (place / "image.tar").write_bytes(image.archive)

    built("--docker-uri", "hello")
    from_engine = (place / "out.eif").read_bytes()
    built("--image", "image.tar")

    assert from_engine == (place / "out.eif").read_bytes()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--rootfs", "rootfs"), "no command: put it after --"),
        (("--rootfs", "rootfs", "--"), "no command: put it after --"),
        (("--cmd", "x", *ROOTFS), "the command is given twice"),
        (("--rootfs", "rootfs", "--cmd", "it's"), "No closing quotation"),
        (("--rootfs", "rootfs", "--cmd", " "), "it has no words"),
        (("--image", "i", "--cmd", "x"), "an image brings its command and environment"),
        (("--image", "i", "--", "x"), "an image brings its command and environment"),
        (("--image", "i", "--env", "A=1"), "an image brings its command and environment"),
        (("--env", "A", *ROOTFS), "--env expects K=V, got ['A']"),
        (("--env", "=A", *ROOTFS), "--env expects K=V, got ['=A']"),
        (("--reference", "r", *ROOTFS), "--reference chooses among the images in --image"),
        (("--docker-dir", ".", *ROOTFS), "--docker-dir needs --docker-uri"),
        (("--private-key", "k", *ROOTFS), "need one another"),
        (("--signing-certificate", "c", *ROOTFS), "need one another"),
        ((), "one of the arguments --rootfs --image --docker-uri is required"),
        (("--image", "i", "--docker-uri", "u"), "not allowed with argument --image"),
    ],
)
def test_arguments_that_do_not_fit_are_wrong_use(nitrosim, place, words, text):
    status, output, errors = nitrosim("build", "--output", "out.eif", *words)

    assert (2, "") == (status, output)
    assert text in errors
    assert not (place / "out.eif").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("-o", "rootfs/out.eif", *ROOTFS), "BUILD_OUTPUT"),
        (("-o", "none/out.eif", *ROOTFS), "BUILD_OUTPUT"),
        (("-o", "out.eif", "--metadata", "none.json", *ROOTFS), "BUILD_METADATA"),
        (
            ("-o", "out.eif", "--signing-certificate", "none", "--private-key", "none", *ROOTFS),
            "BUILD_SIGNING",
        ),
        (("-o", "out.eif", "--rootfs", "none", "--", "/hello"), "IMAGE_NOT_FOUND"),
    ],
)
def test_what_cannot_be_built_leaves_nothing(nitrosim, place, words, code):
    before = sorted(place.rglob("*"))

    status, output, errors = nitrosim("build", *words)

    assert (4, "") == (status, output)
    assert errors.startswith(f"nitrosim: {code}: ")
    assert before == sorted(place.rglob("*"))


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("hello", "hello"),
        ("hello:v1", "hello"),
        ("registry.test:5000/hello", "registry.test:5000/hello"),
        ("registry.test:5000/a/hello:v1", "registry.test:5000/a/hello"),
        ("hello@sha256:00", "hello"),
        ("hello:v1@sha256:00", "hello"),
    ],
)
def test_name_of_a_reference_is_without_tag_and_digest(reference, expected):
    assert expected == build.repository(reference)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_build_that_is_stopped_leaves_nothing(place, number):
    subprocess.run(["mkfifo", "pipe"], check=True)
    (place / "out").mkdir()
    (place / "scratch").mkdir()
    # The blob is a pipe: the build has begun to write when it opens that, and then waits.
    program = """
import sys
from dataclasses import replace
from nitrosim.cli.main import main
import nitrosim.builder

class Pipe:
    size = 0
    def chunks(self):
        print("writing", flush=True)
        with open("pipe", "rb") as file:
            yield file.read()

real = nitrosim.builder.find_blobs
nitrosim.builder.find_blobs = lambda *a, **k: replace(real(*a, **k), kernel=Pipe())
sys.exit(main(["build", "-o", "out/out.eif", "--rootfs", "rootfs", "--", "/hello"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env={"TMPDIR": "scratch"}
    ) as process:
        assert b"writing\n" == process.stdout.readline()
        assert [] != list((place / "out").iterdir())
        process.send_signal(number)
        process.communicate(timeout=20)

    assert 128 + number == process.returncode
    assert [] == list((place / "out").iterdir())
    assert [] == list((place / "scratch").iterdir())
