"""build-enclave, with an engine that has images in memory."""

from __future__ import annotations

import gc
import json
import re
import warnings

import pytest

from docker_engine import make_image, running_engine
from nitrosim.eif import Eif, SectionType, describe
from nitrosim.eif.cpio import read_content
from nitrosim.eif.cpio_reader import read_cpio

START = "Start building the Enclave Image...\n"
LOCAL = "Using the locally available Docker image...\n"
DONE = "Enclave Image successfully created.\n"


@pytest.fixture
def docker():
    with running_engine() as engine:
        engine.images["hello:latest"] = make_image()
        yield engine


@pytest.fixture
def output(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "hello.eif"


@pytest.fixture
def build(nitro_cli, docker, output, tmp_path):
    """Run build-enclave: exit status, standard output, and error without what nitrosim says."""

    def call(*words, uri="hello", **variables):
        places = {
            "DOCKER_HOST": docker.host,
            "NITRO_CLI_ARTIFACTS": str(tmp_path / "artifacts"),
            "NITRO_CLI_BLOBS": str(tmp_path / "blobs"),
        }
        command = ("build-enclave", "--docker-uri", uri, "--output-file", str(output), *words)
        status, printed, errors = nitro_cli(*command, **(places | variables))
        return status, printed, re.sub(r"^nitrosim: .*\n", "", errors, flags=re.MULTILINE)

    return call


def described(path):
    with Eif.open(path, check="boot") as eif:
        return describe(eif)


def left(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else None


def headline(errors):
    """Return the code and first line of the block that errors are printed as."""
    return re.search(r"^\[ (E\d\d) \] (.*)$", errors, re.MULTILINE).groups()


def test_local_image_is_built_and_its_measurements_printed(build, output):
    status, printed, errors = build()

    assert (0, START + LOCAL + DONE) == (status, errors)
    text = json.dumps({"Measurements": described(output)["Measurements"]}, indent=2)
    assert f"{text}\n" == printed
    assert ["HashAlgorithm", "PCR0", "PCR1", "PCR2"] == [*json.loads(printed)["Measurements"]]


def test_version_1_4_names_its_hash_in_its_own_way(build, output):
    _, printed, _ = build(NITROSIM_NITRO_CLI_VERSION="1.4.4")

    assert "Sha384 { ... }" == json.loads(printed)["Measurements"]["HashAlgorithm"]
    assert "1.4.4" == described(output)["Metadata"]["BuildToolVersion"]


def test_name_and_version_come_from_the_image(build, docker, output):
    build()

    found = described(output)
    identifier = docker.images["hello:latest"].inspected["Id"]
    assert ("hello", identifier) == (found["ImageName"], f"sha256:{found['ImageVersion']}")
    assert docker.images["hello:latest"].inspected == found["Metadata"].pop("DockerInfo")
    assert {
        "BuildTime": "2024-01-02T03:04:05.678901234+00:00",
        "BuildTool": "nitro-cli",
        "BuildToolVersion": "1.5.0",
        "OperatingSystem": "Linux",
        "KernelVersion": "nitrosim-placeholder",
    } == found["Metadata"]


@pytest.mark.parametrize(
    ("uri", "name"),
    [("app:v1", "app"), ("a/b:v1", "a/b"), ("registry.test:5000/app:v1", "registry.test")],
)
def test_name_is_what_comes_before_the_first_colon(build, docker, output, uri, name):
    docker.images[uri] = make_image(uri)

    assert 0 == build(uri=uri)[0]
    assert name == described(output)["ImageName"]


def test_latest_is_the_tag_of_a_name_without_one(build, docker):
    build()

    assert "GET /images/hello:latest/json" in docker.requests


def test_name_version_and_metadata_can_be_given(build, output, tmp_path):
    (tmp_path / "m.json").write_text('{"b": 1, "a": null}')
    build("--name", "n", "--version", "", "--metadata", str(tmp_path / "m.json"))

    found = described(output)
    assert ("n", "") == (found["ImageName"], found["ImageVersion"])
    assert ["a", "b"] == [*found["Metadata"]][-2:]


def test_image_that_is_not_local_is_pulled(build, docker):
    docker.registry["there:v1"] = make_image("there:v1")

    status, _, errors = build(uri="there:v1")

    assert (0, START + DONE) == (status, errors)


def test_dockerfile_is_built(build, docker, output, tmp_path):
    docker.built = make_image("app:latest", Cmd=["/new"])
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")

    status, _, errors = build("--docker-dir", str(tmp_path), uri="app")

    assert (0, START + DONE) == (status, errors)
    assert ["app:latest"] == [name for name in docker.images if name.startswith("app")]
    with Eif.open(output) as eif:
        ramdisk = eif.payload(eif.sections_of(SectionType.RAMDISK)[1])
        contents = {entry.name: read_content(entry) for entry in read_cpio(ramdisk)}
    assert b"/new\n" == contents[b"cmd"]


def test_image_is_signed(build, output, credentials):
    certificate, key = credentials

    status, printed, _ = build("--signing-certificate", certificate, "--private-key", key)

    found = described(output)
    assert (0, True, True) == (status, found["IsSigned"], found["SignatureCheck"])
    assert found["Measurements"] == json.loads(printed)["Measurements"]
    assert "PCR8" in found["Measurements"]


def test_source_date_epoch_makes_the_same_bytes(build, output):
    build(SOURCE_DATE_EPOCH="1")
    before = output.read_bytes()
    build(SOURCE_DATE_EPOCH="1")

    assert before == output.read_bytes()
    assert "1970-01-01T00:00:01.000000000+00:00" == described(output)["Metadata"]["BuildTime"]


def test_folder_for_artifacts_is_made_and_left_empty(build, tmp_path):
    build()

    assert [] == left(tmp_path / "artifacts")


def test_folder_for_artifacts_is_in_the_home_of_the_user(build, tmp_path):
    assert 0 == build(NITRO_CLI_ARTIFACTS=None, HOME=str(tmp_path))[0]
    assert [] == left(tmp_path / ".nitro_cli")


def test_what_nitrosim_has_to_say_is_marked(nitro_cli, docker, output, tmp_path):
    docker.images["hello:latest"] = make_image(WorkingDir="/w")
    _, _, errors = nitro_cli(
        "build-enclave",
        "--docker-uri=hello",
        f"--output-file={output}",
        DOCKER_HOST=docker.host,
        HOME=str(tmp_path),
        NITRO_CLI_BLOBS="/none",
    )

    assert [
        START.strip(),
        LOCAL.strip(),
        "nitrosim: WORKDIR /w is ignored: the command starts in /",
        (
            "nitrosim: PCR0 and PCR1 will differ on EC2, PCR2 will not: /none lacks bzImage, "
            "bzImage.config, cmdline, init, nsm.ko, so placeholders stand for kernel and init"
        ),
        DONE.strip(),
    ] == errors.splitlines()


def test_image_of_another_machine_gets_blobs_of_its_own(build, docker, output):
    docker.images["hello:latest"] = make_image(architecture="arm64")

    assert 0 == build()[0]
    with Eif.open(output, check="boot", architecture="aarch64") as eif:
        assert "aarch64" == eif.header.architecture


def test_what_the_engine_reports_is_in_the_log(build, docker, logs):
    docker.registry["there:v1"] = make_image("there:v1")
    build(uri="there:v1")

    assert "] Pulling from there:v1\n" in (logs / "nitro_enclaves.log").read_text()


@pytest.fixture
def _sockets_of_dockers_package():
    """Clear up sockets that Docker's package leaves open when an engine fails."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.parametrize(
    ("uri", "words", "variables", "status"),
    [
        ("none", (), {}, 50),
        ("hello", ("--docker-dir", "@"), {}, 49),
        ("hello", ("--docker-dir", "@/none"), {}, 49),
        ("NO NAME", (), {}, 50),
        ("hello", (), {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}, 50),
        (
            "hello",
            ("--docker-dir", "@"),
            {"DOCKER_HOST": "unix:///nonexistent/docker.sock"},
            49,
        ),
        ("hello", ("--metadata", "@/none"), {}, 48),
        ("hello", ("--metadata", "@/Dockerfile"), {}, 48),
        ("hello", ("--signing-certificate", "@/none", "--private-key", "@/none"), {}, 48),
        (
            "hello",
            (
                "--signing-certificate=@/none",
                "--private-key=arn:aws:kms:us-east-1:123456789012:key/1234",
            ),
            {},
            48,
        ),
        ("empty", (), {}, 48),
        ("strange", (), {}, 48),
        ("damaged", (), {}, 48),
        ("hello", (), {"SOURCE_DATE_EPOCH": "yesterday"}, 48),
        ("hello", (), {"NITRO_CLI_ARTIFACTS": None}, 51),
        ("hello", (), {"NITRO_CLI_ARTIFACTS": "@/Dockerfile/x"}, 19),
    ],
)
@pytest.mark.usefixtures("_sockets_of_dockers_package")
def test_what_fails_has_its_code_and_leaves_the_old_output(
    build, docker, output, tmp_path, *, uri, words, variables, status
):
    (tmp_path / "Dockerfile").write_text("FROM nothing\n")
    docker.images["empty:latest"] = make_image(Cmd=None)
    docker.images["strange:latest"] = make_image(architecture="s390x")
    docker.images["damaged:latest"] = make_image()
    docker.images["damaged:latest"].archive = b"x" * 1024
    output.write_bytes(b"old")
    given = {name: value and value.replace("@", str(tmp_path)) for name, value in variables.items()}

    found, printed, errors = build(
        *(word.replace("@", str(tmp_path)) for word in words), uri=uri, BACKTRACE="1", **given
    )

    assert (status, "") == (found, printed)
    assert errors.startswith(START)
    assert DONE not in errors
    assert f"E{status}" == headline(errors)[0]
    assert "  Action: Build Enclave\n  Subactions:\n    Failed to build EIF from docker\n" in errors
    assert b"old" == output.read_bytes()
    assert ["hello.eif"] == left(output.parent)
    assert left(tmp_path / "artifacts") in (None, [])


def test_reason_is_said_in_plain_words(nitro_cli, docker, output, tmp_path):
    _, _, errors = nitro_cli(
        "build-enclave",
        "--docker-uri=none",
        f"--output-file={output}",
        DOCKER_HOST=docker.host,
        HOME=str(tmp_path),
    )

    assert "\nnitrosim: ENGINE_PULL: cannot pull none:latest: manifest unknown\n" in errors


@pytest.mark.parametrize("name", ["none/x.eif", "."])
def test_output_that_cannot_be_opened_is_e19(nitro_cli, docker, tmp_path, name):
    path = str(tmp_path / name)

    status, _, errors = nitro_cli(
        "build-enclave", "--docker-uri", "hello", "--output-file", path, DOCKER_HOST=docker.host
    )

    assert (19, "E19") == (status, headline(errors)[0])
    assert f"\nFile: '{path}', failing operation: 'Open'.\n" in errors
    assert [] == docker.requests
