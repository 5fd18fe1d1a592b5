"""The signing certificate: which one of a file, which keys, and the texts about it."""

import shutil
import subprocess
import warnings
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from nitrosim.eif import EifError
from nitrosim.eif.certificate import SigningCertificate
from nitrosim.eif.openssl_names import ALGORITHMS, ATTRIBUTES, long_name

KEY = ec.derive_private_key(7, ec.SECP384R1())
RSA = rsa.generate_private_key(65537, 1024)


def certificate(*attributes, key=KEY, begin=datetime(2024, 1, 1, tzinfo=UTC), digest=None):
    pairs = attributes or ((NameOID.COMMON_NAME, "me"),)
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs])
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(datetime(2054, 12, 31, 23, 59, 59, tzinfo=UTC))
        .sign(key, digest or hashes.SHA384())
        .public_bytes(serialization.Encoding.DER)
    )


def as_pem(der, label=b"CERTIFICATE"):
    loaded = x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
    return loaded.replace(b"CERTIFICATE", label)


def code_of(function, *arguments, **options):
    with pytest.raises(EifError) as caught:
        function(*arguments, **options)
    return caught.value.code, caught.value.offset


def test_first_certificate_of_a_file_counts():
    first, second = certificate((NameOID.TITLE, "first")), certificate((NameOID.TITLE, "second"))
    before = b"subject=/CN=me\n-----BEGIN EC PARAMETERS-----\nBgUr\n-----END EC PARAMETERS-----\n"

    pem = before + as_pem(first) + as_pem(second)

    assert first == SigningCertificate.from_pem(pem).der


@pytest.mark.parametrize(
    "change", [lambda pem: pem.replace(b"\n", b"\r\n"), lambda pem: pem.rstrip(b"\n")]
)
def test_line_ends_do_not_matter(change):
    der = certificate()

    assert der == SigningCertificate.from_pem(change(as_pem(der))).der


def test_old_label_is_read():
    der = certificate()

    assert der == SigningCertificate.from_pem(as_pem(der, b"X509 CERTIFICATE")).der


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        as_pem(certificate()).replace(b"\n", b"\n#\n", 1),
        as_pem(certificate()).replace(b"-\n", b"-x\n"),
        as_pem(certificate()).replace(b"END ", b"END X509 "),
        as_pem(certificate(), b"TRUSTED CERTIFICATE"),
        as_pem(certificate(), b"CERTIFICATE REQUEST"),
    ],
)
def test_what_is_no_certificate_is_refused(pem):
    assert ("CERTIFICATE", 9) == code_of(SigningCertificate.from_pem, pem, offset=9)


def test_key_on_no_curve_is_refused():
    read = SigningCertificate(certificate(key=RSA), offset=9)

    assert ("CERTIFICATE_KEY", 9) == code_of(read.public_key)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"\x06\x05\x2b\x81\x04\x00\x22", b"\x06\x05\x2b\x81\x04\x00\x7f", "CERTIFICATE_KEY"),
        (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", "CERTIFICATE"),
        (b"\x0c\x02me", b"\x0c\x02\xff\xff", "CERTIFICATE"),
    ],
    ids=["curve", "version", "name"],
)
def test_certificate_with_a_broken_part_is_refused(old, new, code):
    der = certificate()
    assert 1 == der.count(old)

    with pytest.raises(EifError) as caught:
        SigningCertificate(der.replace(old, new)).public_key()

    assert code == caught.value.code


def test_certificate_with_a_bit_string_for_a_name_is_refused():
    # Tag, length, value: text of two characters, then the same bytes as a bit string.
    der = certificate((NameOID.COMMON_NAME, "\0n"))
    odd = der.replace(b"\x0c\x02\0n", b"\x03\x02\0n")

    assert odd != der
    assert ("CERTIFICATE", None) == code_of(SigningCertificate, odd)


def test_certificate_is_described_in_order():
    described = SigningCertificate(certificate((NameOID.COUNTRY_NAME, "US"))).describe()

    assert ["IssuerName", "Algorithm", "NotBefore", "NotAfter", "Signature"] == list(described)
    assert "ecdsa-with-SHA384" == described["Algorithm"]
    assert "Dec 31 23:59:59 2054 GMT" == described["NotAfter"]
    assert described["Signature"].startswith("30:6")
    assert described["Signature"] == described["Signature"].upper()


@pytest.mark.parametrize(
    ("begin", "text"),
    [
        (datetime(2024, 1, 1, tzinfo=UTC), "Jan  1 00:00:00 2024 GMT"),
        (datetime(1999, 9, 10, 8, 7, 6, tzinfo=UTC), "Sep 10 08:07:06 1999 GMT"),
        (datetime(2050, 5, 31, 12, 0, 0, tzinfo=UTC), "May 31 12:00:00 2050 GMT"),
    ],
)
def test_time_is_written_as_by_openssl(begin, text):
    assert text == SigningCertificate(certificate(begin=begin)).describe()["NotBefore"]


def test_names_are_long_and_sorted_and_the_last_of_a_repeated_one_counts():
    der = certificate(
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "first"),
        (NameOID.COUNTRY_NAME, "US"),
        (x509.ObjectIdentifier("1.2.3.4"), "x"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "last"),
    )
    names = SigningCertificate(der).describe()["IssuerName"]

    assert [("1.2.3.4", "x"), ("countryName", "US"), ("organizationalUnitName", "last")] == list(
        names.items()
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain 'text' ä 😀", "plain 'text' ä 😀"),
        ('say "hi"', "say \\hi\\"),
        ("back\\slash", "back\\\\slash"),
        ("tab\tline\nend\r", "tab\\tline\\nend\\r"),
        ("\x00\x01\x7f", "\\0\\u{1}\\u{7f}"),
        ("e\u0301\u202e\u00a0", "e\\u{301}\\u{202e}\\u{a0}"),
    ],
)
def test_value_is_written_as_by_rust_without_the_quotes(value, text):
    names = SigningCertificate(certificate((NameOID.COMMON_NAME, value))).describe()["IssuerName"]

    assert {"commonName": text} == names


def test_oddities_that_the_library_warns_of_are_read_in_silence():
    der = certificate((NameOID.COMMON_NAME, "n"))
    # A country that is no two letters, in the place of a common name of one.
    odd = der.replace(bytes.fromhex("0603550403"), bytes.fromhex("0603550406"))

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        issuer = SigningCertificate(odd).describe()["IssuerName"]

    assert ({"countryName": "n"}, []) == (issuer, seen)


def test_rsa_signature_is_named():
    der = certificate(key=RSA, digest=hashes.SHA256())

    assert "sha256WithRSAEncryption" == SigningCertificate(der).describe()["Algorithm"]


@pytest.mark.needs("openssl")
def test_names_of_identifiers_are_those_of_openssl():
    listed = subprocess.run(
        [shutil.which("openssl"), "list", "-objects"], capture_output=True, text=True, check=True
    )
    known = {}
    for line in listed.stdout.splitlines():
        names, _equals, rest = line.partition(" = ")
        long, _comma, identifier = rest.rpartition(", ")
        known[identifier] = long or names

    ours = ATTRIBUTES | ALGORITHMS
    assert ours == {identifier: known.get(identifier) for identifier in ours}


def test_identifier_without_a_name_stays_a_number():
    assert "1.2.3.4.5" == long_name("1.2.3.4.5")
