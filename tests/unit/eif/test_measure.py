"""Measurements: what is in which register, in one pass, with and without threads."""

import hashlib
import threading
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nitrosim.eif import Eif, EifError, Measurements, pcr
from nitrosim.eif import measure as measuring
from nitrosim.eif.measure import EMPTY_PCR2, hash_algorithm, measure
from nitrosim.eif.signature import write_section

K, C, R, S, M = 1, 2, 3, 4, 5


def register(*contents):
    """Say what a register is that measures these contents."""
    inner = hashlib.sha384(b"".join(contents)).digest()
    return hashlib.sha384(bytes(48) + inner).digest()


def simple(parts):
    """Compute the three registers in the plainest way."""
    seen, image, boot, application = 0, [], [], []
    for kind, content in parts:
        if kind in (K, C):
            image.append(content)
            boot.append(content)
        elif kind == R:
            image.append(content)
            (application if seen else boot).append(content)
            seen += 1
    return register(*image), register(*boot), register(*application)


def measured(data, **options):
    eif = Eif.from_bytes(data)
    return measure(memoryview(data), eif.sections, **options)


def test_every_register_measures_its_contents(make_image):
    found = Eif.from_bytes(make_image()).measure()

    assert register(b"kernel", b"console=ttyS0", b"boot", b"application") == found.pcr0
    assert register(b"kernel", b"console=ttyS0", b"boot") == found.pcr1
    assert register(b"application") == found.pcr2
    assert found.pcr8 is None


def test_order_of_the_file_decides(make_image, parts):
    kernel, cmdline, *rest = parts

    assert (
        Eif.from_bytes(make_image()).measure().pcr0
        != Eif.from_bytes(make_image((cmdline, kernel, *rest))).measure().pcr0
    )


def test_metadata_header_and_signature_are_not_measured(make_image, parts):
    other = [part for part in parts if part[0] != M]
    image = make_image(other, version=3, flags=1, crc=0)

    assert Eif.from_bytes(make_image()).measure() == Eif.from_bytes(image).measure()


def test_image_with_one_ramdisk_has_the_pcr2_of_nothing(make_image, parts):
    found = Eif.from_bytes(make_image(parts[:4])).measure()

    assert EMPTY_PCR2 == found.pcr2
    assert found.pcr0 == found.pcr1


pieces = st.tuples(st.sampled_from([K, C, R]), st.binary(max_size=5))


@settings(deadline=None)
@given(parts=st.lists(pieces, max_size=8), threads=st.booleans())
def test_any_order_of_sections_is_measured_right(make_image, parts, threads):
    data = make_image(parts)
    found, crc = measured(data, threads=threads)

    assert simple(parts) == (found.pcr0, found.pcr1, found.pcr2)
    assert crc == zlib.crc32(data[548:], zlib.crc32(data[:544]))


