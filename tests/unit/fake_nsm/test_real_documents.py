"""A fake document and a real one, taken apart: only values may differ."""

from __future__ import annotations

import re
from typing import Any

import cbor2
import pytest
from cryptography import x509

from fake_nsm import EnclaveIdentity, FakeNsm, InstancePki, NsmOptions, PcrBank, seeded_entropy

MODULE_ID = re.compile(r"(i-[0-9a-f]+)-enc([0-9a-f]{12})([0-9a-f]{4})")
FIELDS = ("user_data", "nonce", "public_key")


@pytest.fixture
def documents(real_docs) -> dict[str, bytes]:
    """Return the real documents of enclaves, by file name."""
    found = {path.name: path.read_bytes() for path in sorted(real_docs.glob("*.cbor"))}
    enclaves = {
        name: document
        for name, document in found.items()
        if "pcrs" in cbor2.loads(cbor2.loads(document)[2])
    }
    assert enclaves
    return enclaves


def has_key_identifiers(certificate: bytes) -> bool:
    extensions = x509.load_der_x509_certificate(certificate).extensions
    return any(each.oid == x509.SubjectKeyIdentifier.oid for each in extensions)


def counterpart(real: bytes, root) -> bytes:
    """Let a fake module make the document that it would make in place of the real one."""
    raw = cbor2.loads(real)[2]
    payload = cbor2.loads(raw)
    instance_id, launched, suffix = MODULE_ID.fullmatch(payload["module_id"]).groups()
    leaf_name = x509.load_der_x509_certificate(payload["certificate"]).subject
    (common_name,) = leaf_name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    region = common_name.value.removeprefix(payload["module_id"] + ".").removesuffix(".aws")
    bank = PcrBank(payload["pcrs"])
    for index in payload["pcrs"]:
        if index >= 16:
            bank.lock(index)

    def clock() -> int:
        return payload["timestamp"]

    pki = InstancePki(
        root,
        region=region,
        instance_id=instance_id,
        clock=clock,
        entropy=seeded_entropy(real),
        instance_key_identifiers=has_key_identifiers(payload["cabundle"][3]),
    )
    identity = EnclaveIdentity(
        instance_id=instance_id,
        region=region,
        launched_ms=int(launched, 16),
        suffix=int(suffix, 16),
    )
    nsm = FakeNsm(
        identity,
        bank,
        pki,
        clock=clock,
        entropy=seeded_entropy(b""),
        options=NsmOptions(indefinite_payload=raw.startswith(b"\xbf")),
    )
    request = {"Attestation": {field: payload[field] for field in FIELDS}}
    return cbor2.loads(nsm.handle(cbor2.dumps(request)))["Attestation"]["document"]


def certificates(payload: dict[str, Any]) -> list[bytes]:
    return [*payload["cabundle"], payload["certificate"]]


def without_certificates(raw: bytes) -> bytes:
    """Return the payload with each certificate, head included, cut out."""
    for certificate in certificates(cbor2.loads(raw)):
        encoded = cbor2.dumps(certificate)
        assert encoded[0] == 0x59
        assert raw.count(encoded) == 1
        raw = raw.replace(encoded, b"")
    return raw


def test_envelopes_are_byte_identical_but_for_lengths_and_signature(documents, root):
    for name, real in documents.items():
        fake = counterpart(real, root)
        raw_real, raw_fake = cbor2.loads(real)[2], cbor2.loads(fake)[2]
        assert real[:8] == fake[:8], name
        assert real[10:].startswith(raw_real), name
        assert fake[10:].startswith(raw_fake), name
        assert real[10 + len(raw_real) :][:2] == fake[10 + len(raw_fake) :][:2], name
        assert len(real) - len(raw_real) == len(fake) - len(raw_fake), name


def test_payloads_are_byte_identical_but_for_the_certificates(documents, root):
    for name, real in documents.items():
        fake = counterpart(real, root)
        assert without_certificates(cbor2.loads(real)[2]) == without_certificates(
            cbor2.loads(fake)[2]
        ), name


def test_certificates_have_the_same_structure_on_all_five_levels(
    documents, root, certificate_shape
):
    for name, real in documents.items():
        fake = counterpart(real, root)
        pairs = zip(
            certificates(cbor2.loads(cbor2.loads(real)[2])),
            certificates(cbor2.loads(cbor2.loads(fake)[2])),
            strict=True,
        )
        for level, (real_certificate, fake_certificate) in enumerate(pairs):
            shape = certificate_shape(real_certificate)
            assert shape == certificate_shape(fake_certificate), (name, level)


def test_leaf_serials_and_lifetimes_are_computed_alike(documents, root):
    for name, real in documents.items():
        fake = counterpart(real, root)
        leaves = [
            x509.load_der_x509_certificate(cbor2.loads(cbor2.loads(each)[2])["certificate"])
            for each in (real, fake)
        ]
        launches = {leaf.serial_number >> 64 for leaf in leaves}
        assert len(launches) == 1, name
        for leaf in leaves:
            issued = leaf.serial_number & (1 << 64) - 1
            assert int(leaf.not_valid_after_utc.timestamp()) - issued == 10800, name


def test_the_shape_tells_the_two_flavours_of_instance_certificates_apart(
    documents, certificate_shape
):
    shapes = {
        str(certificate_shape(cbor2.loads(cbor2.loads(real)[2])["cabundle"][3])): name
        for name, real in documents.items()
    }
    assert len(shapes) == 2
