"""The form of a certificate: size, DER, version and serial number."""

from __future__ import annotations

from forgery import chains, der
from forgery.case import Made, accept, refuse
from forgery.cases._edits import (
    UNKNOWN,
    add,
    bits,
    elements,
    numbers,
    retagged,
    seal,
    sign_again,
    stretched,
)
from forgery.forge import Forge

# Size


@refuse("CERTIFICATE_SIZE", "der-strictness")
def empty(forge: Forge) -> Made:
    """The certificate field holds an empty byte string."""
    return forge.document(certificate=b"")


@refuse("CERTIFICATE_SIZE", "der-strictness", weight="should")
def empty_in_the_bundle(forge: Forge) -> Made:
    """A fifth entry of the bundle is an empty byte string."""
    return forge.document(cabundle=[*forge.chain()[:-1], b""])


@refuse("CERTIFICATE_SIZE", "limits", weight="should")
def of_1025_bytes(forge: Forge) -> Made:
    """The leaf has 1025 bytes, one more than AWS says a certificate may have."""
    return _of_size(forge, 1025).document()


@accept("field-sizes", weight="should")
def of_1024_bytes(forge: Forge) -> Made:
    """The leaf has 1024 bytes, as many as AWS says a certificate may have."""
    return _of_size(forge, 1024).document()


def _of_size(forge: Forge, size: int) -> Forge:
    plan = forge.levels["leaf"].extensions
    # The length of a signature changes by a byte or two with what it covers.
    for fill in range(256):
        for missing in range(300, 400):
            padding = der.extension(UNKNOWN, bytes([fill]) * missing)
            forge.change("leaf", extensions=(*plan, padding))
            length = len(chains.chain({k: forge.levels[k] for k in ("instance", "leaf")})[-1])
            if length == size:
                return forge
            if length > size:
                break
    raise ValueError(f"no leaf of {size} bytes")


# DER


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def byte_after(forge: Forge) -> Made:
    """A byte follows the leaf inside its field."""
    return forge.document(certificate=forge.chain()[-1] + b"\0")


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def byte_after_in_the_bundle(forge: Forge) -> Made:
    """A byte follows the zonal certificate inside its entry of the bundle."""
    root, regional, zonal, instance, _ = forge.chain()
    return forge.document(cabundle=[root, regional, zonal + b"\0", instance])


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def cut_short(forge: Forge) -> Made:
    """The last byte of the leaf is missing."""
    return forge.document(certificate=forge.chain()[-1][:-1])


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def field_after_the_signature(forge: Forge) -> Made:
    """The outer sequence of the leaf has a fourth element, a NULL, which nobody has signed."""
    return forge.change(
        "leaf", after=lambda made: der.tlv(0x30, der.content(made), b"\x05\0")
    ).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def length_indefinite(forge: Forge) -> Made:
    """The outer sequence of the leaf has indefinite length, which is BER."""
    return forge.change(
        "leaf", after=lambda made: b"\x30\x80" + der.content(made) + b"\0\0"
    ).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def length_long(forge: Forge) -> Made:
    """The outer length of the leaf is written in three octets where two are enough."""
    return forge.change("leaf", after=stretched).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def length_long_signed_part(forge: Forge) -> Made:
    """The length of tbsCertificate is written in three octets, and is signed like that."""
    return sign_again(forge, "leaf", stretched).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def length_long_serial(forge: Forge) -> Made:
    """The length of the serial number is written in two octets where one is enough."""
    serial = forge.integer(forge.levels["leaf"].serial)
    return forge.edit("leaf", "serial", stretched(serial)).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def length_long_subject(forge: Forge) -> Made:
    """The length of the leaf's subject is written in more octets than needed."""
    return forge.edit(
        "leaf",
        "subject",
        stretched(forge.name(forge.levels["leaf"].subject, forge.levels["leaf"].order)),
    ).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def length_long_extension(forge: Forge) -> Made:
    """The length of an extension is written in two octets where one is enough."""
    return add(forge, "leaf", stretched(forge.extension(UNKNOWN, b"\x05\0"))).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def length_long_signature(forge: Forge) -> Made:
    """The length of the signature's BIT STRING is written in two octets where one is enough."""
    return seal(forge, "leaf", lambda r, s: stretched(bits(numbers(r, s)))).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def tag_set(forge: Forge) -> Made:
    """The outermost element of the leaf is a SET instead of a SEQUENCE."""
    return forge.change("leaf", after=lambda made: retagged(made, 0x31)).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def tag_set_signed_part(forge: Forge) -> Made:
    """tbsCertificate is a SET instead of a SEQUENCE, and is signed like that."""
    return sign_again(forge, "leaf", lambda signed: retagged(signed, 0x31)).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def tag_enumerated_serial(forge: Forge) -> Made:
    """The serial number is an ENUMERATED instead of an INTEGER."""
    serial = forge.integer(forge.levels["leaf"].serial)
    return forge.edit("leaf", "serial", retagged(serial, 0x0A)).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def tag_octet_string_signature(forge: Forge) -> Made:
    """The signature is an OCTET STRING instead of a BIT STRING."""
    return seal(forge, "leaf", lambda r, s: retagged(bits(numbers(r, s)), 0x04)).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def tag_primitive_signed_part(forge: Forge) -> Made:
    """tbsCertificate has the tag 10, a SEQUENCE that is not constructed."""
    return sign_again(forge, "leaf", lambda signed: retagged(signed, 0x10)).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def element_after_extensions(forge: Forge) -> Made:
    """A NULL follows the extensions at the end of tbsCertificate."""
    return sign_again(
        forge, "leaf", lambda signed: der.tlv(0x30, der.content(signed), b"\x05\0")
    ).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def unique_identifier(forge: Forge) -> Made:
    """The leaf has an issuerUniqueID, which RFC 5280 says must not be generated."""

    def change(signed: bytes) -> bytes:
        *fields, extensions = elements(der.content(signed))
        return der.tlv(0x30, *fields, bytes.fromhex("810200ff"), extensions)

    return sign_again(forge, "leaf", change).document()


