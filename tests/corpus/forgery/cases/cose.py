"""The COSE headers and the form of the signature: one algorithm, said in one place, in one way."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from forgery import cbor, keys
from forgery.case import Made, refuse
from forgery.forge import PROTECTED, Forge, signed_bytes


@refuse("PROTECTED_HEADER", "algorithm-confusion")
def protected_header_empty(forge: Forge) -> Made:
    """The protected header is an empty byte string: no algorithm."""
    return forge.document(protected=b"")


@refuse("PROTECTED_HEADER", "algorithm-confusion")
def protected_map_empty(forge: Forge) -> Made:
    """The protected header holds an empty map: no algorithm."""
    return forge.document(protected=b"\xa0")


@refuse("PROTECTED_HEADER", "algorithm-confusion", weight="should")
def protected_header_with_another_label(forge: Forge) -> Made:
    """A key id stands beside the algorithm in the protected header; no real document has one."""
    return forge.document(protected=cbor.dumps({1: -35, 4: b"key"}))


@refuse("PROTECTED_HEADER", "input-form", weight="should")
def algorithm_in_a_long_head(forge: Forge) -> Made:
    """The algorithm's number takes three bytes where two are enough."""
    return forge.document(protected=bytes.fromhex("a101390022"))


@refuse("PROTECTED_HEADER", "duplicate-key")
def algorithm_given_twice(forge: Forge) -> Made:
    """The label alg stands twice in the protected header, both times with ES384."""
    return forge.document(protected=bytes.fromhex("a2013822013822"))


@refuse("PROTECTED_HEADER", "duplicate-key")
def two_algorithms(forge: Forge) -> Made:
    """The label alg stands twice in the protected header: ES256 first, then ES384."""
    return forge.document(protected=bytes.fromhex("a20126013822"))


@refuse("PROTECTED_HEADER", "input-form")
def bytes_after_the_protected_map(forge: Forge) -> Made:
    """A byte follows the map in the protected header."""
    return forge.document(protected=bytes.fromhex("a101382200"))


@refuse("PROTECTED_HEADER", "indefinite-length", weight="should")
def protected_map_of_indefinite_length(forge: Forge) -> Made:
    """The protected map has indefinite length."""
    return forge.document(protected=bytes.fromhex("bf013822ff"))


@refuse("PROTECTED_HEADER", "input-form")
def protected_header_not_cbor(forge: Forge) -> Made:
    """The protected header holds a map that ends early."""
    return forge.document(protected=b"\xa1\x01")


@refuse("PROTECTED_HEADER", "loose-types")
def protected_header_an_array(forge: Forge) -> Made:
    """The protected header holds [1, -35]."""
    return forge.document(protected=cbor.dumps([1, -35]))


@refuse("WRONG_ALGORITHM", "algorithm-confusion")
def algorithm_es256(forge: Forge) -> Made:
    """The header says ES256; the signature is a good ES384 one."""
    return forge.document(protected=cbor.dumps({1: -7}))


@refuse("WRONG_ALGORITHM", "algorithm-confusion")
def signed_with_es256(forge: Forge) -> Made:
    """The header says ES256, and the leaf's key signed with SHA-256, as the header says."""
    protected = cbor.dumps({1: -7})
    payload = forge.payload()
    signed = signed_bytes(payload, protected)
    signature = keys.raw(keys.sign_der(forge.levels["leaf"].key, signed, SHA256()))
    return forge.document(payload, protected=protected, signature=signature)


@refuse("WRONG_ALGORITHM", "algorithm-confusion")
def algorithm_hmac(forge: Forge) -> Made:
    """The header says HMAC 384/384: a public key used as a shared secret would fit."""
    return forge.document(protected=cbor.dumps({1: 6}))


@refuse("WRONG_ALGORITHM", "algorithm-confusion")
def algorithm_as_text(forge: Forge) -> Made:
    """The header says "ES384" as text."""
    return forge.document(protected=cbor.dumps({1: "ES384"}))


@refuse("WRONG_ALGORITHM", "loose-types")
def algorithm_null(forge: Forge) -> Made:
    """The header says null."""
    return forge.document(protected=cbor.dumps({1: None}))


@refuse("WRONG_ALGORITHM", "unsigned")
def algorithm_of_an_emulator(forge: Forge) -> Made:
    """The header says -1, as in the unsigned documents of the QEMU nitro-enclave machine."""
    return forge.document(protected=cbor.dumps({1: -1}))


