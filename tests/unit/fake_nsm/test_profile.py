"""The certificates of all five levels against the profile measured on real chains."""

import dataclasses
import datetime as dt
import hashlib
import itertools
import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from fake_nsm import RootAuthority, seeded_entropy

ROOT, REGIONAL, ZONAL, INSTANCE, LEAF = range(5)
LEVELS = ["root", "regional", "zonal", "instance", "leaf"]
INSTANCE_ID, REGION = "i-0123456789abcdef0", "eu-central-1"

OIDS = {
    "basicConstraints": "2.5.29.19",
    "keyUsage": "2.5.29.15",
    "subjectKeyIdentifier": "2.5.29.14",
    "authorityKeyIdentifier": "2.5.29.35",
    "cRLDistributionPoints": "2.5.29.31",
}
ATTRIBUTES = {
    "2.5.4.6": "C",
    "2.5.4.8": "ST",
    "2.5.4.7": "L",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.3": "CN",
}


@pytest.fixture(params=[True, False], ids=["with key identifiers", "without"])
def key_identifiers(request):
    return request.param


@pytest.fixture
def chain(make_nsm, make_pki, attest, chain_of, key_identifiers):
    document = attest(make_nsm(pki=make_pki(key_identifiers=key_identifiers)))
    return [x509.load_der_x509_certificate(der) for der in chain_of(document)]


def seconds(lifetime: dt.timedelta) -> int:
    return int(lifetime.total_seconds())


def lifetime_of(certificate: x509.Certificate) -> int:
    return seconds(certificate.not_valid_after_utc - certificate.not_valid_before_utc)


def common_name(certificate: x509.Certificate) -> str:
    (name,) = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(name.value)


def test_every_certificate_is_version_3_p384_and_ecdsa_with_sha384(chain):
    for certificate in chain:
        key = certificate.public_key()
        assert x509.Version.v3 == certificate.version
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp384r1"
        assert certificate.signature_algorithm_oid.dotted_string == "1.2.840.10045.4.3.3"
        assert len(certificate.public_bytes(Encoding.DER)) <= 1024


def test_every_certificate_is_signed_by_the_one_before_it(chain):
    for issuer, subject in zip([chain[0], *chain], chain, strict=False):
        subject.verify_directly_issued_by(issuer)
        assert issuer.subject.public_bytes() == subject.issuer.public_bytes()


@pytest.mark.parametrize(
    ("level", "order"),
    [
        (ROOT, "C O OU CN"),
        (REGIONAL, "C O OU CN"),
        (ZONAL, "CN OU O C ST L"),
        (INSTANCE, "C ST L O OU CN"),
        (LEAF, "C ST L O OU CN"),
    ],
    ids=LEVELS,
)
def test_names_have_the_order_of_their_level(chain, level, order):
    attributes = [ATTRIBUTES[each.oid.dotted_string] for each in chain[level].subject]
    assert order == " ".join(attributes)


def test_the_country_is_a_printable_string_and_everything_else_utf8(chain, der_elements):
    for certificate in chain:
        ((_, name),) = der_elements(certificate.subject.public_bytes())
        for _, relative_name in der_elements(name):
            ((_, attribute),) = der_elements(relative_name)
            (_, oid), (tag, _) = der_elements(attribute)
            assert (0x13 if oid.hex() == "550406" else 0x0C) == tag


def test_no_name_can_be_taken_for_one_of_aws(chain):
    for certificate in chain:
        subject = certificate.subject.rfc4514_string()
        assert "C=XX" in subject
        assert "O=nitrosim" in subject
        assert "OU=TEST ONLY - NOT AWS" in subject
        assert not re.search(
            r"amazon|aws[^ ]*\.|\.aws", subject.replace("NOT AWS", ""), re.IGNORECASE
        )


@pytest.mark.parametrize(
    ("level", "pattern"),
    [
        (ROOT, r"nitrosim\.nitro-enclaves"),
        (REGIONAL, rf"[0-9a-f]{{16}}\.{REGION}\.nitrosim\.nitro-enclaves"),
        (ZONAL, rf"[0-9a-f]{{15,16}}\.zonal\.{REGION}\.nitrosim\.nitro-enclaves"),
        (INSTANCE, rf"{INSTANCE_ID}\.{REGION}\.nitrosim\.nitro-enclaves"),
        (LEAF, rf"{INSTANCE_ID}-enc[0-9a-f]{{16}}\.{REGION}\.nitrosim"),
    ],
    ids=LEVELS,
)
def test_common_names_follow_the_pattern_of_their_level(chain, level, pattern):
    assert re.fullmatch(pattern, common_name(chain[level]))


