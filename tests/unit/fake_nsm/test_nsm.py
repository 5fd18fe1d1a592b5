import dataclasses

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fake_nsm import EnclaveIdentity, FakeNsm, Measurements, NsmOptions, seeded_entropy
from fake_nsm.keys import P384Key
from fake_nsm.nsm import RESPONSE_LIMIT

LIMIT = 4096


def pcr_request(name, index, **more):
    return {name: {"index": index, **more}}


def error(name: str) -> dict[str, str]:
    return {"Error": name}


# In the order of the checks: length, decoding, index, lock. A request that is wrong in several
# ways shows which check comes first.
REFUSALS = [
    ("longer than a request can be", b"\x69GetRandom" + bytes(LIMIT), "InputTooLarge"),
    ("too long and undecodable", bytes([0xFF]) * (LIMIT + 1), "InputTooLarge"),
    ("empty", b"", "InvalidOperation"),
    ("undecodable", b"\xff", "InvalidOperation"),
    ("as long as allowed, undecodable", b"\xff" * LIMIT, "InvalidOperation"),
    ("unknown", cbor2.dumps({"Reboot": {}}), "InvalidOperation"),
    ("null for no fields", cbor2.dumps({"GetRandom": None}), "InvalidOperation"),
    ("wrong index and no data", cbor2.dumps(pcr_request("ExtendPCR", 99)), "InvalidOperation"),
    ("locked and no data", cbor2.dumps(pcr_request("ExtendPCR", 0)), "InvalidOperation"),
    ("no 16 bits", cbor2.dumps(pcr_request("DescribePCR", 65536)), "InvalidOperation"),
    ("describe 32", cbor2.dumps(pcr_request("DescribePCR", 32)), "InvalidIndex"),
    ("describe 256", cbor2.dumps(pcr_request("DescribePCR", 256)), "InvalidIndex"),
    ("describe 65535", cbor2.dumps(pcr_request("DescribePCR", 65535)), "InvalidIndex"),
    ("extend 32", cbor2.dumps(pcr_request("ExtendPCR", 32, data=b"x")), "InvalidIndex"),
    ("lock 32", cbor2.dumps(pcr_request("LockPCR", 32)), "InvalidIndex"),
    ("lock up to 33", cbor2.dumps({"LockPCRs": {"range": 33}}), "InvalidIndex"),
    ("extend 0", cbor2.dumps(pcr_request("ExtendPCR", 0, data=b"x")), "ReadOnlyIndex"),
    ("extend 15", cbor2.dumps(pcr_request("ExtendPCR", 15, data=b"x")), "ReadOnlyIndex"),
    ("lock 0", cbor2.dumps(pcr_request("LockPCR", 0)), "ReadOnlyIndex"),
    ("lock 15", cbor2.dumps(pcr_request("LockPCR", 15)), "ReadOnlyIndex"),
]


@pytest.mark.parametrize(
    ("message", "name"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_refusals_name_the_first_check_that_fails(nsm, ask, message, name):
    before = ask(nsm, "DescribeNSM"), nsm.pcrs.generation
    assert cbor2.dumps(error(name)) == nsm.handle(message)
    assert before == (ask(nsm, "DescribeNSM"), nsm.pcrs.generation)


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ("GetRandom", "InputTooLarge"),
        ("DescribeNSM", "InputTooLarge"),
        (pcr_request("DescribePCR", 0), "InputTooLarge"),
        ({"Attestation": {}}, "InputTooLarge"),
        (pcr_request("ExtendPCR", 16, data=b""), "BufferTooSmall"),
        (pcr_request("LockPCR", 16), "BufferTooSmall"),
        ({"LockPCRs": {"range": 20}}, "BufferTooSmall"),
    ],
    ids=str,
)
def test_an_answer_that_does_not_fit_is_refused(make_nsm, ask, request_, name):
    length = len(make_nsm().handle(cbor2.dumps(request_)))
    assert error(name) == ask(make_nsm(), request_, response_capacity=length - 1)
    assert error(name) != ask(make_nsm(), request_, response_capacity=length)