@refuse("PROTECTED_HEADER", "loose-types")
def label_as_text(forge: Forge) -> Made:
    """The label is the text "alg" instead of the integer 1."""
    return forge.document(protected=cbor.dumps({"alg": -35}))


@refuse("PROTECTED_HEADER", "loose-types")
def label_as_float(forge: Forge) -> Made:
    """The label is 1.0, which many languages take for 1."""
    return forge.document(protected=bytes.fromhex("a1f93c003822"))


@refuse("CRITICAL_HEADER", "critical-extension")
def critical_header(forge: Forge) -> Made:
    """A crit label names a header that no verifier knows (RFC 9052 section 3.1)."""
    return forge.document(protected=cbor.dumps({1: -35, 2: [99], 99: 0}))


@refuse("UNPROTECTED_HEADER", "unprotected-header", weight="should")
def algorithm_in_the_unprotected_header(forge: Forge) -> Made:
    """The algorithm stands in the unprotected header too."""
    return forge.document(unprotected={1: -35})


@refuse("PROTECTED_HEADER", "unprotected-header")
def algorithm_only_in_the_unprotected_header(forge: Forge) -> Made:
    """The algorithm stands in the unprotected header only, where nobody signs it."""
    return forge.document(protected=b"", unprotected={1: -35})


@refuse("UNPROTECTED_HEADER", "unprotected-header", weight="should")
def certificate_in_the_unprotected_header(forge: Forge) -> Made:
    """A certificate chain (x5chain) stands in the unprotected header."""
    return forge.document(unprotected={33: forge.chain()[-1]})


@refuse("SIGNATURE_LENGTH", "signature-form")
def signature_in_der(forge: Forge) -> Made:
    """A good signature, encoded as X.509 wants it instead of r and s."""
    payload = forge.payload()
    signature = keys.sign_der(forge.levels["leaf"].key, signed_bytes(payload))
    return forge.document(payload, signature=signature)


@refuse("SIGNATURE_LENGTH", "unsigned")
def signature_empty(forge: Forge) -> Made:
    """The signature has no bytes."""
    return cbor.array([*forge.envelope()[:3], b"\x40"])


@refuse("SIGNATURE_LENGTH", "unsigned")
def signature_of_64_zeros(forge: Forge) -> Made:
    """64 zero bytes, as in the unsigned documents of the QEMU nitro-enclave machine."""
    return forge.document(signature=bytes(64))


@refuse("SIGNATURE_LENGTH", "signature-form")
def signature_with_a_byte_more(forge: Forge) -> Made:
    """A good signature and a zero byte."""
    payload = forge.payload()
    return forge.document(payload, signature=forge.sign(payload) + b"\0")


@refuse("SIGNATURE_LENGTH", "signature-form")
def signature_with_padded_halves(forge: Forge) -> Made:
    """r and s are padded to 49 bytes each: the same numbers in another width."""
    payload = forge.payload()
    signature = forge.sign(payload)
    return forge.document(payload, signature=b"\0" + signature[:48] + b"\0" + signature[48:])


@refuse("SIGNATURE_LENGTH", "algorithm-confusion")
def signature_on_p256(forge: Forge) -> Made:
    """A signature of 64 bytes by a key on P-256."""
    payload = forge.payload()
    key = keys.key(f"{forge.label}/p256", ec.SECP256R1())
    r, s = decode_dss_signature(keys.sign_der(key, signed_bytes(payload)))
    return forge.document(payload, signature=r.to_bytes(32, "big") + s.to_bytes(32, "big"))


@refuse("SIGNATURE_RANGE", "signature-form")
def signature_of_zeros(forge: Forge) -> Made:
    """r and s are zero, which verifies under every key where the range is not checked."""
    return forge.document(signature=bytes(96))


@refuse("SIGNATURE_RANGE", "signature-form")
def r_zero(forge: Forge) -> Made:
    """r is zero."""
    payload = forge.payload()
    return forge.document(payload, signature=bytes(48) + forge.sign(payload)[48:])


@refuse("SIGNATURE_RANGE", "signature-form")
def s_zero(forge: Forge) -> Made:
    """s is zero."""
    payload = forge.payload()
    return forge.document(payload, signature=forge.sign(payload)[:48] + bytes(48))


@refuse("SIGNATURE_RANGE", "signature-form")
def s_equal_to_the_order(forge: Forge) -> Made:
    """s is n, which is zero for careless arithmetic."""
    payload = forge.payload()
    order = keys.ORDER.to_bytes(48, "big")
    return forge.document(payload, signature=forge.sign(payload)[:48] + order)