def test_no_common_name_is_longer_than_x520_allows(make_pki, clock, identity):
    region = "ap-southeast-10"
    pki = make_pki(region=region)
    there = dataclasses.replace(identity, region=region)
    ders = [*pki.cabundle(), pki.issue_leaf(there, clock()).certificate]
    longest = max(len(common_name(x509.load_der_x509_certificate(der))) for der in ders)
    assert longest <= 64


def test_lifetimes(chain):
    day, hour = 86400, 3600
    assert lifetime_of(chain[ROOT]) == 2519044085 - 1572269285
    assert lifetime_of(chain[REGIONAL]) in (20 * day + hour, 20 * day + hour - 1)
    zonal = lifetime_of(chain[ZONAL])
    assert 5 * day + 12 * hour - 1 <= zonal <= 6 * day
    assert zonal % hour in (0, hour - 1)
    assert 24 * hour == lifetime_of(chain[INSTANCE])
    assert 3 * hour + 3 == lifetime_of(chain[LEAF])


def test_the_root_lives_as_long_as_that_of_aws(chain):
    assert chain[ROOT].not_valid_before_utc.isoformat() == "2019-10-28T13:28:05+00:00"
    assert chain[ROOT].not_valid_after_utc.isoformat() == "2049-10-28T14:28:05+00:00"


# The usages that `cryptography` can be asked for without keyAgreement being set.
USAGES = [
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
]


def extension_order(certificate: x509.Certificate) -> list[str]:
    names = {oid: name for name, oid in OIDS.items()}
    return [names[each.oid.dotted_string] for each in certificate.extensions]


AUTHORITY_ORDER = [
    "basicConstraints",
    "authorityKeyIdentifier",
    "subjectKeyIdentifier",
    "keyUsage",
    "cRLDistributionPoints",
]


@pytest.mark.parametrize(
    ("level", "order"),
    [
        (ROOT, ["basicConstraints", "subjectKeyIdentifier", "keyUsage"]),
        (REGIONAL, AUTHORITY_ORDER),
        (ZONAL, AUTHORITY_ORDER),
        (LEAF, ["basicConstraints", "keyUsage"]),
    ],
    ids=["root", "regional", "zonal", "leaf"],
)
def test_extensions_have_the_order_of_their_level(chain, level, order):
    assert order == extension_order(chain[level])


def test_the_instance_certificate_comes_in_two_flavours(chain, key_identifiers):
    identifiers = ["subjectKeyIdentifier", "authorityKeyIdentifier"] if key_identifiers else []
    assert ["basicConstraints", "keyUsage", *identifiers] == extension_order(chain[INSTANCE])


@pytest.mark.parametrize(
    ("level", "is_ca", "path_length"),
    [
        (ROOT, True, None),
        (REGIONAL, True, 2),
        (ZONAL, True, 1),
        (INSTANCE, True, 0),
        (LEAF, False, None),
    ],
    ids=LEVELS,
)
def test_basic_constraints_are_critical(chain, level, is_ca, path_length):
    extension = chain[level].extensions.get_extension_for_class(x509.BasicConstraints)
    assert extension.critical
    assert (is_ca, path_length) == (extension.value.ca, extension.value.path_length)


@pytest.mark.parametrize(
    ("level", "critical", "usages"),
    [
        (ROOT, True, {"digital_signature", "key_cert_sign", "crl_sign"}),
        (REGIONAL, True, {"digital_signature", "key_cert_sign", "crl_sign"}),
        (ZONAL, True, {"digital_signature", "key_cert_sign", "crl_sign"}),
        (INSTANCE, True, {"key_cert_sign"}),
        (LEAF, False, {"digital_signature", "content_commitment"}),
    ],
    ids=LEVELS,
)
def test_key_usage(chain, level, critical, usages):
    extension = chain[level].extensions.get_extension_for_class(x509.KeyUsage)
    assert critical == extension.critical
    assert usages == {each for each in USAGES if getattr(extension.value, each)}


