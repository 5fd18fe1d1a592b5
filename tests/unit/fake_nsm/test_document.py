import cbor2
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from pycose.keys import EC2Key
from pycose.keys.curves import P384
from pycose.messages import Sign1Message

from fake_nsm import NsmOptions

KEYS = [
    "module_id",
    "digest",
    "timestamp",
    "pcrs",
    "certificate",
    "cabundle",
    "public_key",
    "user_data",
    "nonce",
]


def leaf_key(payload) -> ec.EllipticCurvePublicKey:
    key = x509.load_der_x509_certificate(payload["certificate"]).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def test_the_envelope_has_the_bytes_of_real_documents(nsm, attest):
    document = attest(nsm)
    assert document.startswith(bytes.fromhex("8444a1013822a059"))
    protected, unprotected, payload, signature = cbor2.loads(document)
    assert (bytes.fromhex("a1013822"), {}) == (protected, unprotected)
    assert len(signature) == 96
    length = len(payload).to_bytes(2, "big")
    assert document[7:] == b"\x59" + length + payload + b"\x58\x60" + signature


@pytest.mark.parametrize("indefinite", [True, False])
def test_the_outer_map_comes_in_both_encodings(make_nsm, attest, indefinite):
    document = attest(make_nsm(options=NsmOptions(indefinite_payload=indefinite)))
    payload = cbor2.loads(document)[2]
    assert (b"\xbf" if indefinite else b"\xa9") == payload[:1]
    assert indefinite == payload.endswith(b"\xff")
    assert list(cbor2.loads(payload)) == KEYS
    # Whatever the outer map is, everything inside has definite length and shortest form.
    definite = cbor2.dumps(cbor2.loads(payload))
    assert definite[1:] == (payload[1:-1] if indefinite else payload[1:])


def test_both_encodings_hold_the_same_values(make_nsm, attest, payload_of):
    first, second = (
        payload_of(attest(make_nsm(options=NsmOptions(indefinite_payload=each)), nonce=b"n"))
        for each in (True, False)
    )
    assert first == second


def test_absent_fields_are_null_and_empty_ones_empty(nsm, attest):
    tail = cbor2.loads(attest(nsm))[2][-35:]
    assert "6a7075626c69635f6b6579f669757365725f64617461f6656e6f6e6365f6ff" in tail.hex()
    assert cbor2.loads(attest(nsm, nonce=b""))[2][-8:] == b"\x65nonce\x40\xff"


def test_the_three_fields_come_out_as_they_went_in(nsm, attest, payload_of):
    fields = {"user_data": b"u" * 24, "nonce": b"", "public_key": b"p" * 300}
    payload = payload_of(attest(nsm, **fields))
    assert fields == {name: payload[name] for name in fields}


def test_values_of_the_payload(nsm, clock, identity, attest, payload_of):
    payload = payload_of(attest(nsm))
    assert identity.module_id == payload["module_id"]
    assert payload["digest"] == "SHA384"
    assert clock() == payload["timestamp"]
    assert {index: bytes(48) for index in range(16)} == payload["pcrs"]
    assert len(payload["cabundle"]) == 4


def test_the_signature_verifies_over_the_bytes_that_were_sent(nsm, attest, payload_of):
    document = attest(nsm, nonce=b"n")
    protected, _, payload, signature = cbor2.loads(document)
    r, s = (int.from_bytes(half, "big") for half in (signature[:48], signature[48:]))
    leaf_key(payload_of(document)).verify(
        utils.encode_dss_signature(r, s),
        cbor2.dumps(["Signature1", protected, b"", payload]),
        ec.ECDSA(hashes.SHA384()),
    )


@pytest.mark.parametrize("indefinite", [True, False])
def test_pycose_accepts_the_signature(make_nsm, attest, payload_of, indefinite):
    document = attest(make_nsm(options=NsmOptions(indefinite_payload=indefinite)), nonce=b"n")
    numbers = leaf_key(payload_of(document)).public_numbers()
    message = Sign1Message.from_cose_obj(list(cbor2.loads(document)), True)
    message.key = EC2Key(crv=P384, x=numbers.x.to_bytes(48, "big"), y=numbers.y.to_bytes(48, "big"))
    assert message.verify_signature()
    message.payload = message.payload[:-2] + b"\x00\xff"
    assert not message.verify_signature()


def test_a_changed_byte_breaks_the_signature(nsm, attest, payload_of):
    document = attest(nsm)
    protected, _, payload, signature = cbor2.loads(document)
    r, s = (int.from_bytes(half, "big") for half in (signature[:48], signature[48:]))
    with pytest.raises(InvalidSignature):
        leaf_key(payload_of(document)).verify(
            utils.encode_dss_signature(r, s),
            cbor2.dumps(["Signature1", protected, b"", payload[:-1] + b"\x00"]),
            ec.ECDSA(hashes.SHA384()),
        )


def test_the_size_is_that_of_real_documents(nsm, attest):
    assert 4390 <= len(attest(nsm)) <= 5300