@refuse("SIGNATURE_RANGE", "signature-form")
def r_above_the_order(forge: Forge) -> Made:
    """r is the largest number of 48 bytes, above n."""
    return forge.document(signature=b"\xff" * 48 + forge.sign(forge.payload())[48:])


@refuse("BAD_SIGNATURE", "signature-form")
def r_and_s_one(forge: Forge) -> Made:
    """r and s are 1: in range, and good for nothing."""
    one = (1).to_bytes(48, "big")
    return forge.document(signature=one + one)


@refuse("BAD_SIGNATURE", "signature-form")
def halves_swapped(forge: Forge) -> Made:
    """s stands before r."""
    payload = forge.payload()
    signature = forge.sign(payload)
    return forge.document(payload, signature=signature[48:] + signature[:48])


@refuse("BAD_SIGNATURE", "signature-form")
def halves_little_endian(forge: Forge) -> Made:
    """r and s are given lowest byte first, as some hardware does."""
    payload = forge.payload()
    signature = forge.sign(payload)
    return forge.document(payload, signature=signature[47::-1] + signature[:47:-1])


@refuse("BAD_SIGNATURE", "unsigned")
def payload_changed_after_signing(forge: Forge) -> Made:
    """One field of the payload is another one than was signed."""
    return forge.document(signature=forge.sign(forge.payload()), user_data=b"other data")


@refuse("BAD_SIGNATURE", "unsigned")
def one_bit_changed_after_signing(forge: Forge) -> Made:
    """One bit of PCR5 is another one than was signed."""
    pcrs = forge.pcrs()
    signature = forge.sign(forge.payload())
    pcrs[5] = b"\x01" + bytes(47)
    return forge.document(signature=signature, pcrs=pcrs)


@refuse("BAD_SIGNATURE", "self-signed-substitute")
def signed_by_another_key(forge: Forge) -> Made:
    """Signed by a key that has no certificate."""
    payload = forge.payload()
    key = keys.key(f"{forge.label}/impostor")
    return forge.document(payload, signature=forge.sign(payload, key=key))


@refuse("BAD_SIGNATURE", "ca-constraints")
def signed_by_the_instance_ca(forge: Forge) -> Made:
    """Signed by the key of the instance's CA, which is in the bundle but is not the leaf's."""
    payload = forge.payload()
    return forge.document(payload, signature=forge.sign(payload, key=forge.levels["instance"].key))


@refuse("BAD_SIGNATURE", "algorithm-confusion")
def signed_over_sha256(forge: Forge) -> Made:
    """The header says ES384, the leaf's key signed a SHA-256."""
    payload = forge.payload()
    signature = keys.sign_der(forge.levels["leaf"].key, signed_bytes(payload), SHA256())
    return forge.document(payload, signature=keys.raw(signature))


@refuse("BAD_SIGNATURE", "encoded-again")
def signed_in_another_encoding(forge: Forge) -> Made:
    """The signature covers the payload as a definite map, sent is an indefinite one: the same
    values, other bytes."""
    entries = forge.entries()
    return forge.document(
        cbor.mapping(entries, indefinite=True), signature=forge.sign(cbor.mapping(entries))
    )


@refuse("BAD_SIGNATURE", "encoded-again")
def signed_with_sorted_keys(forge: Forge) -> Made:
    """The signature covers the payload in canonical order, sent is the usual order."""
    ordered = cbor.mapping(sorted(forge.entries()))
    return forge.document(signature=forge.sign(ordered))


@refuse("BAD_SIGNATURE", "unprotected-header")
def signed_without_the_header(forge: Forge) -> Made:
    """The signature covers the payload alone and not the Sig_structure."""
    payload = forge.payload()
    return forge.document(payload, signature=keys.sign_raw(forge.levels["leaf"].key, payload))


@refuse("BAD_SIGNATURE", "unprotected-header")
def signed_for_another_context(forge: Forge) -> Made:
    """The signature is a good COSE_Sign one: its context string is "Signature"."""
    payload = forge.payload()
    signed = cbor.dumps(["Signature", PROTECTED, PROTECTED, b"", payload])
    return forge.document(payload, signature=keys.sign_raw(forge.levels["leaf"].key, signed))


@refuse("BAD_SIGNATURE", "binding")
def signed_with_additional_data(forge: Forge) -> Made:
    """The signature covers external data that the verifier does not have."""
    payload = forge.payload()
    signed = cbor.dumps(["Signature1", PROTECTED, b"other", payload])
    return forge.document(payload, signature=keys.sign_raw(forge.levels["leaf"].key, signed))