def test_key_identifiers_are_the_sha1_of_the_keys_and_point_upwards(chain):
    for issuer, certificate in itertools.pairwise(chain):
        for extension in certificate.extensions:
            value = extension.value
            if isinstance(value, x509.SubjectKeyIdentifier):
                expected = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
                assert expected == value
            if isinstance(value, x509.AuthorityKeyIdentifier):
                expected = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key())
                assert expected.digest == value.key_identifier
                assert (
                    value.authority_cert_issuer,
                    value.authority_cert_serial_number,
                ) == (None, None)
            if not isinstance(value, x509.BasicConstraints):
                assert extension.critical == (
                    isinstance(value, x509.KeyUsage) and certificate is not chain[LEAF]
                )


def crl_url(certificate: x509.Certificate) -> str:
    extension = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints)
    (point,) = extension.value
    (name,) = point.full_name
    return name.value


def test_revocation_lists_are_named_where_nobody_is_asked(chain):
    uuid = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert re.fullmatch(
        rf"http://nitrosim-nitro-enclaves-crl\.s3\.amazonaws\.test/crl/{uuid}\.crl",
        crl_url(chain[REGIONAL]),
    )
    assert re.fullmatch(
        rf"http://crl-{REGION}-nitrosim-nitro-enclaves\.s3\.{REGION}\.amazonaws\.test/crl/{uuid}\.crl",
        crl_url(chain[ZONAL]),
    )


def test_the_leaf_serial_is_the_enclave_number_and_the_time_of_issue(chain, identity, clock):
    assert identity.enclave_number << 64 | clock() // 1000 == chain[LEAF].serial_number
    issued = dt.datetime.fromtimestamp(clock() // 1000, dt.UTC)
    assert dt.timedelta(seconds=3) == issued - chain[LEAF].not_valid_before_utc
    assert dt.timedelta(hours=3) == chain[LEAF].not_valid_after_utc - issued


def serial_length(der: bytes, der_elements) -> int:
    ((_, certificate),) = der_elements(der)
    (_, fields), _, _ = der_elements(certificate)
    return len(der_elements(fields)[1][1])


def test_serials_of_21_bytes_appear_on_instance_certificates_only(make_pki, der_elements):
    lengths = [
        [serial_length(der, der_elements) for der in make_pki(seed=bytes([n])).cabundle()]
        for n in range(24)
    ]
    assert {20, 21} == {each[INSTANCE] for each in lengths if each[INSTANCE] >= 20}
    assert all(length <= 17 for each in lengths for length in each[:INSTANCE])


def test_lifetimes_are_a_second_shorter_now_and_then(make_pki):
    chains = [
        [x509.load_der_x509_certificate(der) for der in make_pki(seed=bytes([n])).cabundle()]
        for n in range(12)
    ]
    for level in (REGIONAL, ZONAL):
        assert {0, 3599} == {lifetime_of(chain[level]) % 3600 for chain in chains}


def test_ages_at_the_first_document_are_those_of_real_ones(make_pki, clock):
    now = dt.datetime.fromtimestamp(clock() // 1000, dt.UTC)
    ages = []
    for n in range(24):
        chain = [
            x509.load_der_x509_certificate(der) for der in make_pki(seed=b"a%d" % n).cabundle()
        ]
        ages.append([seconds(now - each.not_valid_before_utc) for each in chain])
    hour = 3600
    for _, regional, zonal, instance in ages:
        assert 0 <= instance <= zonal <= regional
    assert max(each[INSTANCE] for each in ages) <= 12 * hour
    assert max(each[ZONAL] for each in ages) <= 24 * hour
    assert 2 * 24 * hour < max(each[REGIONAL] for each in ages) <= 6 * 24 * hour
    assert len({each[INSTANCE] for each in ages}) > 12


def test_the_root_serial_is_random(clock):
    made = [RootAuthority.create(clock=clock, entropy=seeded_entropy(bytes([n]))) for n in (1, 2)]
    serials = {x509.load_der_x509_certificate(each.certificate_der).serial_number for each in made}
    assert len(serials) == 2
    assert len({each.sha256 for each in made}) == 2
    assert hashlib.sha256(made[0].certificate_der).hexdigest() == made[0].sha256
