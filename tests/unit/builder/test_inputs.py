import os
from pathlib import Path

import pytest

from nitrosim.builder import BuildError
from nitrosim.builder.inputs import build_time, check_output, read_custom_metadata, read_signer
from nitrosim.eif import EifError

NOW = 1_704_164_645_678_901_234


def refusal(function, *arguments, **options):
    with pytest.raises(BuildError) as caught:
        function(*arguments, **options)
    return caught.value.code, str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b"null", None),
        (b"[1]", [1]),
        (b'"' + b"x" * 4094 + b'"', "x" * 4094),
    ],
)
def test_custom_metadata_is_any_json_of_4096_bytes(tmp_path, content, expected):
    (tmp_path / "m.json").write_bytes(content)

    assert expected == read_custom_metadata(tmp_path / "m.json")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b" " * 4096 + b"1", "expected at most 4096 bytes"),
        (b"{", "is not JSON, at byte 1"),
        (b"", "is not JSON"),
    ],
)
def test_other_metadata_is_refused(tmp_path, content, text):
    (tmp_path / "m.json").write_bytes(content)

    code, message = refusal(read_custom_metadata, tmp_path / "m.json")

    assert "BUILD_METADATA" == code
    assert text in message


def test_metadata_that_cannot_be_read_is_named(tmp_path):
    assert ("BUILD_METADATA", f"cannot read the metadata {tmp_path}: Is a directory") == refusal(
        read_custom_metadata, tmp_path
    )


def test_certificate_that_cannot_be_read_is_named(tmp_path):
    missing = str(tmp_path / "c.pem")

    assert ("BUILD_SIGNING", f"cannot read {missing}: No such file or directory") == refusal(
        read_signer, missing, missing
    )


def test_key_in_kms_is_refused_as_everywhere():
    with pytest.raises(EifError) as caught:
        read_signer("c", "arn:aws:kms:us-east-1:123456789012:key/1234")

    assert "KMS_KEY" == caught.value.code


def test_time_is_that_of_the_clock_with_nanoseconds():
    assert "2024-01-02T03:04:05.678901234+00:00" == build_time({}, NOW)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        ("0", "1970-01-01T00:00:00.000000000+00:00"),
        ("1700000000", "2023-11-14T22:13:20.000000000+00:00"),
        ("253402300799", "9999-12-31T23:59:59.000000000+00:00"),
    ],
)
def test_time_is_the_source_date_epoch_where_that_is_set(epoch, expected):
    assert expected == build_time({"SOURCE_DATE_EPOCH": epoch}, NOW)


@pytest.mark.parametrize("epoch", ["", "-1", "1.5", "now", "253402300800", "1" * 5000, "٣"])
def test_epoch_that_is_no_number_of_seconds_is_refused(epoch):
    code, message = refusal(build_time, {"SOURCE_DATE_EPOCH": epoch}, NOW)

    assert "BUILD_TIME" == code
    assert message.startswith("SOURCE_DATE_EPOCH is ")


@pytest.mark.parametrize("name", ["new.eif", "old.eif", "link.eif", "/dev/null"])
def test_output_that_can_be_written_is_left_alone(tmp_path, name):
    (tmp_path / "old.eif").write_bytes(b"old")
    (tmp_path / "link.eif").symlink_to("target.eif")
    before = sorted(tmp_path.iterdir())

    check_output(tmp_path / name)

    assert before == sorted(tmp_path.iterdir())
    assert b"old" == (tmp_path / "old.eif").read_bytes()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "it is a directory"),
        ("none/x.eif", "there is no folder"),
        ("old.eif/x.eif", "Not a directory"),
        ("loop/x.eif", ""),
    ],
)
def test_output_that_cannot_be_written_is_refused(tmp_path, name, text):
    (tmp_path / "old.eif").write_bytes(b"old")
    (tmp_path / "loop").symlink_to("loop")

    code, message = refusal(check_output, tmp_path / name)

    assert "BUILD_OUTPUT" == code
    assert message.startswith(f"cannot write {tmp_path / name}: ")
    assert text in message


def test_output_in_a_folder_of_others_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)

    code, message = refusal(check_output, tmp_path / "x.eif")

    assert "BUILD_OUTPUT" == code
    assert f"this user may not write to {tmp_path}" in message


@pytest.mark.parametrize("name", ["x.eif", "sub/x.eif", "../rootfs/x.eif", "out/x.eif"])
def test_output_in_what_the_image_is_built_from_is_refused(tmp_path, name):
    root = tmp_path / "rootfs"
    (root / "sub").mkdir(parents=True)
    (root / "out").symlink_to("sub")

    code, message = refusal(check_output, root / name, outside=root)

    assert "BUILD_OUTPUT" == code
    assert "would be part of the next image" in message


def test_output_beside_what_the_image_is_built_from_is_fine(tmp_path):
    (tmp_path / "rootfs").mkdir()

    check_output(tmp_path / "rootfs.eif", outside=Path(tmp_path, "rootfs"))