def test_an_extension_counts_even_if_its_answer_does_not_fit(nsm, ask):
    ask(nsm, pcr_request("ExtendPCR", 16, data=b"x"), response_capacity=0)
    assert any(ask(nsm, pcr_request("DescribePCR", 16))["DescribePCR"]["data"])


def test_random_answers_have_the_bytes_that_the_linux_driver_compares(nsm):
    answer = nsm.handle(b"\x69GetRandom")
    assert answer.startswith(bytes.fromhex("a16947657452616e646f6da16672616e646f6d590100"))
    assert len(answer) == 22 + 256


def test_random_answers_differ(nsm):
    assert len({nsm.handle(b"\x69GetRandom") for _ in range(20)}) == 20


def test_random_asked_for_in_another_encoding_is_answered_the_same(make_nsm):
    usual, unusual = b"\x69GetRandom", b"\x7f\x63Get\x66Random\xff"
    assert make_nsm().handle(usual) == make_nsm().handle(unusual)


def test_the_module_describes_itself(nsm, ask, identity):
    expected = {
        "version_major": 1,
        "version_minor": 0,
        "version_patch": 0,
        "module_id": identity.module_id,
        "max_pcrs": 32,
        "locked_pcrs": list(range(16)),
        "digest": "SHA384",
    }
    described = ask(nsm, "DescribeNSM")["DescribeNSM"]
    assert expected == described
    assert list(expected) == list(described)


def test_a_register_is_described_with_its_lock_first(nsm):
    expected = "a16b4465736372696265504352a2646c6f636bf564646174615830" + "00" * 48
    assert expected == nsm.handle(cbor2.dumps(pcr_request("DescribePCR", 0))).hex()


def test_locks_are_confirmed_by_a_plain_text(nsm):
    assert nsm.handle(cbor2.dumps(pcr_request("LockPCR", 16))) == b"\x67LockPCR"
    assert nsm.handle(cbor2.dumps({"LockPCRs": {"range": 0}})) == b"\x68LockPCRs"


def test_what_the_official_checker_does_succeeds(make_nsm, ask, attest, payload_of):
    # The sequence of aws-nitro-enclaves-nsm-api's nsm-check, on an unsigned image in production
    # mode on an instance without a role.
    nsm = make_nsm(measurements=launch_measurements())
    described = ask(nsm, "DescribeNSM")["DescribeNSM"]
    assert (32, list(range(16))) == (described["max_pcrs"], described["locked_pcrs"])
    for index in range(32):
        pcr = ask(nsm, pcr_request("DescribePCR", index))["DescribePCR"]
        assert (index < 16, 48) == (pcr["lock"], len(pcr["data"]))
    for index in range(16):
        assert error("ReadOnlyIndex") == ask(nsm, pcr_request("ExtendPCR", index, data=b"x"))
    for index in range(16, 32):
        values = {
            ask(nsm, pcr_request("ExtendPCR", index, data=bytes([turn])))["ExtendPCR"]["data"]
            for turn in range(10)
        }
        assert len(values) == 10
    for index in range(16, 32):
        assert ask(nsm, pcr_request("LockPCR", index)) == "LockPCR"
        assert error("ReadOnlyIndex") == ask(nsm, pcr_request("ExtendPCR", index, data=b"x"))
    for index in range(32):
        assert error("ReadOnlyIndex") == ask(nsm, pcr_request("LockPCR", index))
    assert ask(nsm, {"LockPCRs": {"range": 32}}) == "LockPCRs"
    assert error("InvalidIndex") == ask(nsm, {"LockPCRs": {"range": 33}})
    assert list(range(32)) == ask(nsm, "DescribeNSM")["DescribeNSM"]["locked_pcrs"]
    zero = [
        index
        for index in range(32)
        if not any(ask(nsm, pcr_request("DescribePCR", index))["DescribePCR"]["data"])
    ]
    assert [3, *range(5, 16)] == zero
    full = {"user_data": b"u" * 1024, "nonce": b"n" * 1024, "public_key": b"p" * 1024}
    for present in range(8):
        fields = {name: full[name] for bit, name in enumerate(full) if present >> bit & 1}
        payload = payload_of(attest(nsm, **fields))
        assert fields == {name: payload[name] for name in full if payload[name] is not None}


