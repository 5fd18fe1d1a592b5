import hashlib

import pytest

from fake_nsm import ErrorName, InvalidValueError, Measurements, PcrBank
from fake_nsm.errors import RequestRefusedError
from fake_nsm.pcrs import ZERO_PCR, extended, measure_bytes, measure_text


def name_of(refused) -> ErrorName:
    return refused.value.name


def test_sixteen_registers_are_locked_at_boot():
    assert list(range(16)) == PcrBank().locked_indices()


def test_extending_a_zero_register_gives_the_documented_value():
    expected = (
        "cb178fcd3f328244c05c6248723fd068b3a1dda878e1ab8be911098f199958ad"
        "d55d0c27f04826d27b44d949a650694e"
    )
    bank = PcrBank()
    assert expected == bank.extend(16, bytes([1, 2, 3])).hex()
    assert (False, bytes.fromhex(expected)) == bank.describe(16)


def test_extending_twice_chains_the_values():
    bank = PcrBank()
    first = bank.extend(20, b"a")
    assert hashlib.sha384(first + b"b").digest() == bank.extend(20, b"b")


def test_extending_with_nothing_still_changes_the_register():
    assert hashlib.sha384(bytes(48)).digest() == PcrBank().extend(31, b"")


@pytest.mark.parametrize("index", [32, 255, 65535, -1])
def test_an_index_outside_the_bank_is_refused(index):
    bank = PcrBank()
    for act in (bank.describe, bank.lock, lambda at: bank.extend(at, b"x")):
        with pytest.raises(RequestRefusedError) as refused:
            act(index)
        assert name_of(refused) == ErrorName.INVALID_INDEX


@pytest.mark.parametrize("index", range(16))
def test_boot_registers_cannot_be_extended_or_locked(index):
    bank = PcrBank()
    for act in (bank.lock, lambda at: bank.extend(at, b"x")):
        with pytest.raises(RequestRefusedError) as refused:
            act(index)
        assert name_of(refused) == ErrorName.READ_ONLY_INDEX
    assert bank.describe(index) == (True, ZERO_PCR)


def test_a_register_can_be_locked_without_being_extended():
    bank = PcrBank()
    bank.lock(16)
    assert [*range(16), 16] == bank.locked_indices()
    with pytest.raises(RequestRefusedError):
        bank.extend(16, b"x")


def test_locking_a_range_covers_what_is_below_it_and_may_be_repeated():
    bank = PcrBank()
    bank.lock(30)
    bank.lock_range(18)
    bank.lock_range(18)
    assert [*range(18), 30] == bank.locked_indices()


def test_locking_a_range_never_unlocks():
    bank = PcrBank()
    bank.lock_range(32)
    bank.lock_range(0)
    bank.lock_range(4)
    assert list(range(32)) == bank.locked_indices()


def test_locking_more_than_there_is_is_refused_and_locks_nothing():
    bank = PcrBank()
    with pytest.raises(RequestRefusedError) as refused:
        bank.lock_range(33)
    assert name_of(refused) == ErrorName.INVALID_INDEX
    assert list(range(16)) == bank.locked_indices()


def test_the_generation_grows_with_every_change_and_only_then():
    bank = PcrBank()
    seen = [bank.generation]
    bank.describe(3)
    assert seen[-1] == bank.generation
    for change in (
        lambda: bank.extend(16, b""),
        lambda: bank.lock(16),
        lambda: bank.lock_range(20),
    ):
        change()
        seen.append(bank.generation)
    assert sorted(set(seen)) == seen


@pytest.mark.parametrize("values", [{32: bytes(48)}, {-1: bytes(48)}, {0: bytes(47)}])
def test_a_bank_refuses_impossible_values(values):
    with pytest.raises(InvalidValueError):
        PcrBank(values)


def test_instance_and_role_are_measured_as_text():
    instance_id, role = "i-0123456789abcdef0", "arn:aws:iam::123456789012:role/parent"
    measured = Measurements().of_parent(instance_id=instance_id, role_arn=role)
    assert hashlib.sha384(bytes(48) + instance_id.encode()).digest() == measured.pcr4
    assert hashlib.sha384(bytes(48) + role.encode()).digest() == measured.pcr3
    assert Measurements().of_parent(instance_id=instance_id).pcr3 == ZERO_PCR


def test_image_and_certificate_are_measured_by_their_digest():
    content = b"kernel" + b"command line" + b"ramdisk"
    digest = hashlib.sha384(content).digest()
    assert hashlib.sha384(bytes(48) + digest).digest() == measure_bytes(content)
    assert extended(ZERO_PCR, digest) == measure_bytes(content)


def test_only_ascii_is_measured_as_text():
    with pytest.raises(InvalidValueError, match="ASCII"):
        measure_text("arn:aws:iam::1:role/größe")


def test_debug_mode_zeroes_0_1_2_and_8_only():
    values = {f"pcr{index}": bytes([index + 1]) * 48 for index in (0, 1, 2, 3, 4, 8)}
    debug = Measurements(**values).in_debug_mode().by_index()
    assert {index: index in (3, 4) for index in (0, 1, 2, 3, 4, 8)} == {
        index: any(value) for index, value in debug.items()
    }
    assert values["pcr3"] == debug[3]
    assert values["pcr4"] == debug[4]


def test_a_measurement_has_48_bytes():
    with pytest.raises(InvalidValueError, match="PCR8"):
        Measurements(pcr8=bytes(32))
