"""No bytes make anything but an `AttestationError` come out, and none are accepted by chance.

One mutation of a good document is refused, or it is a document of the same content: for each good
document of the corpus, for mutations of bytes, of CBOR items and of certificates. Every bit of one
document: test_every_bit.py. Mutations by the million: tests/fuzz.
"""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgery.forge import Forge
from fuzzing import mutation
from fuzzing.tree import Kind, Node, cbor_head, read, read_number, write
from nitrosim.attestation import (
    AttestationError,
    DocumentType,
    Historic,
    UnsafeSkipPcrs,
    Verifier,
    read_unverified,
)
from thoroughness import examples

CORPUS = Path(__file__).resolve().parents[3] / "fixtures" / "attestation"
INDEX = json.loads((CORPUS / "index.json").read_text("ascii"))
GOOD = [case for case in INDEX["cases"] if case["result"] == "accept"]
VERIFIER = Verifier(
    [(CORPUS / root["der"]).read_bytes() for root in INDEX["roots"].values()], chain_cache=1000
)

QUICK = settings(
    max_examples=examples(300),
    deadline=None,
    derandomize=True,
)


@pytest.fixture(scope="module")
def signing():
    """Return a function that signs fields of a payload, some of them changed, and its verifier."""
    forge = Forge("robust")
    fields = forge.fields()

    def sign(**changes):
        return forge.document(cbor2.dumps(fields | changes))

    return sign, forge.chain(), Verifier([forge.root])


def attempt(call, *arguments, **options):
    """Return (result, None) or (None, error); any other exception fails the test."""
    try:
        return call(*arguments, **options), None
    except AttestationError as error:
        refusal = error
    assert str(refusal).isprintable()
    return None, refusal


def ask(document, kind=DocumentType.ENCLAVE, verifier=VERIFIER):
    """Verify with as few demands as there can be."""
    return attempt(
        verifier.verify,
        document,
        UnsafeSkipPcrs(),
        time=Historic(),
        document_type=kind,
        allow_debug=True,
        strict=False,
    )


def untagged(document):
    return document[1:] if document[:1] == b"\xd2" else document


def judge(case, mutated):
    """Anything accepted must be the good document, up to its tag, and have its content."""
    kind = DocumentType(case["document_type"])
    document = (CORPUS / case["document"]).read_bytes()
    content, refusal = ask(document, kind)
    assert refusal is None
    verified, error = ask(mutated, kind)
    if error is None:
        assert content == verified
        assert untagged(document) == untagged(mutated)


@QUICK
@given(st.binary(max_size=200))
def test_arbitrary_bytes(document):
    assert ask(document)[1] is not None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers() | st.text(), inner, max_size=4)
        | st.builds(cbor2.CBORTag, st.integers(100, 1000), inner)
    ),
    max_leaves=12,
)


@QUICK
@given(st.lists(values, min_size=3, max_size=5))
def test_arbitrary_values_in_the_envelope(parts):
    assert ask(cbor2.dumps(parts))[1] is not None


@QUICK
@given(
    st.sampled_from(
        [
            "module_id",
            "digest",
            "timestamp",
            "pcrs",
            "certificate",
            "cabundle",
            "public_key",
            "user_data",
            "nonce",
            "more",
        ]
    ),
    values,
)
def test_arbitrary_values_in_a_signed_payload(signing, field, value):
    sign, _, verifier = signing
    verified, error = ask(sign(**{field: value}), verifier=verifier)
    if error:
        return
    # What is accepted was well-typed and is handed out as it was signed.
    assert field in {"public_key", "user_data", "nonce", "more"}
    assert field == "more" or value == getattr(verified, field)


@QUICK
@given(st.data())
def test_one_mutation_of_bytes_is_refused_or_changes_nothing(data):
    case = data.draw(st.sampled_from(GOOD))
    document = (CORPUS / case["document"]).read_bytes()
    at = data.draw(st.integers(0, len(document) - 1))
    kind = data.draw(st.sampled_from(["flip", "insert", "delete", "repeat", "cut"]))
    if kind == "flip":
        mutated = document[:at] + bytes([document[at] ^ data.draw(st.integers(1, 255))])
        mutated += document[at + 1 :]
    elif kind == "insert":
        mutated = document[:at] + data.draw(st.binary(min_size=1, max_size=4)) + document[at:]
    elif kind == "delete":
        mutated = document[:at] + document[at + data.draw(st.integers(1, 64)) :]
    elif kind == "repeat":
        mutated = document[:at] + document[at : at + 64] * 2 + document[at + 64 :]
    else:
        mutated = document[:at]

    judge(case, mutated)


