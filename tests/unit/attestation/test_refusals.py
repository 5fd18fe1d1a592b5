"""One document per reason: wrong in exactly one way, correctly signed, and refused for it.

A case takes the forge and returns the document, or the document and what the caller
demands. The code it must be refused with is its decorator's argument. `test_every_code_has_a_case`
keeps the list complete.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nitrosim.attestation import (
    AnyOf,
    AttestationError,
    DocumentType,
    Historic,
    Instance,
    Live,
    Pcrs,
    UnsafeSkipPcrs,
    Verifier,
)
from nitrosim.attestation.errors import Code

CASES = []


def refused(code):
    def register(case):
        CASES.append(pytest.param(case, code, id=f"{code}-{case.__name__}"))
        return case

    return register


def verify(forge, document, *, policy=None, now=None, crls=(), **demands):
    verifier = Verifier([forge.root], now=lambda: now or forge.now, crls=crls)
    return verifier.verify(document, policy or Pcrs({0: forge.pcrs()[0]}), **demands)


@pytest.mark.parametrize(("case", "code"), CASES)
def test_refused_for_the_right_reason(forge, case, code):
    reports = []
    made = case(forge)
    document, demands = made if isinstance(made, tuple) else (made, {})
    with pytest.raises(AttestationError) as caught:
        verify(forge, document, observer=reports.append, **demands)
    error = caught.value

    assert code == error.code
    assert Code[code].step == error.step
    assert Code[code].error is type(error)
    assert str(error).startswith(f"{code}: ")
    assert str(error).isprintable()
    # The observer heard of every step before the failed one, in order, and then of the failure.
    assert sorted(report.number for report in reports) == [r.number for r in reports]
    assert (error.step, "failed") == (reports[-1].number, reports[-1].outcome)


def test_every_code_has_a_case():
    covered = {case.values[1] for case in CASES}
    made_without_a_document = {
        # Made when the verifier, the time mode or the policy is made: see their own tests.
        "NO_ROOTS",
        "EMPTY_POLICY",
        "PCR_EXPECTATION",
        "ZERO_EXPECTATION",
    }

    assert {code.name for code in Code} == covered | made_without_a_document


def test_the_forge_makes_good_documents(forge):
    document = verify(forge, forge.document(), nonce=b"a fresh nonce")

    assert forge.module == document.module_id


# A. Bytes


@refused("NOT_BYTES")
def text(forge):
    return forge.document().hex()


@refused("NOT_BYTES")
def mutable_buffer(forge):
    return bytearray(forge.document())


@refused("EMPTY")
def nothing(_forge):
    return b""


@refused("TOO_LARGE")
def padded_beyond_any_response(forge):
    return forge.document() + bytes(16384)


@refused("CBOR_MALFORMED")
def cut_short(forge):
    return forge.document()[:-1]


@refused("CBOR_MALFORMED")
def envelope_of_indefinite_length(forge):
    return b"\x9f" + forge.document()[1:] + b"\xff"


@refused("CBOR_MALFORMED")
def envelope_with_a_long_head(forge):
    return b"\x98\x04" + forge.document()[1:]


@refused("CBOR_MALFORMED")
def payload_in_chunks(forge):
    protected, _, payload, signature = cbor2.loads(forge.document())
    chunks = b"\x5f" + cbor2.dumps(payload[:10]) + cbor2.dumps(payload[10:]) + b"\xff"
    return b"\x84" + cbor2.dumps(protected) + b"\xa0" + chunks + cbor2.dumps(signature)


@refused("FOREIGN_TAG")
def another_tag(forge):
    return b"\xd8\x62" + forge.document()


@refused("FOREIGN_TAG")
def tag_18_twice(forge):
    return b"\xd2\xd2" + forge.document()


@refused("CBOR_MALFORMED")
def tag_18_in_a_long_head(forge):
    return b"\xd8\x12" + forge.document()


@refused("TRAILING_BYTES")
def a_byte_after_the_envelope(forge):
    return forge.document() + b"\0"


@refused("NOT_COSE_SIGN1")
def a_map_instead_of_an_array(forge):
    return cbor2.dumps({"document": forge.document()})


@refused("NOT_COSE_SIGN1")
def five_parts(forge):
    return cbor2.dumps([*cbor2.loads(forge.document()), b""])


@refused("NOT_COSE_SIGN1")
def payload_as_text(_forge):
    return cbor2.dumps([b"\xa1\x01\x38\x22", {}, "payload", bytes(96)])


@refused("NOT_COSE_SIGN1")
def unprotected_header_as_array(forge):
    protected, _, payload, signature = cbor2.loads(forge.document())
    return cbor2.dumps([protected, [], payload, signature])


@refused("DETACHED_PAYLOAD")
def payload_null(_forge):
    return cbor2.dumps([b"\xa1\x01\x38\x22", {}, None, bytes(96)])


@refused("LIMIT_EXCEEDED")
def nested_arrays(_forge):
    return b"\x81" * 1000 + b"\x00"


@refused("PAYLOAD_LIMIT")
def many_items(forge):
    return forge.document(user_data=None, x=[0] * 600), {"strict": False}


@refused("PAYLOAD_LIMIT")
def nesting_in_the_payload(forge):
    deep = []
    for _ in range(20):
        deep = [deep]
    return forge.document(x=deep), {"strict": False}


# B. COSE


@refused("PROTECTED_HEADER")
def protected_header_empty(forge):
    return forge.document(protected=b"")


@refused("PROTECTED_HEADER")
def protected_header_with_another_label(forge):
    return forge.document(protected=cbor2.dumps({1: -35, 4: b"key"}))


@refused("PROTECTED_HEADER")
def algorithm_in_a_long_head(forge):
    return forge.document(protected=bytes.fromhex("a101390022"))


@refused("PROTECTED_HEADER")
def algorithm_given_twice(forge):
    return forge.document(protected=bytes.fromhex("a2013822013822"))


@refused("PROTECTED_HEADER")
def bytes_after_the_protected_map(forge):
    return forge.document(protected=bytes.fromhex("a101382200"))


@refused("WRONG_ALGORITHM")
def algorithm_es256(forge):
    return forge.document(protected=cbor2.dumps({1: -7}))


@refused("WRONG_ALGORITHM")
def algorithm_as_text(forge):
    return forge.document(protected=cbor2.dumps({1: "ES384"}))


@refused("WRONG_ALGORITHM")
def algorithm_unsigned(forge):
    # What QEMU's unsigned documents carry.
    return forge.document(protected=cbor2.dumps({1: -1}))


@refused("CRITICAL_HEADER")
def critical_header(forge):
    return forge.document(protected=cbor2.dumps({1: -35, 2: [99], 99: 0}))


@refused("UNPROTECTED_HEADER")
def algorithm_in_the_unprotected_header(forge):
    return forge.document(unprotected={1: -35})


@refused("SIGNATURE_LENGTH")
def signature_in_der(forge):
    payload = forge.payload()
    signed = cbor2.dumps(["Signature1", bytes.fromhex("a1013822"), b"", payload])
    return forge.document(payload, signature=forge.sign_der(forge.levels["leaf"].key, signed))


@refused("SIGNATURE_LENGTH")
def signature_empty(forge):
    return cbor2.dumps([*cbor2.loads(forge.document())[:3], b""])


@refused("SIGNATURE_RANGE")
def signature_of_zeros(forge):
    return forge.document(signature=bytes(96))


@refused("SIGNATURE_RANGE")
def s_equal_to_the_order(forge):
    signature = forge.sign(forge.payload())[:48] + forge.order.to_bytes(48, "big")
    return forge.document(signature=signature)


# C. Payload


@refused("PAYLOAD_MALFORMED")
def payload_empty(forge):
    return forge.document(b"")


@refused("PAYLOAD_MALFORMED")
def payload_cut_short(forge):
    return forge.document(forge.payload()[:-1])


@refused("PAYLOAD_MALFORMED")
def map_count_beyond_the_data(forge):
    return forge.document(b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff" + forge.payload()[1:])


@refused("PAYLOAD_MALFORMED")
def module_id_not_utf8(forge):
    return forge.document(forge.payload().replace(b"i-", b"i\xff", 1))


@refused("PAYLOAD_MALFORMED")
def payload_over_16_kib(forge):
    room = 16384 - len(forge.payload(x=bytes(10000))) + 10000
    return forge.document(x=bytes(room + 1)), {"strict": False}


@refused("PAYLOAD_NOT_MAP")
def payload_an_array(forge):
    return forge.document(cbor2.dumps(list(forge.fields().values())))


@refused("PAYLOAD_TRAILING_BYTES")
def a_byte_after_the_payload_map(forge):
    return forge.document(forge.payload() + b"\xf6")


@refused("PAYLOAD_TRAILING_BYTES")
def break_of_an_inner_container_ends_the_map(forge):
    # An indefinite map that ends early, with the rest of the fields behind it.
    items = [cbor2.dumps(part) for entry in forge.fields().items() for part in entry]
    return forge.document(b"\xbf" + b"".join(items[:-2]) + b"\xff" + b"".join(items[-2:]) + b"\xff")


@refused("DUPLICATE_KEY")
def pcrs_twice(forge):
    payload = forge.payload()
    pcrs = cbor2.dumps("pcrs") + cbor2.dumps({0: bytes(48)})
    return forge.document(b"\xaa" + pcrs + payload[1:])


@refused("DUPLICATE_KEY")
def one_pcr_index_in_two_encodings(forge):
    value = cbor2.dumps(bytes(48))
    registers = b"\xa2\x01" + value + b"\x18\x01" + value
    marker = cbor2.dumps({99: b"marker"})
    return forge.document(forge.payload(pcrs={99: b"marker"}).replace(marker, registers))


@refused("DUPLICATE_KEY")
def one_field_name_in_two_encodings(forge):
    # "nonce" with a one-byte length.
    return forge.document(b"\xaa\x78\x05nonce\xf6" + forge.payload()[1:])


@refused("DUPLICATE_KEY")
def duplicate_inside_an_unknown_field(forge):
    marker = cbor2.dumps({99: b"marker"})
    payload = forge.payload(x={99: b"marker"}).replace(marker, b"\xa2\x00\x00\x00\x00")
    return forge.document(payload), {"strict": False}


@refused("FORBIDDEN_TYPE")
def bignum_timestamp(forge):
    return forge.document(timestamp=cbor2.CBORTag(2, b"\x01\x90\x00\x00\x00\x00"))


@refused("FORBIDDEN_TYPE")
def float_timestamp(forge):
    return forge.document(timestamp=1.5)


@refused("FORBIDDEN_TYPE")
def undefined_nonce(forge):
    return forge.document(nonce=cbor2.undefined)


@refused("FORBIDDEN_TYPE")
def chunked_nonce(forge):
    fields = forge.fields()
    del fields["nonce"]
    payload = b"\xa9" + cbor2.dumps(fields)[1:] + b"\x65nonce\x5f\x41a\x41b\xff"
    return forge.document(payload)


@refused("FORBIDDEN_TYPE")
def bool_pcr_index(forge):
    return forge.document(pcrs={False: bytes(48)})


@refused("FORBIDDEN_TYPE")
def bytes_as_field_name(forge):
    return forge.document(cbor2.dumps(forge.fields() | {b"nonce": b""}))


@refused("WRONG_TYPE")
def integer_as_field_name(forge):
    return forge.document(cbor2.dumps(forge.fields() | {1: b""}))


@refused("WRONG_TYPE")
def bool_timestamp(forge):
    return forge.document(timestamp=True)


@refused("WRONG_TYPE")
def text_as_pcr_index(forge):
    return forge.document(pcrs={str(i): value for i, value in forge.pcrs().items()})


@refused("WRONG_TYPE")
def text_as_nonce(forge):
    return forge.document(nonce="a fresh nonce")


@refused("WRONG_TYPE")
def array_as_user_data(forge):
    return forge.document(user_data=[1, 2, 3])


@refused("WRONG_TYPE")
def null_in_the_bundle(forge):
    return forge.document(cabundle=[*forge.chain()[:-1], None])


@refused("WRONG_TYPE")
def null_pcr(forge):
    return forge.document(pcrs=forge.pcrs() | {5: None})


@refused("MISSING_FIELD")
def certificate_null(forge):
    return forge.document(certificate=None)


@refused("MISSING_FIELD")
def digest_missing(forge):
    fields = forge.fields()
    del fields["digest"]
    return forge.document(cbor2.dumps(fields))


@refused("MISSING_FIELD")
def pcrs_missing(forge):
    fields = forge.fields()
    del fields["pcrs"]
    return forge.document(cbor2.dumps(fields))


@refused("UNKNOWN_FIELD")
def unknown_field(forge):
    return forge.document(nitrogpu_pcrs={})


@refused("DOCUMENT_TYPE")
def caller_asks_for_text(forge):
    return forge.document(), {"document_type": "enclave"}


@refused("WRONG_DOCUMENT_TYPE")
def tpm_registers(forge):
    fields = forge.fields()
    fields["nitrotpm_pcrs"] = fields.pop("pcrs")
    return forge.document(cbor2.dumps(fields))


@refused("WRONG_DOCUMENT_TYPE")
def both_kinds_of_registers(forge):
    return forge.document(nitrotpm_pcrs=forge.pcrs())


@refused("WRONG_DOCUMENT_TYPE")
def enclave_where_a_tpm_is_expected(forge):
    return forge.document(), {"document_type": DocumentType.NITROTPM}


@refused("WRONG_DOCUMENT_TYPE")
def tpm_module_with_enclave_registers(forge):
    return forge.document(module_id=f"{forge.instance}-tpm0000000000000000")


@refused("MODULE_ID")
def module_id_without_the_leading_zero(forge):
    # The form that nitro-cli prints.
    return forge.document(module_id=f"{forge.instance}-enc19abcdef0123456")


@refused("DIGEST")
def digest_sha256(forge):
    return forge.document(digest="SHA256")


@refused("TIMESTAMP_RANGE")
def timestamp_zero(forge):
    return forge.document(timestamp=0)


@refused("TIMESTAMP_RANGE")
def timestamp_negative(forge):
    return forge.document(timestamp=-1)


@refused("TIMESTAMP_RANGE")
def timestamp_beyond_any_calendar(forge):
    return forge.document(timestamp=2**64 - 1), {"time": Historic()}


@refused("PCR_COUNT")
def no_pcrs(forge):
    return forge.document(pcrs={})


@refused("PCR_COUNT")
def thirty_three_pcrs(forge):
    return forge.document(pcrs=dict.fromkeys(range(33), bytes(48)))


@refused("PCR_INDEX")
def pcr_32(forge):
    return forge.document(pcrs=forge.pcrs() | {32: bytes(48)})


@refused("PCR_INDEX")
def pcr_minus_1(forge):
    return forge.document(pcrs=forge.pcrs() | {-1: bytes(48)})


@refused("PCR_LENGTH")
def pcr_of_32_bytes(forge):
    return forge.document(pcrs=forge.pcrs() | {8: bytes(32)})


@refused("PCR_LENGTH")
def pcr_empty(forge):
    return forge.document(pcrs=forge.pcrs() | {8: b""})


@refused("FIELD_LENGTH")
def nonce_of_1025_bytes(forge):
    return forge.document(nonce=bytes(1025))


# D. Chain


@refused("CERTIFICATE_COUNT")
def bundle_empty(forge):
    return forge.document(cabundle=[])


@refused("CERTIFICATE_COUNT")
def bundle_of_eleven(forge):
    return forge.document(cabundle=[forge.root] * 11)


@refused("CERTIFICATE_SIZE")
def certificate_empty(forge):
    return forge.document(certificate=b"")


@refused("CERTIFICATE_SIZE")
def certificate_of_1025_bytes(forge):
    return forge.document(certificate=bytes(1025))


@refused("CERTIFICATE_MALFORMED")
def byte_after_the_leaf(forge):
    return forge.document(certificate=forge.chain()[-1] + b"\0")


@refused("CERTIFICATE_MALFORMED")
def version_1(forge):
    return forge.edit("leaf", "version", b"").document()


@refused("UNTRUSTED_ROOT")
def root_with_the_right_name_and_another_key(forge):
    return forge.change("root", key=forge.key_number("impostor")).document()


@refused("UNTRUSTED_ROOT")
def root_with_its_signature_changed(forge):
    *bundle, leaf = forge.chain()
    bundle[0] = bundle[0][:-1] + bytes([bundle[0][-1] ^ 1])
    return forge.document(cabundle=bundle, certificate=leaf)


@refused("UNTRUSTED_ROOT")
def bundle_leaf_first(forge):
    return forge.document(cabundle=forge.chain()[-2::-1])


@refused("UNTRUSTED_ROOT")
def bundle_without_the_root(forge):
    return forge.document(cabundle=forge.chain()[1:-1])


@refused("ISSUER_MISMATCH")
def intermediate_left_out(forge):
    bundle = forge.chain()[:-1]
    return forge.document(cabundle=[bundle[0], *bundle[2:]])


@refused("ISSUER_MISMATCH")
def intermediates_swapped(forge):
    root, regional, zonal, instance, _ = forge.chain()
    return forge.document(cabundle=[root, zonal, regional, instance])


@refused("ISSUER_MISMATCH")
def leaf_in_the_bundle(forge):
    return forge.document(cabundle=forge.chain())


@refused("CERTIFICATE_SIGNATURE")
def leaf_signed_by_itself(forge):
    return forge.change("leaf", signer=forge.levels["leaf"].key).document()


@refused("CERTIFICATE_SIGNATURE")
def leaf_changed_after_signing(forge):
    other = forge.module.replace("enc019", "enc018")
    changed = forge.chain()[-1].replace(forge.module.encode(), other.encode())
    return forge.document(certificate=changed, module_id=other)


@refused("CERTIFICATE_SIGNATURE")
def regional_signature_of_zeros(forge):
    zeros = forge.tlv(0x03, b"\0", forge.tlv(0x30, forge.integer(0), forge.integer(0)))
    return forge.edit("regional", "signature", zeros).document()


SHA256_ALGORITHM = bytes.fromhex("300a06082a8648ce3d040302")


@refused("CERTIFICATE_ALGORITHM")
def sha256_certificate(forge):
    def edit(parts):
        parts["algorithm"] = parts["outer_algorithm"] = SHA256_ALGORITHM

    return forge.change("zonal", edit=edit).document()


@refused("CERTIFICATE_ALGORITHM")
def inner_and_outer_algorithm_differ(forge):
    return forge.edit("zonal", "outer_algorithm", SHA256_ALGORITHM).document()


@refused("CERTIFICATE_ALGORITHM")
def algorithm_with_null_parameters(forge):
    def edit(parts):
        null = bytes.fromhex("300c06082a8648ce3d0403030500")
        parts["algorithm"] = parts["outer_algorithm"] = null

    return forge.change("instance", edit=edit).document()


@refused("CERTIFICATE_KEY")
def key_on_p256(forge):
    other = ec.derive_private_key(5, ec.SECP256R1()).public_key()
    info = other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return forge.edit("leaf", "key", info).document()


@refused("CERTIFICATE_KEY")
def key_rsa(forge):
    other = rsa.generate_private_key(65537, 2048).public_key()
    info = other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return forge.edit("leaf", "key", info).document()


@refused("CERTIFICATE_KEY")
def key_compressed(forge):
    key = forge.levels["leaf"].key.public_key()
    compressed = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    algorithm = bytes.fromhex("301006072a8648ce3d020106052b81040022")
    info = forge.tlv(0x30, algorithm, forge.tlv(0x03, b"\0", compressed))
    return forge.edit("leaf", "key", info).document()


@refused("CERTIFICATE_KEY")
def key_not_on_the_curve(forge):
    info = forge.key_info(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", info[:-1] + bytes([info[-1] ^ 1])).document()


@refused("CERTIFICATE_KEY")
def key_with_a_coordinate_beyond_the_field(forge):
    info = forge.key_info(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", info[:-48] + b"\xff" * 48).document()


@refused("CERTIFICATE_KEY")
def key_at_infinity(forge):
    algorithm = bytes.fromhex("301006072a8648ce3d020106052b81040022")
    info = forge.tlv(0x30, algorithm, forge.tlv(0x03, b"\0\0"))
    return forge.edit("leaf", "key", info).document()


def without(forge, level, oid):
    wanted = bytes.fromhex(oid)
    return tuple(e for e in forge.levels[level].extensions if wanted not in e[:12])


@refused("NOT_A_CA")
def issuer_without_basic_constraints(forge):
    return forge.change("instance", extensions=without(forge, "instance", "551d13")).document()


@refused("NOT_A_CA")
def basic_constraints_not_critical(forge):
    rest = without(forge, "zonal", "551d13")
    loose = forge.extension("551d13", forge.tlv(0x30, b"\x01\x01\xff", forge.integer(1)))
    return forge.change("zonal", extensions=(loose, *rest)).document()


@refused("NOT_A_CA")
def leaf_issues_another_leaf(forge):
    # An enclave's own key must not make identities.
    plan = forge.levels
    forged = plan["leaf"]
    plan["second"] = type(forged)(**{f: getattr(forged, f) for f in forged.__dataclass_fields__})
    *bundle, leaf = forge.chain()
    return forge.document(cabundle=bundle, certificate=leaf)


@refused("PATH_LENGTH")
def two_cas_below_path_length_one(forge):
    rest = without(forge, "regional", "551d13")
    narrow = forge.basic_constraints(1)
    return forge.change("regional", extensions=(narrow, *rest)).document()


@refused("KEY_USAGE")
def issuer_without_key_cert_sign(forge):
    rest = without(forge, "instance", "551d0f")
    usage = forge.extension("551d0f", bytes.fromhex("03020780"), critical=True)
    return forge.change("instance", extensions=(*rest, usage)).document()


@refused("KEY_USAGE")
def issuer_without_key_usage(forge):
    return forge.change("instance", extensions=without(forge, "instance", "551d0f")).document()


@refused("KEY_USAGE")
def leaf_with_key_cert_sign(forge):
    rest = without(forge, "leaf", "551d0f")
    usage = forge.extension("551d0f", bytes.fromhex("03020284"))
    return forge.change("leaf", extensions=(*rest, usage)).document()


@refused("KEY_USAGE")
def leaf_without_digital_signature(forge):
    rest = without(forge, "leaf", "551d0f")
    usage = forge.extension("551d0f", bytes.fromhex("03020640"))
    return forge.change("leaf", extensions=(*rest, usage)).document()


@refused("LEAF_IS_CA")
def leaf_is_a_ca(forge):
    rest = without(forge, "leaf", "551d13")
    return forge.change("leaf", extensions=(forge.basic_constraints(None), *rest)).document()


@refused("LEAF_IS_CA")
def leaf_with_a_path_length(forge):
    rest = without(forge, "leaf", "551d13")
    odd = forge.extension("551d13", forge.tlv(0x30, forge.integer(0)), critical=True)
    return forge.change("leaf", extensions=(odd, *rest)).document()


@refused("UNKNOWN_CRITICAL_EXTENSION")
def unknown_critical_extension(forge):
    odd = forge.extension("2a0304", b"\x05\x00", critical=True)
    return forge.change("zonal", extensions=(*forge.levels["zonal"].extensions, odd)).document()


@refused("UNKNOWN_CRITICAL_EXTENSION")
def critical_extended_key_usage(forge):
    usage = forge.tlv(0x30, bytes.fromhex("06082b06010505070301"))
    odd = forge.extension("551d25", usage, critical=True)
    return forge.change("leaf", extensions=(*forge.levels["leaf"].extensions, odd)).document()


@refused("CONSTRAINING_EXTENSION")
def name_constraints(forge):
    odd = forge.extension("551d1e", b"\x30\x00")
    return forge.change("zonal", extensions=(*forge.levels["zonal"].extensions, odd)).document()


@refused("AUTHORITY_KEY_ID")
def authority_key_id_of_another_key(forge):
    odd = forge.extension("551d23", forge.tlv(0x30, forge.tlv(0x80, bytes(20))))
    rest = without(forge, "zonal", "551d23")
    return forge.change("zonal", extensions=(*rest, odd)).document()


@refused("AUTHORITY_KEY_ID")
def authority_key_id_where_the_issuer_has_none(forge):
    odd = forge.extension("551d23", forge.tlv(0x30, forge.tlv(0x80, bytes(20))))
    return forge.change("leaf", extensions=(*forge.levels["leaf"].extensions, odd)).document()


@refused("CERTIFICATE_EXPIRED")
def leaf_expired(forge):
    return forge.document(), {"now": forge.now + timedelta(hours=4), "time": Live(timedelta(1))}


@refused("CERTIFICATE_EXPIRED")
def ancestor_expired_before_the_leaf(forge):
    return forge.change("regional", end=forge.now - timedelta(seconds=1)).document()


@refused("CERTIFICATE_EXPIRED")
def root_expired(forge):
    end = forge.now - timedelta(seconds=1)
    changed = forge.change("root", end=end)
    forge.root = changed.chain()[0]
    return changed.document()


@refused("CERTIFICATE_NOT_YET_VALID")
def clock_far_behind(forge):
    return forge.document(), {"now": forge.now - timedelta(seconds=34)}


@refused("CERTIFICATE_NOT_YET_VALID")
def historic_has_no_leeway(forge):
    begin = forge.now + timedelta(seconds=1)
    return forge.change("leaf", begin=begin).document(), {"time": Historic()}


def revocation_list(forge, level, *serials, signer=None, at=None):
    plan = forge.levels[level]
    at = at or forge.now
    subject = x509.load_der_x509_certificate(forge.chain()[list(forge.levels).index(level)]).subject
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=subject,
        last_update=at - timedelta(hours=1),
        next_update=at + timedelta(hours=1),
    )
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder(serial, at - timedelta(hours=2)).build()
        builder = builder.add_revoked_certificate(revoked)
    return builder.sign(signer or plan.key, SHA384()).public_bytes(Encoding.DER)


@refused("CERTIFICATE_REVOKED")
def zonal_revoked(forge):
    crl = revocation_list(forge, "regional", 5, forge.levels["zonal"].serial)
    return forge.document(), {"crls": [crl]}


@refused("REVOCATION_LIST")
def list_signed_by_another_key(forge):
    crl = revocation_list(forge, "regional", 5, signer=forge.key_number("impostor"))
    return forge.document(), {"crls": [crl]}


@refused("REVOCATION_LIST")
def list_out_of_date(forge):
    crl = revocation_list(forge, "regional", 5, at=forge.now - timedelta(days=2))
    return forge.document(), {"crls": [crl]}


@refused("IDENTITY_MISMATCH")
def module_id_of_another_enclave(forge):
    return forge.document(module_id=f"{forge.instance}-enc019abcdef0123457")


@refused("IDENTITY_MISMATCH")
def leaf_of_another_instance(forge):
    other = f"i-0fedcba9876543210.{forge.region}.forge.test.nitro-enclaves"
    return forge.change("instance", subject=other).document()


@refused("IDENTITY_MISMATCH")
def zone_in_another_region(forge):
    return forge.change("zonal", subject="aa.zonal.us-east-1.forge.test").document()


@refused("IDENTITY_MISMATCH")
def pcr4_of_another_instance(forge):
    return forge.document(pcrs=forge.pcrs() | {4: forge.pcr(b"i-0fedcba9876543210")})


@refused("IDENTITY_MISMATCH")
def pcr4_absent(forge):
    pcrs = forge.pcrs()
    del pcrs[4]
    return forge.document(pcrs=pcrs)


# E. Signature


@refused("BAD_SIGNATURE")
def payload_changed_after_signing(forge):
    signature = forge.sign(forge.payload())
    return forge.document(signature=signature, user_data=b"other data")


@refused("BAD_SIGNATURE")
def signed_by_another_key(forge):
    payload = forge.payload()
    return forge.document(payload, signature=forge.sign(payload, key=forge.key_number("x")))


@refused("BAD_SIGNATURE")
def signed_by_the_instance_ca(forge):
    payload = forge.payload()
    key = forge.levels["instance"].key
    return forge.document(payload, signature=forge.sign(payload, key=key))


@refused("BAD_SIGNATURE")
def halves_swapped(forge):
    payload = forge.payload()
    signature = forge.sign(payload)
    return forge.document(payload, signature=signature[48:] + signature[:48])


@refused("BAD_SIGNATURE")
def payload_encoded_again(forge):
    # Signed as a definite map, sent as an indefinite one: the same values, other bytes.
    payload = forge.payload()
    sent = b"\xbf" + payload[1:] + b"\xff"
    return forge.document(sent, signature=forge.sign(payload))


# F. Time


@refused("TIMESTAMP_OUTSIDE_LEAF")
def timestamp_before_the_leaf(forge):
    before = int((forge.now - timedelta(seconds=4)).timestamp() * 1000)
    return forge.document(timestamp=before)


@refused("DOCUMENT_TOO_OLD")
def older_than_max_age(forge):
    return forge.document(), {"now": forge.now + timedelta(minutes=5, milliseconds=1)}


@refused("DOCUMENT_FROM_FUTURE")
def ahead_of_the_clock(forge):
    stamp = int((forge.now + timedelta(seconds=31)).timestamp() * 1000)
    return forge.document(timestamp=stamp)


@refused("CLOCK")
def clock_without_zone(forge):
    return forge.document(), {"now": forge.now.replace(tzinfo=None)}


@refused("CLOCK")
def time_mode_forgotten(forge):
    return forge.document(), {"time": Historic}


# G. Policy


@refused("NO_POLICY")
def policy_is_a_dict(forge):
    return forge.document(), {"policy": {0: forge.pcrs()[0]}}


@refused("NO_POLICY")
def policy_is_a_class(forge):
    return forge.document(), {"policy": UnsafeSkipPcrs}


@refused("PCR_ABSENT")
def expected_pcr_absent(forge):
    return forge.document(), {"policy": Pcrs({16: hashlib.sha384(b"x").digest()})}


@refused("PCR_MISMATCH")
def another_image(forge):
    return forge.document(), {"policy": Pcrs({0: hashlib.sha384(b"x").digest()})}


@refused("PCR_MISMATCH")
def another_instance_demanded(forge):
    return forge.document(), {"policy": Instance("i-0fedcba9876543210")}


@refused("NO_ALTERNATIVE")
def neither_release(forge):
    first, second = (Pcrs({0: hashlib.sha384(n).digest()}) for n in (b"1", b"2"))
    return forge.document(), {"policy": AnyOf(first, second)}


@refused("DEBUG_MODE")
def debug_mode(forge):
    pcrs = forge.pcrs() | dict.fromkeys((0, 1, 2, 8), bytes(48))
    return forge.document(pcrs=pcrs), {"policy": Instance(forge.instance)}


@refused("DEBUG_MODE")
def only_pcr2_zero(forge):
    return forge.document(pcrs=forge.pcrs() | {2: bytes(48)})


@refused("LAUNCH_PCR_ABSENT")
def pcr1_absent(forge):
    pcrs = forge.pcrs()
    del pcrs[1]
    return forge.document(pcrs=pcrs)


@refused("EMPTY_EXPECTATION")
def empty_nonce_expected(forge):
    return forge.document(nonce=b""), {"nonce": b""}


@refused("EMPTY_EXPECTATION")
def nonce_expected_as_text(forge):
    return forge.document(), {"nonce": "a fresh nonce"}


@refused("NONCE_ABSENT")
def nonce_null(forge):
    return forge.document(nonce=None), {"nonce": b"a fresh nonce"}


@refused("NONCE_MISMATCH")
def another_nonce(forge):
    return forge.document(), {"nonce": b"a fresh noncf"}


@refused("NONCE_MISMATCH")
def empty_nonce_given(forge):
    return forge.document(nonce=b""), {"nonce": b"a fresh nonce"}


@refused("USER_DATA_ABSENT")
def user_data_missing(forge):
    fields = forge.fields()
    del fields["user_data"]
    return forge.document(cbor2.dumps(fields)), {"user_data": b"user data"}


@refused("USER_DATA_MISMATCH")
def another_user_data(forge):
    return forge.document(), {"user_data": b"user"}


@refused("PUBLIC_KEY_ABSENT")
def public_key_null(forge):
    return forge.document(), {"public_key": b"key"}


@refused("PUBLIC_KEY_MISMATCH")
def another_public_key(forge):
    return forge.document(public_key=b"dummy"), {"public_key": b"key"}
