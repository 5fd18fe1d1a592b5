from pathlib import Path

import pytest

from nitrosim.builder import BuildError, find_blobs
from nitrosim.builder.blobs import PLACEHOLDER_VERSION, kernel_release
from nitrosim.eif.cpio import BytesContent

NAMES = ("bzImage", "bzImage.config", "cmdline", "init", "nsm.ko")


def content(blob):
    return b"".join(blob.chunks())


def test_blobs_that_are_all_there_are_used(blob_folder):
    blobs = find_blobs(blob_folder)

    assert b"a kernel" * 10_000 == content(blobs.kernel)
    assert b"an init" == content(blobs.init)
    assert b"a module" == content(blobs.nsm_module)
    assert "reboot=k console=ttyS0" == blobs.cmdline
    assert ("Linux", "4.14.256") == (blobs.operating_system, blobs.kernel_version)
    assert (False, None, ()) == (blobs.are_placeholders, blobs.note, blobs.missing)


def test_kernel_of_aarch64_has_another_name(blob_folder):
    (blob_folder / "bzImage").rename(blob_folder / "Image")
    (blob_folder / "bzImage.config").rename(blob_folder / "Image.config")

    assert not find_blobs(blob_folder, "aarch64").are_placeholders
    assert ("bzImage", "bzImage.config") == find_blobs(blob_folder, "x86_64").missing


def test_blobs_may_be_symbolic_links(blob_folder, tmp_path):
    (blob_folder / "init").rename(tmp_path / "elsewhere")
    (blob_folder / "init").symlink_to(tmp_path / "elsewhere")

    assert b"an init" == content(find_blobs(blob_folder).init)


@pytest.mark.parametrize("missing", NAMES)
def test_one_that_is_missing_makes_all_of_them_placeholders(blob_folder, missing):
    (blob_folder / missing).unlink()

    blobs = find_blobs(blob_folder)

    assert (missing,) == blobs.missing
    assert f"{blob_folder} lacks {missing}," in blobs.note
    for blob in (blobs.kernel, blobs.init, blobs.nsm_module):
        assert content(blob).startswith(b"nitrosim placeholder: not a")
    assert blobs.cmdline.startswith("nitrosim.placeholder ")
    assert PLACEHOLDER_VERSION == blobs.kernel_version


def test_a_directory_is_no_blob(blob_folder):
    (blob_folder / "init").unlink()
    (blob_folder / "init").mkdir()

    assert ("init",) == find_blobs(blob_folder).missing


def test_without_any_folder_all_are_missing():
    assert NAMES == find_blobs(Path("/nonexistent")).missing


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_placeholders_are_always_the_same_wherever_real_ones_were_looked_for(
    architecture, tmp_path, blob_folder
):
    (blob_folder / "nsm.ko").unlink()
    one, other = (find_blobs(place, architecture) for place in (tmp_path, blob_folder))

    assert (one.kernel, one.cmdline, one.init, one.nsm_module) == (
        other.kernel,
        other.cmdline,
        other.init,
        other.nsm_module,
    )
    assert isinstance(one.kernel, BytesContent)
    assert architecture.encode() in one.kernel.data


def test_blobs_that_must_be_there_are_named_when_they_are_not(blob_folder):
    (blob_folder / "init").unlink()

    with pytest.raises(BuildError, match=r"lacks init; expected the blobs of nitro-cli") as caught:
        find_blobs(blob_folder, required=True)

    assert "BLOBS_INCOMPLETE" == caught.value.code


@pytest.mark.parametrize("name", ["cmdline", "bzImage.config"])
def test_text_that_is_none_is_not_replaced_by_a_placeholder(blob_folder, name):
    (blob_folder / name).write_bytes(b"\xff")

    with pytest.raises(BuildError, match=f"cannot use .*/{name}: it is not UTF-8") as caught:
        find_blobs(blob_folder)

    assert "BLOBS_UNREADABLE" == caught.value.code


@pytest.mark.parametrize(
    ("third", "expected"),
    [
        (
            "# Linux/x86_64 4.14.256-209.484.amzn2.x86_64 Kernel Configuration",
            ("Linux", "4.14.256"),
        ),
        ("# Linux/arm64 6.6.79 Kernel Configuration", ("Linux", "6.6.79")),
        ("# Linux", ("Linux", "Unknown")),
        ("", ("Unknown", "Unknown")),
    ],
)
def test_third_line_of_the_configuration_names_the_kernel(third, expected):
    assert expected == kernel_release(["#", "# 4.4.4-1", third, "CONFIG_A=y"])


def test_configuration_without_a_third_line_names_nothing():
    assert ("Unknown", "Unknown") == kernel_release(["#"])
