"""The images in fixtures/eif: described, laid out and booted as their expectations say."""

import hashlib
import json
from datetime import UTC, datetime

import pytest

from nitrosim.eif import Eif, EifError, describe
from nitrosim.eif.measure import EMPTY_PCR2, extend, pcr

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def keys(value):
    """Return the keys of nested objects in their order."""
    if isinstance(value, dict):
        return [(name, keys(inner)) for name, inner in value.items()]
    return None


def test_file_is_the_one_that_is_meant(fixtures, vector):
    data = (fixtures / vector["file"]).read_bytes()

    assert vector["size"] == len(data)
    assert vector["sha256"] == hashlib.sha256(data).hexdigest()


def test_image_is_described_as_by_nitro_cli(fixtures, vector):
    with Eif.open(fixtures / vector["file"]) as eif:
        described = describe(eif, "1.4.4")

    assert vector["describe_eif"] == described
    assert keys(vector["describe_eif"]) == keys(described)


def test_header_and_sections_are_found(fixtures, vector):
    with Eif.open(fixtures / vector["file"]) as eif:
        assert vector["header"] == {
            "version": eif.header.version,
            "flags": eif.header.flags,
            "num_sections": eif.header.section_count,
            "crc32_stored": f"{eif.header.crc:08x}",
        }
        found = [{"type": int(section.type), "size": section.size} for section in eif.sections]
        assert vector["sections"] == found


@pytest.mark.parametrize(
    ("name", "warnings"),
    [
        ("one-empty-ramdisk", []),
        ("hello-unsigned", []),
        ("hello-gz-ramdisks", []),
        ("hello-signed-es256", []),
        ("hello-signed-es384", []),
        ("v3-signed-no-metadata", []),
        ("sig-pcr0-mismatch", []),
        ("aarch64-flag", []),
        ("resigned-stale-size", ["SIZE_TABLE"]),
        ("trailing-bytes", ["TRAILING_BYTES"]),
    ],
)
def test_image_boots(fixtures, name, warnings):
    with Eif.open(fixtures / f"{name}.eif", check="boot") as eif:
        assert warnings == [warning.code for warning in eif.warnings]


def test_image_with_a_wrong_checksum_does_not_boot(fixtures):
    with pytest.raises(EifError) as caught:
        Eif.open(fixtures / "bad-crc.eif", check="boot")

    assert ("CRC", 544) == (caught.value.code, caught.value.offset)
    assert ("7e998405", "a0343aea") == (caught.value.got, caught.value.expected)


def test_image_for_another_architecture_does_not_boot(fixtures):
    with Eif.open(fixtures / "aarch64-flag.eif", check="boot", architecture="aarch64") as eif:
        assert eif.header.architecture == "aarch64"
    with pytest.raises(EifError) as caught:
        Eif.open(fixtures / "aarch64-flag.eif", check="boot", architecture="x86_64")

    assert ("ARCHITECTURE", 6) == (caught.value.code, caught.value.offset)


@pytest.mark.parametrize(
    "name",
    ["hello-signed-es256", "hello-signed-es384", "v3-signed-no-metadata", "resigned-stale-size"],
)
def test_signature_is_accepted_at_boot(fixtures, name):
    with Eif.open(fixtures / f"{name}.eif") as eif:
        verified = eif.verify_for_boot(at=NOW)

        assert eif.measure().pcr8 == pcr([verified.certificate.der])


def test_signature_over_another_pcr0_is_refused_at_boot(fixtures):
    with Eif.open(fixtures / "sig-pcr0-mismatch.eif") as eif, pytest.raises(EifError) as caught:
        eif.verify_for_boot(at=NOW)

    assert "PCR0_MISMATCH" == caught.value.code


def test_known_registers_follow_from_their_formulas(fixtures):
    known = json.loads((fixtures / "known-pcr-values.json").read_text("utf-8"))
    role = known["pcr3_example"]

    assert known["empty_pcr2"]["PCR2"] == pcr([]).hex() == EMPTY_PCR2.hex()
    assert role["PCR3"] == extend(role["arn"].encode("ascii")).hex()
    assert known["debug_mode"]["PCR"] == bytes(48).hex()
    recomputable = {name for name, entry in known.items() if entry_is_recomputable(entry)}
    assert {"empty_pcr2", "pcr3_example", "debug_mode"} == recomputable


def entry_is_recomputable(entry):
    return isinstance(entry, dict) and entry["recomputable"]


def test_image_with_one_ramdisk_has_the_well_known_pcr2(fixtures):
    with Eif.open(fixtures / "one-empty-ramdisk.eif") as eif:
        measured = eif.measure()

    assert EMPTY_PCR2 == measured.pcr2
    assert measured.pcr0 == measured.pcr1