def swap(parent, position, data):
    other = data.draw(st.integers(0, len(parent.children) - 1))
    children = parent.children
    children[position], children[other] = children[other], children[position]


def encode_otherwise(parent, position, data):
    """Write an item with another head: a longer one, or none that tells the length."""
    node = parent.children[position]
    number = read_number(node.content) if node.kind is Kind.RAW else None
    if number is not None:
        node.replace(cbor_head(*number, data.draw(st.sampled_from([1, 2, 4, 8]))))
    elif node.kind is Kind.CBOR and node.first in {4, 5} and data.draw(st.booleans()):
        node.indefinite = not node.indefinite
    else:
        node.width = data.draw(st.sampled_from([1, 2, 4, 8]))


def double(parent, position, _data):
    parent.children.insert(position, parent.children[position])


def delete(parent, position, _data):
    del parent.children[position]


def tag(parent, position, data):
    head = cbor_head(6, data.draw(st.sampled_from([0, 2, 18, 24, 61, 55799])))
    parent.children[position] = Node(Kind.RAW, 0, head + write(parent.children[position]))


@QUICK
@given(st.data())
def test_one_mutation_of_an_item_is_refused_or_changes_nothing(data):
    case = data.draw(st.sampled_from(GOOD))
    tree = read((CORPUS / case["document"]).read_bytes())
    # Down into the CBOR, as far as chance leads; certificates have a test of their own.
    parent, position, node = None, 0, tree
    while node.kind is Kind.CBOR and node.children and (parent is None or data.draw(st.booleans())):
        parent, position = node, data.draw(st.integers(0, len(node.children) - 1))
        node = node.children[position]
    edit = data.draw(st.sampled_from([swap, encode_otherwise, double, delete, tag]))
    edit(parent, position, data)

    judge(case, write(tree))


@QUICK
@given(st.data())
def test_one_mutation_of_a_certificate_is_refused(signing, data):
    # Inside a payload that is signed again, as an attacker with a key of their own could.
    sign, good, verifier = signing
    chain = [*good]
    which = data.draw(st.integers(0, 4))
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(chain[which]) - 1))
        changed = bytearray(chain[which])
        changed[at] ^= data.draw(st.integers(1, 255))
        mutated = bytes(changed)
    else:
        mutated = mutation.mutate(chain[which], random.Random(data.draw(st.integers(0, 1 << 32))))
    if mutated == chain[which]:
        return
    chain[which] = mutated
    _, error = ask(sign(cabundle=chain[:-1], certificate=chain[-1]), verifier=verifier)

    assert error is not None
    assert 13 <= error.step <= 23


LONG = 5000 * "x"


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\xa2" + 2 * cbor2.dumps(LONG) + b"\1\1", id="a key twice"),
        pytest.param(cbor2.dumps({LONG: 1}), id="a field name"),
        pytest.param(cbor2.dumps({"digest": LONG}), id="a value"),
    ],
)
def test_long_texts_make_no_long_messages(payload):
    reports = []
    envelope = cbor2.dumps([b"\xa1\1\x38\x22", {}, payload, b"\1" * 96])
    with pytest.raises(AttestationError) as caught:
        VERIFIER.verify(envelope, UnsafeSkipPcrs(), observer=reports.append)

    assert len(str(caught.value)) < 800
    assert all(len(report.detail) < 800 for report in reports)
    assert str(caught.value) == str(pickle.loads(pickle.dumps(caught.value)))


def test_names_of_ignored_fields_make_no_long_reports(signing):
    sign, _, verifier = signing
    reports = []
    document = sign(**{LONG: 1})
    verifier.verify(
        document, UnsafeSkipPcrs(), time=Historic(), strict=False, observer=reports.append
    )

    assert 28 == len(reports)
    assert all(len(report.detail) <= 240 for report in reports)


@QUICK
@given(st.data())
def test_looking_at_anything_raises_nothing_else(data):
    case = data.draw(st.sampled_from(GOOD))
    document = bytearray((CORPUS / case["document"]).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        document[data.draw(st.integers(0, len(document) - 1))] = data.draw(st.integers(0, 255))
    looked, error = attempt(read_unverified, bytes(document))

    if error:
        assert 1 <= error.step <= 12
    else:
        assert len(document) == looked.size
