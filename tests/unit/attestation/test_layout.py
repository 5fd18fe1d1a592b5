"""The usual layout of the payload: read as the general reader reads it, or left to that one."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forgery.forge import Forge
from nitrosim.attestation import payload as payload_module
from nitrosim.attestation import read_unverified
from nitrosim.attestation._cbor import CborError, decode
from nitrosim.attestation._layout import read_usual
from thoroughness import examples

FORMS = (False, True)

often = settings(
    max_examples=examples(300),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def general(data):
    """What the general reader makes of it; None if it refuses."""
    try:
        return decode(data, indefinite=True, shortest=False)
    except CborError:
        return None


def payload(indefinite=False, **changes):  # noqa: FBT002 - the form is the parameter of most tests
    return Forge("unit", indefinite=indefinite).payload(**changes)


def types(value):
    """Types at all levels, which equality does not tell: 1 == True."""
    if isinstance(value, dict):
        return [(type(key), types(entry)) for key, entry in value.items()]
    return [types(entry) for entry in value] if isinstance(value, list) else type(value)


@pytest.mark.parametrize("indefinite", FORMS)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"public_key": b"k" * 1024, "user_data": None, "nonce": b""},
        {"public_key": b"", "user_data": b"u" * 23, "nonce": b"n" * 24},
        {"public_key": b"k" * 255, "user_data": b"u" * 256, "nonce": b"n" * 5000},
        {"pcrs": {0: b"\x01" * 48}},
        {"pcrs": {index: bytes([index]) * 48 for index in range(23)}},
        {"pcrs": {5: b"\x01" * 48, 3: b"\x02" * 48}},
        {"timestamp": 2**64 - 1},
        {"timestamp": 2**32},
        {"cabundle": []},
        {"cabundle": [b"c"] * 23},
        {"certificate": b""},
        {"module_id": "x" * 24},
        {"module_id": "ü" * 100},
    ],
)
def test_the_usual_layout_is_read_as_by_the_general_reader(indefinite, changes):
    data = payload(indefinite, **changes)
    usual = read_usual(data)

    assert general(data) == usual
    assert types(general(data)) == types(usual)


@pytest.mark.parametrize(
    "changes",
    [
        {"pcrs": {}},
        {"pcrs": {index: bytes(48) for index in range(24)}},
        {"pcrs": {24: bytes(48)}},
        {"pcrs": {-1: bytes(48)}},
        {"pcrs": {0: bytes(47)}},
        {"pcrs": {0: bytes(49)}},
        {"pcrs": {0: bytes(48), 1: bytes(47)}},
        {"pcrs": {0: None}},
        {"pcrs": None},
        {"timestamp": 2**32 - 1},
        {"timestamp": "1"},
        {"digest": "SHA256"},
        {"module_id": "x" * 23},
        {"module_id": b"x" * 30},
        {"module_id": "x" * 256},
        {"cabundle": [b"c"] * 24},
        {"cabundle": ["c"]},
        {"certificate": "c"},
        {"certificate": None},
        {"nonce": "text"},
        {"nonce": True},
        {"nonce": b"n" * 65536},
        {"another": 1},
    ],
    ids=repr,
)
@pytest.mark.parametrize("indefinite", FORMS)
def test_other_layouts_are_left_to_the_general_reader(indefinite, changes):
    data = payload(indefinite, **changes)

    assert read_usual(data) is None
    assert general(data) is not None


def test_another_order_is_another_layout(forge):
    fields = forge.fields()

    assert read_usual(cbor2.dumps(dict(reversed(fields.items())))) is None
    assert read_usual(cbor2.dumps(fields)) is not None


@pytest.mark.parametrize("indefinite", FORMS)
def test_a_register_given_twice_is_left_to_the_general_reader(indefinite):
    data = payload(indefinite)
    at = data.index(b"\x64pcrs") + 6
    twice = data[: at + 51] + data[at : at + 1] + data[at + 52 :]

    assert (0, 1) == (data[at], data[at + 51])
    assert read_usual(twice) is None
    assert general(twice) is None


@pytest.mark.parametrize("indefinite", FORMS)
def test_every_cut_and_every_byte_more_is_left_to_the_general_reader(indefinite):
    data = payload(indefinite)

    assert [None] * len(data) == [read_usual(data[:end]) for end in range(len(data))]
    assert read_usual(data + b"\x00") is None
    assert read_usual(data + b"\xff") is None
    assert read_usual(b"\x00" + data) is None


@pytest.mark.parametrize("indefinite", FORMS)
def test_every_byte_is_looked_at_as_the_general_reader_does(indefinite):
    data = payload(indefinite)
    for at in range(len(data)):
        for change in (0x01, 0x20, 0x80, 0xFF):
            changed = data[:at] + bytes([data[at] ^ change]) + data[at + 1 :]
            usual = read_usual(changed)
            assert usual is None or general(changed) == usual


@often
@given(st.data())
def test_changed_payloads_are_read_alike(data):
    document = bytearray(payload(data.draw(st.booleans()), nonce=b"n" * 40, cabundle=[b"c" * 30]))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(document) - 1))
        match data.draw(st.sampled_from(["set", "insert", "delete", "repeat"])):
            case "set":
                heads = st.sampled_from([0x00, 0x18, 0x30, 0x58, 0x59, 0x80, 0xA0, 0xF6, 0xFF])
                document[at] = data.draw(st.integers(0, 255) | heads)
            case "insert":
                document.insert(at, data.draw(st.integers(0, 255)))
            case "delete":
                del document[at]
            case "repeat":
                document[at:at] = document[at : at + 51]
    usual = read_usual(bytes(document))
    if usual is not None:
        assert general(bytes(document)) == usual
        assert types(general(bytes(document))) == types(usual)


def test_real_documents_of_enclaves_have_the_usual_layout(real_docs, monkeypatch):
    asked = []

    def counting(data, **options):
        asked.append(data)
        return decode(data, **options)

    monkeypatch.setattr(payload_module, "decode", counting)
    for path in sorted(real_docs.glob("*.cbor")):
        before = len(asked)
        document = read_unverified(path.read_bytes())
        taken = before == len(asked)
        assert ("nitrotpm" not in path.name) == taken, path.name
        assert general(document.envelope.payload)["module_id"] == document.claims.module_id
