"""Strict reading of certificates: each case deviates from DER or from X.509 v3 in one place."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from nitrosim.attestation._der import Cursor, DerError
from nitrosim.attestation.certificate import P384_KEY_PREFIX, CertificateError, read_certificate
from thoroughness import examples


def parts_edit(part, value):
    return lambda forge: forge.edit("leaf", part, value)


def extension_edit(oid, value, *, critical=False):
    def edit(forge):
        rest = tuple(e for e in forge.levels["leaf"].extensions if bytes.fromhex(oid) not in e[:12])
        odd = forge.extension(oid, bytes.fromhex(value), critical=critical)
        return forge.change("leaf", extensions=(*rest, odd))

    return edit


def raw_extension(text):
    return lambda forge: forge.change(
        "leaf", extensions=(*forge.levels["leaf"].extensions, bytes.fromhex(text))
    )


def after(change):
    return lambda forge: forge.change("leaf", after=change)


def validity(begin, end):
    """Replace both times; each is (tag, text)."""

    def edit(forge):
        times = b"".join(forge.tlv(tag, text.encode()) for tag, text in (begin, end))
        return forge.edit("leaf", "validity", forge.tlv(0x30, times))

    return edit


GOOD = (0x17, "300601120000Z")

MALFORMED = {
    "byte after the certificate": after(lambda der: der + b"\0"),
    "cut short": after(lambda der: der[:-1]),
    "indefinite length": after(lambda der: b"\x30\x80" + der[4:] + b"\0\0"),
    "length of three octets": after(lambda der: b"\x30\x83\x00" + der[2:]),
    "another outer tag": after(lambda der: b"\x31" + der[1:]),
    "field after the signature": after(
        lambda der: b"\x30\x82" + (len(der) - 4 + 2).to_bytes(2, "big") + der[4:] + b"\x05\x00"
    ),
    "version missing": parts_edit("version", b""),
    "version 2": parts_edit("version", bytes.fromhex("a003020101")),
    "serial zero": parts_edit("serial", bytes.fromhex("020100")),
    "serial negative": parts_edit("serial", bytes.fromhex("0201ff")),
    "serial with a redundant octet": parts_edit("serial", bytes.fromhex("02020001")),
    "serial empty": parts_edit("serial", bytes.fromhex("0200")),
    "serial of 22 octets": parts_edit("serial", b"\x02\x16\x01" + bytes(21)),
    "subject with a set of nothing": parts_edit("subject", bytes.fromhex("30023100")),
    "subject attribute beyond its set": parts_edit(
        "subject", bytes.fromhex("300f310a300b06035504030c0461626364")
    ),
    "subject with a number": parts_edit("subject", bytes.fromhex("300c310a3008060355040302010a")),
    "subject not utf-8": parts_edit("subject", bytes.fromhex("300c310a300806035504030c01ff")),
    "subject not printable": parts_edit("subject", bytes.fromhex("300c310a30080603550403130140")),
    "subject attribute with more": parts_edit(
        "subject", bytes.fromhex("300e310c300a06035504030c01610500")
    ),
    "unique identifier": parts_edit("extensions", bytes.fromhex("8102ffff")),
    "no extensions": parts_edit("extensions", b""),
    "empty extensions": parts_edit("extensions", bytes.fromhex("a3023000")),
    "extension twice": raw_extension("300b0603551d0f0404030206c0"),
    "extension without a name": raw_extension("300406000400"),
    "extension name with padding": raw_extension("3007060355801d0400"),
    "extension name without an end": raw_extension("30070603551d8f0400"),
    "explicit default of critical": raw_extension("300b06032a0304010100040100"),
    "boolean that is 01": raw_extension("300b06032a0304010101040100"),
    "extension with more": raw_extension("300a06032a03040401000500"),
    "signature bit string empty": parts_edit("signature", bytes.fromhex("0300")),
    "signature with unused bits": parts_edit("signature", bytes.fromhex("0307013004020101020101")),
    "signature with a third number": parts_edit(
        "signature", bytes.fromhex("030c003009020101020101020101")
    ),
    "signature number with a redundant octet": parts_edit(
        "signature", bytes.fromhex("030a0030070202000102010100"[:-2])
    ),
    "signature with a byte after": parts_edit(
        "signature", bytes.fromhex("030a00300602010102010100")
    ),
    "basicConstraints explicit default": extension_edit("551d13", "3003010100", critical=True),
    "basicConstraints with a byte after": extension_edit("551d13", "300000", critical=True),
    "basicConstraints negative": extension_edit("551d13", "30060101ff0201ff", critical=True),
    "keyUsage empty": extension_edit("551d0f", "030100"),
    "keyUsage without bits": extension_edit("551d0f", "0300"),
    "keyUsage with trailing zeros": extension_edit("551d0f", "03020080"),
    "keyUsage with set unused bits": extension_edit("551d0f", "030206c1"),
    "keyUsage with nine unused bits": extension_edit("551d0f", "030209c0"),
    "keyUsage too long": extension_edit("551d0f", "030500c0000001"),
    "subject key id not a string": extension_edit("551d0e", "0500"),
    "authority key id with more": extension_edit("551d23", "3006810101830100"),
    "time without Z": validity((0x17, "3006011200000"), GOOD),
    "time with an offset": validity((0x17, "300601120000+0000"), GOOD),
    "time without seconds": validity((0x17, "3006011200Z"), GOOD),
    "time with a letter": validity((0x17, "30060112000xZ"), GOOD),
    "time with a sign": validity((0x17, "-00601120000Z"), GOOD),
    "time empty": validity((0x17, ""), GOOD),
    "month 13": validity((0x17, "301301120000Z"), GOOD),
    "30 February": validity((0x17, "300230120000Z"), GOOD),
    "hour 24": validity((0x17, "300601240000Z"), GOOD),
    "second 60": validity((0x17, "300601120060Z"), GOOD),
    "generalized time before 2050": validity(GOOD, (0x18, "20490601120000Z")),
    "generalized time with a fraction": validity(GOOD, (0x18, "20500601120000.5Z")),
    "time of another type": validity((0x0C, "300601120000Z"), GOOD),
    "one time": lambda forge: forge.edit(
        "leaf", "validity", forge.tlv(0x30, forge.tlv(0x17, b"300601120000Z"))
    ),
    "three times": lambda forge: forge.edit(
        "leaf", "validity", forge.tlv(0x30, forge.tlv(0x17, b"300601120000Z") * 3)
    ),
}


# What the reader must complain about: a case that fails for another reason proves nothing.
CLUES = {
    "byte after the certificate": "1 bytes left over",
    "cut short": "bytes at byte 0",
    "indefinite length": "length 80",
    "length of three octets": "length",
    "another outer tag": "tag 31",
    "field after the signature": "2 bytes left over",
    "version missing": "tag 02",
    "version 2": "a version other than v3",
    "serial zero": "a serial number that is not 1 to 21 octets, positive",
    "serial negative": "a serial number that is not 1 to 21 octets, positive",
    "serial with a redundant octet": "an integer with a redundant octet",
    "serial empty": "an integer without octets",
    "serial of 22 octets": "a serial number that is not 1 to 21 octets, positive",
    "subject with a set of nothing": "the end",
    "subject attribute beyond its set": "a name attribute of another length than it says",
    "subject with a number": "a name of type 02",
    "subject not utf-8": "a name that is not utf-8",
    "subject not printable": "a PrintableString with other characters",
    "subject attribute with more": "a name attribute of another length than it says",
    "unique identifier": "tag 81",
    "no extensions": "the end",
    "empty extensions": "an empty list of extensions",
    "extension twice": "an extension twice",
    "extension without a name": "an object identifier without an end",
    "extension name with padding": "an object identifier with padding",
    "extension name without an end": "an object identifier without an end",
    "explicit default of critical": "an explicit default",
    "boolean that is 01": "a boolean that is neither 00 nor ff",
    "extension with more": "2 bytes left over",
    "signature bit string empty": "a signature BIT STRING that is empty or has unused bits",
    "signature with unused bits": "a signature BIT STRING that is empty or has unused bits",
    "signature with a third number": "3 bytes left over",
    "signature number with a redundant octet": "an integer with a redundant octet",
    "signature with a byte after": "1 bytes left over",
    "basicConstraints explicit default": "an explicit default in basicConstraints",
    "basicConstraints with a byte after": "1 bytes left over",
    "basicConstraints negative": "a negative pathLenConstraint",
    "keyUsage empty": "a keyUsage BIT STRING of odd size",
    "keyUsage without bits": "a keyUsage BIT STRING of odd size",
    "keyUsage with trailing zeros": "a keyUsage BIT STRING with trailing zero bits",
    "keyUsage with set unused bits": "a keyUsage BIT STRING with trailing zero bits",
    "keyUsage with nine unused bits": "a keyUsage BIT STRING of odd size",
    "keyUsage too long": "a keyUsage BIT STRING of odd size",
    "subject key id not a string": "tag 05",
    "authority key id with more": "6 bytes left over",
    "time without Z": "a time that is not digits and Z",
    "time with an offset": "a time that is not digits and Z",
    "time without seconds": "a time that is not digits and Z",
    "time with a letter": "a time that is not digits and Z",
    "time with a sign": "a time that is not digits and Z",
    "time empty": "a time that is not digits and Z",
    "month 13": "a time that does not exist",
    "30 February": "a time that does not exist",
    "hour 24": "a time that does not exist",
    "second 60": "a time that does not exist",
    "generalized time before 2050": "a GeneralizedTime before 2050",
    "generalized time with a fraction": "a time that is not digits and Z",
    "time of another type": "tag 0c",
    "one time": "the end",
    "three times": "15 bytes left over",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_certificates_are_refused(forge, case):
    with pytest.raises(CertificateError, match=re.escape(CLUES[case])):
        read_certificate(MALFORMED[case](forge).chain()[-1])


def test_cases_start_from_a_certificate_that_is_accepted(forge):
    assert (
        f"{forge.module}.{forge.region}.corpus.test"
        == read_certificate(forge.chain()[-1]).common_name
    )


@pytest.mark.parametrize(
    ("begin", "end", "years"),
    [
        ((0x17, "500101000000Z"), (0x17, "491231235959Z"), (1950, 2049)),
        ((0x17, "000229000000Z"), (0x18, "99991231235959Z"), (2000, 9999)),
    ],
)
def test_times_at_the_edges(forge, begin, end, years):
    certificate = read_certificate(validity(begin, end)(forge).chain()[-1])

    assert years == (certificate.begins.year, certificate.ends.year)


def assert_same_reading(der):
    """Compare every field with what the cryptography package reads."""
    ours, theirs = read_certificate(der), x509.load_der_x509_certificate(der)

    assert theirs.serial_number == ours.serial
    assert theirs.issuer.public_bytes() == ours.issuer
    assert theirs.subject.public_bytes() == ours.subject
    assert theirs.not_valid_before_utc == ours.begins
    assert theirs.not_valid_after_utc == ours.ends
    assert theirs.tbs_certificate_bytes == ours.signed
    attributes = [(a.oid.dotted_string.split(".")[-1], a.value) for a in theirs.subject]
    assert attributes == [(str(oid[-1]), text) for oid, text in ours.names]
    extensions = theirs.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (ours.is_ca, ours.path_length)
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature == bool(ours.key_usage & 0x80)
    assert usage.key_cert_sign == bool(ours.key_usage & 0x04)
    identifiers = {e.oid.dotted_string: e for e in extensions}
    subject = identifiers.get("2.5.29.14")
    authority = identifiers.get("2.5.29.35")
    assert (subject.value.digest if subject else None) == ours.subject_key_id
    assert (authority.value.key_identifier if authority else None) == ours.authority_key_id
    assert [e.critical for e in extensions] == [c for c, _ in ours.extensions.values()]


def test_the_forge_is_read_as_another_implementation_reads_it(forge):
    for der in forge.chain():
        assert_same_reading(der)


def test_real_certificates_are_read_as_another_implementation_reads_them(real_docs):
    from nitrosim.attestation import read_unverified  # noqa: PLC0415 - only for this test

    seen = set()
    for path in real_docs.glob("*.cbor"):
        claims = read_unverified(path.read_bytes()).claims
        seen.update((*claims.cabundle, claims.certificate))
    for der in seen:
        assert_same_reading(der)

    assert len(seen) > 30


@settings(
    deadline=None,
    derandomize=True,
    max_examples=examples(400),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_whatever_is_accepted_another_implementation_accepts(forge, data):
    good = forge.chain()[data.draw(st.integers(0, 4))]
    der = bytearray(good)
    at = data.draw(st.integers(0, len(der) - 1))
    der[at] ^= data.draw(st.integers(1, 255))
    try:
        ours = read_certificate(bytes(der))
    except CertificateError:
        return
    # These three stay raw here: later steps compare them byte for byte with what they must be.
    fixed = read_certificate(good)
    for part in ("issuer", "inner_algorithm", "outer_algorithm"):
        assume(getattr(fixed, part) == getattr(ours, part))
    assume(ours.key_info.startswith(P384_KEY_PREFIX))
    theirs = x509.load_der_x509_certificate(bytes(der))

    assert theirs.serial_number == ours.serial
    assert theirs.not_valid_after_utc == ours.ends


@pytest.mark.needs("openssl")
def test_our_chain_is_accepted_by_openssl(forge, tmp_path):
    root, *middle, leaf = (
        x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in forge.chain()
    )
    for name, content in (("root", root), ("middle", b"".join(middle)), ("leaf", leaf)):
        (tmp_path / name).write_bytes(content)
    at = str(int(forge.now.timestamp()))
    done = subprocess.run(
        ["openssl", "verify", "-attime", at, "-CAfile", "root", "-untrusted", "middle", "leaf"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )

    assert "leaf: OK\n" == done.stdout, done.stderr


def test_a_cursor_does_not_leave_its_container():
    inner = Cursor(bytes.fromhex("3003020101020102")).enter(0x30)

    assert 1 == inner.integer()
    with pytest.raises(DerError):
        inner.integer()


def test_times_are_utc(forge):
    assert read_certificate(forge.chain()[-1]).ends == datetime(2026, 6, 1, 15, tzinfo=UTC)
