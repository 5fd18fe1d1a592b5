"""What run-enclave and describe-enclaves print of an enclave; the enclave is made up."""

import json
from types import SimpleNamespace

import pytest

from nitrosim.hypervisor.cli_description import Description, described, run_facts
from nitrosim.hypervisor.enclaves import Specification, State

PCRS = {2: b"\x02" * 48, 0: b"\x00" * 48, 1: b"\x01" * 48, 8: b"\x08" * 48}
METADATA = """\
{
  "ImageName": "héllo",
  "ImageVersion": "1",
  "Metadata": {
    "Numbers": [
      1.50,
      1e400,
      12345678901234567890123
    ]
  }
}"""
EXPECTED = """\
{
  "EnclaveName": "hello",
  "EnclaveID": "i-0123-enc18f2a4b6c8d0e12",
  "ProcessID": 12345,
  "EnclaveCID": 16,
  "NumberOfCPUs": 2,
  "CPUIDs": [
    1,
    3
  ],
  "MemoryMiB": 512,
  "State": "RUNNING",
  "Flags": "NONE",
  "Measurements": {
    "HashAlgorithm": "Sha512_48 { .. }",
    "PCR0": "{0}",
    "PCR1": "{1}",
    "PCR2": "{2}"
  }
}"""


def enclave(*, name="hello", debug_mode=False, state=State.RUNNING):
    specification = Specification(
        name=name,
        cpu_count=2,
        cpu_ids=(1, 3),
        memory_mib=512,
        debug_mode=debug_mode,
        operations=(),
        command=("/bin/hello",),
        environment={},
        pcrs={},
    )
    return SimpleNamespace(
        specification=specification,
        enclave_id="i-0123-enc18f2a4b6c8d0e12",
        pid=12345,
        side=SimpleNamespace(cid=16),
        state=state,
    )


def text_of(made_up, description=Description(), *, with_metadata=False):  # noqa: B008 - a value
    return described(
        made_up, description, hash_algorithm="Sha512_48 { .. }", with_metadata=with_metadata
    ).decode()


def test_an_enclave_is_described_key_by_key():
    pcrs = {number: PCRS[number] for number in (2, 0, 1)}
    expected = EXPECTED
    for number, value in pcrs.items():
        expected = expected.replace(f"{{{number}}}", value.hex())

    assert expected == text_of(enclave(), Description(pcrs=pcrs))


def test_what_run_enclave_prints_is_the_beginning_of_it():
    facts = run_facts(enclave())

    assert list(facts.items()) == list(json.loads(text_of(enclave())).items())[: len(facts)]
    assert "MemoryMiB" == list(facts)[-1]


def test_the_register_of_a_signed_image_comes_last():
    measurements = json.loads(text_of(enclave(), Description(pcrs=PCRS)))["Measurements"]

    assert ["HashAlgorithm", "PCR0", "PCR1", "PCR2", "PCR8"] == list(measurements)


@pytest.mark.parametrize(("debug_mode", "flags"), [(False, "NONE"), (True, "DEBUG_MODE")])
def test_the_measurements_are_those_of_the_image_in_debug_mode_too(debug_mode, flags):
    facts = json.loads(text_of(enclave(debug_mode=debug_mode), Description(pcrs=PCRS)))

    assert (flags, PCRS[1].hex()) == (facts["Flags"], facts["Measurements"]["PCR1"])


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.STARTING, "RUNNING"),
        (State.RUNNING, "RUNNING"),
        (State.TERMINATING, "TERMINATING"),
    ],
)
def test_the_state_is_one_that_nitro_cli_knows(state, expected):
    assert expected == json.loads(text_of(enclave(state=state)))["State"]


def test_metadata_follow_as_they_stand_in_the_image():
    text = text_of(enclave(), Description(metadata=METADATA), with_metadata=True)

    assert text.startswith(text_of(enclave()).removesuffix("\n}") + ",\n")
    assert text.endswith(METADATA.removeprefix("{"))
    assert ["Measurements", "ImageName", "ImageVersion", "Metadata"] == list(json.loads(text))[-4:]


@pytest.mark.parametrize(("metadata", "with_metadata"), [(METADATA, False), ("", True)])
def test_without_metadata_nothing_follows(metadata, with_metadata):
    text = text_of(enclave(), Description(metadata=metadata), with_metadata=with_metadata)

    assert text_of(enclave()) == text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nähe-🐢", '"nähe-🐢"'),
        ('"\\\n\x7f', '"\\"\\\\\\n\x7f"'),
        # What came in as bytes that are no text must not keep anybody from an answer.
        ("a\udcffb\ud800", '"a?b?"'),
    ],
)
def test_names_are_written_as_they_are(name, expected):
    assert f'  "EnclaveName": {expected},\n' in text_of(enclave(name=name))