def launch_measurements() -> Measurements:
    measured = Measurements(pcr0=b"\1" * 48, pcr1=b"\2" * 48, pcr2=b"\3" * 48)
    return measured.of_parent(instance_id="i-0123456789abcdef0")


def test_documents_show_locked_registers_only(nsm, ask, attest, payload_of):
    ask(nsm, pcr_request("ExtendPCR", 16, data=b"x"))
    assert list(range(16)) == list(payload_of(attest(nsm))["pcrs"])
    ask(nsm, pcr_request("LockPCR", 20))
    assert [*range(16), 20] == list(payload_of(attest(nsm))["pcrs"])
    ask(nsm, {"LockPCRs": {"range": 17}})
    pcrs = payload_of(attest(nsm))["pcrs"]
    assert [*range(17), 20] == list(pcrs)
    assert ask(nsm, pcr_request("DescribePCR", 16))["DescribePCR"]["data"] == pcrs[16]
    assert bytes(48) == pcrs[20]


def test_debug_mode_shows_in_documents_as_zero_registers(make_nsm, attest, payload_of):
    every = {f"pcr{index}": bytes([index + 1]) * 48 for index in (0, 1, 2, 3, 4, 8)}
    nsm = make_nsm(measurements=Measurements(**every).in_debug_mode())
    pcrs = payload_of(attest(nsm))["pcrs"]
    assert [index for index, value in pcrs.items() if any(value)] == [3, 4]


def test_a_document_carries_the_clock_in_milliseconds(nsm, clock, attest, payload_of):
    clock.advance(seconds=1.234)
    assert clock.now == payload_of(attest(nsm))["timestamp"]


def test_a_kilobyte_and_more_is_signed_by_default(nsm, attest, payload_of):
    assert payload_of(attest(nsm, nonce=b"n" * 3900))["nonce"] == b"n" * 3900


def test_the_longest_possible_request_is_answered_within_the_buffer(nsm, ask):
    ask(nsm, {"LockPCRs": {"range": 32}})
    room = LIMIT - len(cbor2.dumps({"Attestation": {"nonce": b"n" * 3000}})) + 3000
    message = cbor2.dumps({"Attestation": {"nonce": b"n" * room}})
    assert len(message) == LIMIT
    assert len(nsm.handle(message)) <= RESPONSE_LIMIT


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"user_data": bytes(512), "nonce": bytes(512), "public_key": bytes(1024)}, None),
        ({"user_data": b"", "nonce": b"", "public_key": b"\0"}, None),
        ({}, None),
        ({"user_data": bytes(513)}, "InputTooLarge"),
        ({"nonce": bytes(513)}, "InputTooLarge"),
        ({"public_key": bytes(1025)}, "InputTooLarge"),
        ({"public_key": b""}, "InvalidArgument"),
    ],
    ids=[
        "at the limits",
        "empty",
        "absent",
        "long user_data",
        "long nonce",
        "long key",
        "empty key",
    ],
)
def test_strict_mode_enforces_the_documented_limits(make_nsm, ask, fields, expected):
    strict = make_nsm(options=NsmOptions(strict_field_limits=True))
    lenient = make_nsm()
    assert expected == ask(strict, {"Attestation": fields}).get("Error")
    assert "Attestation" in ask(lenient, {"Attestation": fields})


def test_equal_seed_and_clock_give_byte_identical_answers(make_nsm):
    messages = [
        b"\x69GetRandom",
        cbor2.dumps({"Attestation": {"nonce": b"n"}}),
        cbor2.dumps(pcr_request("ExtendPCR", 16, data=b"x")),
        cbor2.dumps({"LockPCRs": {"range": 32}}),
        cbor2.dumps({"Attestation": {"user_data": b"u"}}),
    ]
    first, second = make_nsm(), make_nsm()
    assert [first.handle(each) for each in messages] == [second.handle(each) for each in messages]


def test_another_seed_gives_another_chain(make_nsm, make_pki, attest, payload_of):
    first = payload_of(attest(make_nsm()))
    second = payload_of(attest(make_nsm(pki=make_pki(seed=b"other"))))
    assert first["certificate"] != second["certificate"]
    assert first["pcrs"] == second["pcrs"]


