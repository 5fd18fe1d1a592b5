import re

import pytest

from fake_nsm import EnclaveIdentity, InvalidValueError, random_instance_id, seeded_entropy


def identity(**changes):
    facts = {
        "instance_id": "i-009a1d7b3da61c060",
        "region": "us-east-1",
        "launched_ms": 0x0198BC571BF3,
        "suffix": 0xE785,
    }
    return EnclaveIdentity(**facts | changes)


def test_the_module_id_is_instance_launch_time_and_suffix():
    assert identity().module_id == "i-009a1d7b3da61c060-enc0198bc571bf3e785"


def test_the_command_line_form_has_no_leading_zero():
    assert identity().cli_enclave_id == "i-009a1d7b3da61c060-enc198bc571bf3e785"


def test_the_enclave_number_is_the_64_bits_of_the_module_id():
    assert identity().enclave_number == 0x0198BC571BF3E785


@pytest.mark.parametrize(
    "changes",
    [
        {"instance_id": "009a1d7b3da61c060"},
        {"instance_id": "i-009A1D7B3DA61C060"},
        {"instance_id": "i-009a1d7b3da61c06"},
        {"instance_id": "i-009a1d7b3da61c060\n"},
        {"region": "mars"},
        {"region": "us-east-1\n"},
        {"region": "US-EAST-1"},
        {"region": "ap-northsoutheast-1"},
        {"launched_ms": -1},
        {"launched_ms": 1 << 48},
        {"suffix": -1},
        {"suffix": 1 << 16},
    ],
    ids=str,
)
def test_impossible_identities_are_refused(changes):
    with pytest.raises(InvalidValueError):
        identity(**changes)


@pytest.mark.parametrize(
    "region", ["us-east-1", "ap-southeast-5", "us-gov-west-1", "eu-isoe-west-1", "ap-southeast-10"]
)
def test_every_kind_of_region_name_is_accepted(region):
    assert region == identity(region=region).region


def test_old_instance_ids_of_eight_digits_are_accepted():
    assert identity(instance_id="i-1234abcd").module_id.startswith("i-1234abcd-enc")


def test_random_instance_ids_have_todays_form():
    entropy = seeded_entropy(b"ids")
    made = {random_instance_id(entropy) for _ in range(10)}
    assert len(made) == 10
    assert all(re.fullmatch(r"i-[0-9a-f]{17}", each) for each in made)