@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
@pytest.mark.parametrize("threads", [False, True])
def test_content_of_many_chunks_is_measured_right(make_image, parts, size, threads):
    content = bytes(range(256)) * (size // 256 + 1)
    large = [(kind, content[:size] if kind == R else old) for kind, old in parts]

    found, crc = measured(make_image(large), threads=threads)

    assert simple(large) == (found.pcr0, found.pcr1, found.pcr2)
    assert crc == Eif.from_bytes(make_image(large)).header.crc


def test_kernel_after_the_second_ramdisk_is_in_both_registers(make_image):
    parts = [(R, b"a"), (R, b"b"), (K, b"k"), (C, b"c")]
    found, _crc = measured(make_image(parts))

    assert register(b"a", b"k", b"c") == found.pcr1
    assert register(b"a", b"b", b"k", b"c") == found.pcr0


def test_each_byte_is_hashed_twice_at_most_and_the_boot_part_once(make_image, parts, monkeypatch):
    sizes = []
    original = measuring._chunks

    def counted(data, begin, end, stop):
        for chunk in original(data, begin, end, stop):
            sizes.append(len(chunk))
            yield chunk

    monkeypatch.setattr(measuring, "_chunks", counted)
    data = make_image()

    measured(data, threads=False)

    image = sum(len(content) for kind, content in parts if kind != M)
    assert image + len(b"application") + len(data) - 548 == sum(sizes)


def test_small_files_need_no_threads(make_image, monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", None)

    assert measured(make_image())[0] == Eif.from_bytes(make_image()).measure()


class DamagedError(Exception):
    pass


def damaged(*_arguments):
    raise DamagedError


@pytest.mark.parametrize("name", ["_crc", "_hash"])
@pytest.mark.parametrize("threads", [False, True])
def test_error_in_any_part_arrives_and_leaves_no_thread(make_image, monkeypatch, name, threads):
    monkeypatch.setattr(measuring, name, damaged)
    before = threading.active_count()

    with pytest.raises(DamagedError):
        measured(make_image(), threads=threads)

    assert before == threading.active_count()


def test_interrupt_while_waiting_for_threads_stops_them(make_image, monkeypatch):
    original = measuring._Jobs._join
    waits = []

    def interrupted(jobs):
        waits.append(jobs.stop.is_set())
        original(jobs)
        if len(waits) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(measuring._Jobs, "_join", interrupted)

    with pytest.raises(KeyboardInterrupt):
        measured(make_image(), threads=True)

    assert [False, True] == waits


def test_certificate_is_in_pcr8(make_image, parts, make_credentials):
    certificate = make_credentials()[0]
    image = make_image((*parts, (S, write_section(certificate, b"not looked at"))))

    found = Eif.from_bytes(image).measure()

    der = Eif.from_bytes(image)._certificates()[0].der
    assert register(der) == found.pcr8 == pcr([der])


def test_certificates_of_several_signatures_are_measured_one_after_the_other(
    make_image, parts, make_credentials
):
    pems = [make_credentials("P-384", number)[0] for number in (0, 1)]
    signatures = [(S, write_section(pem, b"")) for pem in pems]

    eif = Eif.from_bytes(make_image((*parts, *signatures)))

    assert register(*(one.der for one in eif._certificates())) == eif.measure().pcr8


def test_unreadable_certificate_is_an_error_of_measuring_only(make_image, parts):
    eif = Eif.from_bytes(make_image((*parts, (S, write_section(b"no certificate", b"")))))

    with pytest.raises(EifError) as caught:
        eif.measure()

    assert "CERTIFICATE" == caught.value.code
    assert caught.value.offset == eif.signature.entries[0].certificate_offset


A, B = bytes(48), bytes([1] * 48)


def test_json_has_the_keys_in_order_and_pcr8_only_if_signed():
    unsigned = Measurements(pcr0=A, pcr1=B, pcr2=A)
    signed = Measurements(pcr0=A, pcr1=B, pcr2=A, pcr8=B)

    assert ["HashAlgorithm", "PCR0", "PCR1", "PCR2"] == list(unsigned.as_json())
    assert ["HashAlgorithm", "PCR0", "PCR1", "PCR2", "PCR8"] == list(signed.as_json())
    assert "01" * 48 == signed.as_json()["PCR8"]


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("0.1.0", "Sha384 { ... }"),
        ("1.4.4", "Sha384 { ... }"),
        ("1.5.0", "Sha512_48 { .. }"),
        ("1.10", "Sha512_48 { .. }"),
        ("2.0.0", "Sha512_48 { .. }"),
    ],
)
def test_hash_algorithm_is_spelled_as_by_the_version(version, text):
    assert text == hash_algorithm(version)


def test_newest_spelling_is_the_default():
    assert "Sha512_48 { .. }" == hash_algorithm()


@pytest.mark.parametrize("version", ["", "1", "1.5.x", "v1.5.0", "1.5.0\n", "\u0661.\u0665"])
def test_what_is_no_version_is_refused(version):
    with pytest.raises(EifError) as caught:
        hash_algorithm(version)

    assert "CLI_VERSION" == caught.value.code


def test_pcr_of_a_stream_is_that_of_its_content():
    assert register(b"abc") == pcr([b"a", memoryview(b"bc")])