class Counter:
    """Counts the keys that were made and the signatures they gave."""

    def __init__(self):
        self.keys = 0
        self.signatures = 0

    def make_key(self, entropy):
        self.keys += 1
        counter = self

        class CountingKey(P384Key):
            __slots__ = ()

            def sign(self, message):
                counter.signatures += 1
                return super().sign(message)

        return CountingKey.generate(entropy)


def test_nothing_is_signed_before_the_first_document_and_then_one_signature_each(
    make_nsm, make_pki, ask, attest
):
    counter = Counter()
    pki = make_pki(make_key=counter.make_key)
    nsm = make_nsm(pki=pki)
    ask(nsm, "GetRandom")
    ask(nsm, "DescribeNSM")
    ask(nsm, pcr_request("ExtendPCR", 16, data=b"x"))
    assert (counter.keys, counter.signatures) == (0, 0)
    attest(nsm)
    # The keys of four levels; signatures by regional, zonal and instance CA, and the document's.
    assert (counter.keys, counter.signatures) == (4, 4)
    for total in range(5, 15):
        ask(nsm, pcr_request("ExtendPCR", 16, data=b"x"))
        attest(nsm, nonce=b"n")
        assert (4, total) == (counter.keys, counter.signatures)


def test_enclaves_of_an_instance_share_everything_above_the_leaf(
    make_nsm, make_pki, clock, attest, chain_of
):
    pki = make_pki()
    first = make_nsm(pki=pki)
    second = FakeNsm(
        dataclasses.replace(first.identity, suffix=1),
        first.pcrs,
        pki,
        clock=clock,
        entropy=seeded_entropy(b"second"),
    )
    one, other = chain_of(attest(first)), chain_of(attest(second))
    assert one[:4] == other[:4]
    assert one[4] != other[4]


def test_a_clock_that_no_root_covers_is_an_internal_error(nsm, clock, ask, caplog):
    clock.now = 0
    assert error("InternalError") == ask(nsm, {"Attestation": {}})
    assert "set the clock" in caplog.text
    assert "GetRandom" in ask(nsm, "GetRandom")


def test_an_enclave_of_another_instance_gets_no_leaf(make_nsm, make_pki, ask, caplog):
    nsm = make_nsm(pki=make_pki(instance_id="i-ffffffffffffffff0"))
    assert error("InternalError") == ask(nsm, {"Attestation": {}})
    assert "is not an enclave of i-ffffffffffffffff0" in caplog.text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300) | st.binary(min_size=4000, max_size=4200))
def test_any_bytes_get_one_well_formed_answer(nsm, message):
    answer = nsm.handle(message)
    decoded = cbor2.loads(answer)
    assert cbor2.dumps(decoded) == answer
    name = decoded if isinstance(decoded, str) else next(iter(decoded))
    assert name in {
        "Error",
        "GetRandom",
        "DescribeNSM",
        "DescribePCR",
        "ExtendPCR",
        "LockPCR",
        "LockPCRs",
        "Attestation",
    }


VALID = [
    {"Attestation": {"user_data": b"abc", "nonce": None, "public_key": [1, 2, 3]}},
    {"ExtendPCR": {"index": 16, "data": b"x" * 30}},
    {"LockPCRs": {"range": 18}},
    "GetRandom",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(VALID), st.data())
def test_damaged_requests_get_one_well_formed_answer(nsm, request_, data):
    message = bytearray(cbor2.dumps(request_))
    for _ in range(data.draw(st.integers(min_value=1, max_value=4))):
        at = data.draw(st.integers(min_value=0, max_value=len(message) - 1))
        message[at] = data.draw(st.integers(min_value=0, max_value=255))
    answer = nsm.handle(bytes(message))
    assert cbor2.dumps(cbor2.loads(answer)) == answer


def test_a_launch_is_identified_by_clock_and_entropy(clock):
    identity = EnclaveIdentity.launch(
        instance_id="i-0123456789abcdef0",
        region="us-east-1",
        clock=clock,
        entropy=lambda length: bytes(range(1, 1 + length)),
    )
    assert f"i-0123456789abcdef0-enc{clock.now:012x}0102" == identity.module_id
