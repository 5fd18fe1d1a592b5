"""The envelope against pycose, which shares no code with us and computes P-384 in pure Python.

pycose cannot decode untagged messages, so it is given the decoded array.
"""

from __future__ import annotations

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pycose.headers import Algorithm
from pycose.keys import EC2Key
from pycose.keys.curves import P384
from pycose.messages import Sign1Message

from nitrosim.attestation import (
    AttestationError,
    Historic,
    UnsafeSkipPcrs,
    Verifier,
    p384,
    read_unverified,
)


def oracle_key(point):
    return EC2Key(crv=P384, x=point[1:49], y=point[49:])


def oracle_accepts(document):
    unverified = read_unverified(document)
    message = Sign1Message.from_cose_obj(list(cbor2.loads(document)), True)
    message.key = oracle_key(unverified.certificates[-1].key_info[-97:])
    return message.verify_signature()


def we_accept(document, verifier):
    """Tell whether the document is accepted, or refused for its signature and nothing else."""
    steps = []
    try:
        verifier.verify(
            document,
            UnsafeSkipPcrs(),
            time=Historic(),
            strict=False,
            allow_debug=True,
            observer=steps.append,
        )
    except AttestationError as error:
        return {"BAD_SIGNATURE": False}[error.code]
    return steps[-1].number == 28


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({}, True),
        ({"user_data": b"x" * 1000}, True),
        ({"nonce": None, "user_data": None}, True),
        ({"signature": b"\x01" * 96}, False),
    ],
)
def test_agreement_on_forged_documents(forge, change, good):
    document = forge.document(**change)

    assert good == oracle_accepts(document)
    assert good == we_accept(document, Verifier([forge.root]))


def test_a_document_signed_by_pycose_is_accepted(forge):
    message = Sign1Message(phdr={Algorithm: "ES384"}, payload=forge.payload())
    private = forge.levels["leaf"].key.private_numbers()
    point = forge.point(forge.levels["leaf"].key)
    key = EC2Key(crv=P384, x=point[1:49], y=point[49:])
    key.d = private.private_value.to_bytes(48, "big")
    message.key = key

    assert we_accept(message.encode(tag=False), Verifier([forge.root]))
    assert we_accept(message.encode(tag=True), Verifier([forge.root]))


def test_agreement_on_real_documents(real_docs):
    judged = {}
    for path in real_docs.glob("*.cbor"):
        if "nitrotpm" in path.name:
            continue
        document = path.read_bytes()
        judged[path.stem] = we_accept(document, Verifier.aws())
        assert oracle_accepts(document) == judged[path.stem]

    assert ["2022-11-09-INVALID-bad-signature"] == [
        name for name, good in judged.items() if not good
    ]


def test_the_order_of_the_curve_is_the_curves_own(forge):
    # Adding the order to a private number gives the same point only for the true order.
    key = ec.derive_private_key(p384.ORDER - 1, ec.SECP384R1())
    one = ec.derive_private_key(1, ec.SECP384R1())

    # n-1 times the generator is its negative: the same x, the other y.
    assert forge.point(one)[1:49] == forge.point(key)[1:49]
    assert forge.point(one)[49:] != forge.point(key)[49:]


@pytest.mark.parametrize("point", [b"", b"\x00", b"\x04" + bytes(96), b"\x02" + bytes(48)])
def test_other_bytes_are_no_key(point):
    with pytest.raises(p384.BadKeyError):
        p384.load_key(point)
