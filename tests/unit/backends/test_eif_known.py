"""Image files that were checked before are not read again, until they change."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nitrosim.backends.eif import eif_image
from nitrosim.eif import Eif, EifError

EIFS = Path(__file__).resolve().parent.parent.parent.parent / "fixtures" / "eif"


class Reader:
    """Opens images as `Eif` does, and counts."""

    def __init__(self, opens):
        self.opened = 0
        self._opens = opens

    def __call__(self, path, **options):
        self.opened += 1
        return self._opens(path, **options)


@pytest.fixture(autouse=True)
def reader(monkeypatch):
    reader = Reader(Eif.open)
    monkeypatch.setattr(Eif, "open", reader)
    monkeypatch.setattr("os.uname", lambda: type("System", (), {"machine": "x86_64"}))
    return reader


@pytest.fixture
def copy(tmp_path):
    """Return a copy of an image of the fixtures, which was written just now."""

    def copy(name):
        path = tmp_path / name
        path.write_bytes((EIFS / name).read_bytes())
        return path

    return copy


@pytest.fixture
def look(tmp_path):
    """Return the image of a file, some time after the file was changed."""

    def look(path, after=timedelta(hours=1)):
        changed = datetime.fromtimestamp(path.stat().st_ctime, UTC)
        return eif_image(path, cache=tmp_path / "cache", at=changed + after)

    return look


@pytest.mark.parametrize("name", ["hello-unsigned.eif", "hello-signed-es384.eif"])
def test_a_file_is_read_once(copy, look, reader, name):
    path = copy(name)

    first, second = look(path), look(path)

    assert first == second
    assert 1 == reader.opened


def test_a_file_that_was_changed_just_now_is_read_again(copy, look, reader):
    path = copy("hello-unsigned.eif")

    for _ in range(2):
        look(path, after=timedelta(seconds=1))

    assert 2 == reader.opened


def test_a_change_under_the_old_modification_time_is_noticed(copy, look):
    path = copy("hello-unsigned.eif")
    before = path.stat()
    look(path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (before.st_size, before.st_mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)

    with pytest.raises(EifError) as caught:
        look(path)

    assert "CRC" == caught.value.code


def test_a_file_that_takes_the_place_of_another_is_read(copy, look, reader):
    path = copy("hello-unsigned.eif")
    look(path)
    copy("hello-gz-ramdisks.eif").replace(path)

    image = look(path)

    assert 2 == reader.opened
    with Eif.open(EIFS / "hello-gz-ramdisks.eif") as eif:
        assert eif.measure().pcr0 == image.pcrs[0]


def test_a_certificate_ends_for_a_known_file_too(copy, look):
    path = copy("hello-signed-es384.eif")
    look(path)

    for years, code in ((40, "CERTIFICATE_EXPIRED"), (-10, "CERTIFICATE_NOT_YET_VALID")):
        with pytest.raises(EifError) as caught:
            look(path, after=timedelta(days=365 * years))
        assert code == caught.value.code


def test_a_time_without_zone_is_refused_for_a_known_file_too(copy, look, tmp_path):
    path = copy("hello-signed-es384.eif")
    look(path)

    with pytest.raises(EifError) as caught:
        eif_image(path, cache=tmp_path / "cache", at=datetime(2030, 1, 1))  # noqa: DTZ001 - that

    assert "TIME_ZONE" == caught.value.code


def test_another_machine_does_not_know_the_file(copy, look, monkeypatch):
    path = copy("hello-unsigned.eif")
    look(path)
    monkeypatch.setattr("os.uname", lambda: type("System", (), {"machine": "aarch64"}))

    with pytest.raises(EifError) as caught:
        look(path)

    assert "ARCHITECTURE" == caught.value.code


def test_a_known_file_is_unpacked_again_when_that_is_gone(copy, look, reader, tmp_path):
    path = copy("hello-unsigned.eif")
    image = look(path)
    (program,) = (tmp_path / "cache").glob("*/root/bin/hello")
    program.unlink()

    assert image == look(path)
    assert 2 == reader.opened
    assert program.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pcrs": {"0": "x"}}', '{"pcrs": []}'])
def test_a_damaged_record_is_made_anew(copy, look, reader, tmp_path, text):
    path = copy("hello-unsigned.eif")
    look(path)
    (record,) = (tmp_path / "cache" / "known").iterdir()
    good = json.loads(record.read_text())
    record.write_text(text)

    look(path)

    assert 2 == reader.opened
    assert good == json.loads(record.read_text())
