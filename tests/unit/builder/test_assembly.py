import os
import subprocess
import sys
import textwrap
import tracemalloc
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nitrosim.builder import BuildError, architecture_of, assembly, build_eif, find_blobs
from nitrosim.builder.blobs import Blobs
from nitrosim.eif import Eif, EifError, SectionType, describe
from nitrosim.eif.cpio import Kind, read_content
from nitrosim.eif.cpio_reader import read_cpio
from nitrosim.images import ImageConfig, ImageError, open_directory

NOWHERE = Path("/nonexistent")


@dataclass
class Stream:
    """A content of zeros that is made when it is read, or breaks off with an error."""

    size: int
    error: BaseException | None = None

    def chunks(self):
        for _ in range(self.size >> 16):
            yield bytes(1 << 16)
        if self.error is not None:
            raise self.error


def left(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def output(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "hello.eif"


def test_image_has_the_sections_of_nitro_cli(root, blob_folder, labels, output):
    measured = build_eif(output, root=root, blobs=find_blobs(blob_folder), labels=labels)

    with Eif.open(output, check="boot") as eif:
        assert ["KERNEL", "CMDLINE", "METADATA", "RAMDISK", "RAMDISK"] == [
            section.type.name for section in eif.sections
        ]
        payloads = [bytes(eif.payload(section)) for section in eif.sections]
        assert measured == eif.measure()
        boot, application = eif.sections_of(SectionType.RAMDISK)
        assert [b"dev", b"init", b"nsm.ko"] == [e.name for e in read_cpio(eif.payload(boot))]
        found = {
            entry.name: read_content(entry)
            for entry in read_cpio(eif.payload(application))
            if entry.kind is Kind.FILE
        }
    assert b"a kernel" * 10_000 == payloads[0]
    assert b"reboot=k console=ttyS0" == payloads[1]
    assert b"/bin/hello\nnow\n" == found[b"cmd"]
    assert b"A=1\n" == found[b"env"]
    assert b"program" == found[b"rootfs/bin/hello"]


def test_metadata_says_what_built_it_and_from_what(root, blob_folder, labels, output):
    build_eif(output, root=root, blobs=find_blobs(blob_folder), labels=labels)

    with Eif.open(output) as eif:
        described = describe(eif)
    assert ("hello", "1") == (described["ImageName"], described["ImageVersion"])
    assert {
        "BuildTime": labels.time,
        "BuildTool": "tests",
        "BuildToolVersion": "2",
        "OperatingSystem": "Linux",
        "KernelVersion": "4.14.256",
        "DockerInfo": {"Id": "sha256:00"},
        "a": [None],
        "b": 1,
    } == described["Metadata"]


def test_the_same_input_gives_the_same_bytes(folder, blob_folder, labels, output):
    images = []
    for day in (1_000_000_000, 1_700_000_000):
        for path in (folder, *folder.rglob("*")):
            os.utime(path, (day, day))
        with open_directory(folder, command=("/bin/hello",), mtime=0) as root:
            build_eif(output, root=root, blobs=find_blobs(blob_folder), labels=labels)
        images.append(output.read_bytes())

    assert images[0] == images[1]


def test_time_and_labels_change_the_bytes_and_no_pcr(root, blob_folder, labels, output):
    blobs = find_blobs(blob_folder)
    one = build_eif(output, root=root, blobs=blobs, labels=labels)
    before = output.read_bytes()
    other = build_eif(output, root=root, blobs=blobs, labels=replace(labels, time="t", name="n"))

    assert one == other
    assert before != output.read_bytes()


def test_signed_image_is_the_same_bytes_if_the_signer_is_deterministic(
    root, blob_folder, labels, output, signer
):
    images = []
    for _ in range(2):
        measured = build_eif(
            output, root=root, blobs=find_blobs(blob_folder), labels=labels, signer=signer
        )
        images.append(output.read_bytes())

    assert images[0] == images[1]
    with Eif.open(output, check="boot") as eif:
        assert measured == eif.measure()
        assert eif.is_signed


def test_placeholders_leave_pcr2_as_it_is(root, blob_folder, labels, output):
    real = build_eif(output, root=root, blobs=find_blobs(blob_folder), labels=labels)
    placeholder = build_eif(output, root=root, blobs=find_blobs(NOWHERE), labels=labels)

    assert real.pcr2 == placeholder.pcr2
    assert real.pcr0 != placeholder.pcr0
    assert real.pcr1 != placeholder.pcr1


def test_placeholder_can_be_seen_in_the_bytes_and_in_the_description(root, labels, output):
    build_eif(output, root=root, blobs=find_blobs(NOWHERE), labels=labels)

    assert 3 == output.read_bytes().count(b"nitrosim placeholder: not a")
    with Eif.open(output) as eif:
        assert "nitrosim-placeholder" == describe(eif)["Metadata"]["KernelVersion"]


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_header_names_the_architecture_of_the_blobs(root, labels, output, architecture):
    build_eif(output, root=root, blobs=find_blobs(NOWHERE, architecture), labels=labels)

    with Eif.open(output, check="boot", architecture=architecture) as eif:
        assert architecture == eif.header.architecture


def test_image_for_another_architecture_than_the_blobs_is_refused(folder, labels, output):
    with (
        open_directory(folder, command=("x",), architecture="arm64") as root,
        pytest.raises(BuildError, match="the image is for aarch64, expected x86_64") as caught,
    ):
        build_eif(output, root=root, blobs=find_blobs(NOWHERE), labels=labels)

    assert "BUILD_ARCHITECTURE" == caught.value.code
    assert [] == left(output.parent)


@pytest.mark.parametrize(
    ("architecture", "wanted", "expected"),
    [
        ("amd64", None, "x86_64"),
        ("arm64", None, "aarch64"),
        ("arm64", "aarch64", "aarch64"),
        (None, "aarch64", "aarch64"),
    ],
)
def test_architecture_is_the_images(architecture, wanted, expected):
    assert expected == architecture_of(ImageConfig(architecture=architecture), wanted=wanted)


@pytest.mark.parametrize(
    ("architecture", "wanted"), [("amd64", "aarch64"), ("s390x", None), ("386", "x86_64")]
)
def test_architecture_that_cannot_be_is_refused(architecture, wanted):
    with pytest.raises(BuildError) as caught:
        architecture_of(ImageConfig(architecture=architecture), wanted=wanted)

    assert "BUILD_ARCHITECTURE" == caught.value.code


@pytest.mark.parametrize(
    ("machine", "expected"), [("x86_64", "x86_64"), ("AMD64", "x86_64"), ("arm64", "aarch64")]
)
def test_image_that_names_none_is_for_this_machine(monkeypatch, machine, expected):
    monkeypatch.setattr(assembly.platform, "machine", lambda: machine)

    assert expected == architecture_of(ImageConfig())


def test_machine_without_enclaves_must_be_told_what_to_build_for(monkeypatch):
    monkeypatch.setattr(assembly.platform, "machine", lambda: "riscv64")

    with pytest.raises(BuildError, match="this machine is riscv64"):
        architecture_of(ImageConfig())


def blobs_of(kernel) -> Blobs:
    return replace(find_blobs(NOWHERE), kernel=kernel)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_build_that_breaks_off_leaves_the_old_output_and_nothing_else(root, labels, output, error):
    output.write_bytes(b"old")

    with pytest.raises((BuildError, KeyboardInterrupt)):
        build_eif(output, root=root, blobs=blobs_of(Stream(1 << 20, error)), labels=labels)

    assert ["hello.eif"] == left(output.parent)
    assert b"old" == output.read_bytes()


def test_output_that_cannot_be_written_is_named(root, labels, tmp_path):
    with pytest.raises(BuildError, match=r"cannot write .*/none/x\.eif: No such file") as caught:
        build_eif(tmp_path / "none" / "x.eif", root=root, blobs=find_blobs(NOWHERE), labels=labels)

    assert "BUILD_OUTPUT" == caught.value.code


def test_file_that_changes_during_the_build_is_an_error(root, folder, labels, output):
    (folder / "bin" / "hello").write_bytes(b"another program")

    with pytest.raises(ImageError) as caught:
        build_eif(output, root=root, blobs=find_blobs(NOWHERE), labels=labels)

    assert "FILE_CHANGED" == caught.value.code
    assert [] == left(output.parent)


def test_signer_that_fails_leaves_nothing(root, labels, output):
    class Broken:
        certificate = b"no certificate"
        algorithm = -35

        def sign(self, _message):
            return bytes(96)

    with pytest.raises(EifError):
        build_eif(output, root=root, blobs=find_blobs(NOWHERE), labels=labels, signer=Broken())

    assert [] == left(output.parent)


def test_memory_does_not_grow_with_the_image(folder, labels, output):
    large = 64 << 20
    with (folder / "large").open("wb") as file:
        file.truncate(large)
    tracemalloc.start()
    try:
        with open_directory(folder, command=("x",), mtime=0) as root:
            build_eif(output, root=root, blobs=blobs_of(Stream(large)), labels=labels)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 2 * large < output.stat().st_size
    assert large / 8 > peak


def test_builder_loads_neither_an_engines_package_nor_anything_of_linux():
    program = """
        import sys, nitrosim.builder
        print(*sorted({"docker", "requests", "urllib3", "fcntl", "ctypes"} & sys.modules.keys()))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "\n" == done.stdout


def test_builder_uses_images_and_files_and_nothing_above_them():
    program = "import sys, nitrosim.builder; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    rooms = {name.split(".")[1] for name in done.stdout.split() if name.startswith("nitrosim.")}

    assert {"builder", "eif", "images", "errors"} == rooms