# Version and serial number


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def version_1(forge: Forge) -> Made:
    """The version is left out, which means v1, although there are extensions."""
    return forge.edit("leaf", "version", b"").document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def version_1_in_the_bundle(forge: Forge) -> Made:
    """The instance CA is a v1 certificate without extensions: nothing says that it is a CA."""
    return forge.change(
        "instance", edit=lambda parts: parts.update(version=b"", extensions=b"")
    ).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def version_2(forge: Forge) -> Made:
    """The version is v2, which has no extensions, although there are some."""
    return forge.edit("leaf", "version", bytes.fromhex("a003020101")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def version_4(forge: Forge) -> Made:
    """The version is v4, which does not exist."""
    return forge.edit("leaf", "version", bytes.fromhex("a003020103")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def version_with_a_redundant_octet(forge: Forge) -> Made:
    """The version is v3, written in two octets."""
    return forge.edit("leaf", "version", bytes.fromhex("a00402020002")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def serial_zero(forge: Forge) -> Made:
    """The serial number is zero; RFC 5280 wants a positive one."""
    return forge.edit("leaf", "serial", bytes.fromhex("020100")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def serial_negative(forge: Forge) -> Made:
    """The serial number is negative: its leading zero octet was forgotten."""
    return forge.edit("leaf", "serial", bytes.fromhex("0204998bc571")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def serial_with_a_redundant_octet(forge: Forge) -> Made:
    """The serial number begins with a zero octet that it does not need."""
    return forge.edit("leaf", "serial", bytes.fromhex("02050019bc571f")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def serial_without_octets(forge: Forge) -> Made:
    """The serial number is an INTEGER of no octets."""
    return forge.edit("leaf", "serial", bytes.fromhex("0200")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def serial_of_22_octets(forge: Forge) -> Made:
    """The serial number has 22 octets; AWS's have at most 21, RFC 5280 allows 20."""
    return forge.edit("leaf", "serial", b"\x02\x16\x01" + forge.random("serial", 21)).document()


@accept("real-profile")
def serial_of_21_octets(forge: Forge) -> Made:
    """The instance CA has a serial number of 160 random bits: 21 octets, as two of three real ones.

    RFC 5280 allows 20.
    """
    return forge.change("instance", serial=forge.levels["instance"].serial | 1 << 159).document()


@accept("real-profile")
def serial_of_20_octets(forge: Forge) -> Made:
    """The instance CA has a serial number of 20 octets, as one of three real ones."""
    serial = forge.levels["instance"].serial & ~(1 << 159) | 1 << 158
    return forge.change("instance", serial=serial).document()


@accept("real-profile", weight="should")
def serial_of_one_octet(forge: Forge) -> Made:
    """The zonal CA has the serial number 1."""
    return forge.change("zonal", serial=1).document()
