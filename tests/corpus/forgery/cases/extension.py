"""Extensions of certificates: how the list, each one, and the two that decide are written."""

from __future__ import annotations

from forgery import chains, der
from forgery.case import Made, refuse
from forgery.cases._edits import (
    BASIC_CONSTRAINTS,
    KEY_USAGE,
    add,
)
from forgery.forge import Forge

# The list


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def none_at_all(forge: Forge) -> Made:
    """The leaf has no extensions: neither basicConstraints nor keyUsage."""
    return forge.edit("leaf", "extensions", b"").document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def empty_list(forge: Forge) -> Made:
    """The leaf has a list of extensions with nothing in it."""
    return forge.edit("leaf", "extensions", bytes.fromhex("a3023000")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def two_lists(forge: Forge) -> Made:
    """A second, empty list of extensions follows the first inside its wrapper."""
    both = der.tlv(0xA3, der.tlv(0x30, *forge.levels["leaf"].extensions), bytes.fromhex("3000"))
    return forge.edit("leaf", "extensions", both).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def twice(forge: Forge) -> Made:
    """The leaf has keyUsage twice, with the same value."""
    return add(forge, "leaf", chains.KEY_USAGE_LEAF).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "ca-constraints")
def basic_constraints_twice(forge: Forge) -> Made:
    """The instance CA has basicConstraints twice: with path length 0, and without any."""
    return add(forge, "instance", forge.basic_constraints(None)).document()


# One extension


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def without_a_name(forge: Forge) -> Made:
    """An extension's object identifier has no octets."""
    return add(forge, "leaf", bytes.fromhex("300406000400")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def name_with_padding(forge: Forge) -> Made:
    """basicConstraints for a CA stands in the leaf under a name with a padding octet.

    A liberal reader takes it for the real name, another one for an unknown extension.
    """
    padded = der.tlv(
        0x30, bytes.fromhex("060455801d13"), der.tlv(0x04, bytes.fromhex("30030101ff"))
    )
    return add(forge, "leaf", padded).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def name_without_an_end(forge: Forge) -> Made:
    """An extension's object identifier ends in the middle of a number."""
    return add(forge, "leaf", bytes.fromhex("30070603551d8f0400")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def critical_false(forge: Forge) -> Made:
    """An extension says that it is not critical, the default, which DER leaves out."""
    return add(forge, "leaf", bytes.fromhex("300c06032a030401010004020500")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "critical-extension")
def critical_01(forge: Forge) -> Made:
    """An unknown extension is critical by the octet 01, which is true in BER and nothing in DER."""
    return add(forge, "leaf", bytes.fromhex("300c06032a030401010104020500")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "critical-extension")
def critical_of_two_octets(forge: Forge) -> Made:
    """An unknown extension is critical by a BOOLEAN of two octets."""
    return add(forge, "leaf", bytes.fromhex("300d06032a03040102ffff04020500")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "critical-extension")
def critical_after_the_value(forge: Forge) -> Made:
    """An unknown extension says behind its value that it is critical."""
    return add(forge, "leaf", bytes.fromhex("300c06032a0304040205000101ff")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def with_more(forge: Forge) -> Made:
    """A NULL follows the value inside an extension."""
    return add(forge, "leaf", bytes.fromhex("300b06032a0304040205000500")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def value_not_an_octet_string(forge: Forge) -> Made:
    """An extension's value is a BIT STRING."""
    return add(forge, "leaf", bytes.fromhex("300a06032a03040303000500")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def of_type_set(forge: Forge) -> Made:
    """An extension is a SET instead of a SEQUENCE."""
    return add(forge, "leaf", bytes.fromhex("310906032a030404020500")).document()


# basicConstraints


def _constraints(forge: Forge, level: str, value: str) -> Made:
    odd = forge.extension(BASIC_CONSTRAINTS, bytes.fromhex(value), critical=True)
    return forge.extend(level, odd).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def constraints_ca_false(forge: Forge) -> Made:
    """The leaf says that it is no CA, the default, which DER leaves out."""
    return _constraints(forge, "leaf", "3003010100")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def constraints_ca_01(forge: Forge) -> Made:
    """The instance CA is a CA by the octet 01, which is true in BER and nothing in DER."""
    return _constraints(forge, "instance", "3006010101020100")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "ca-constraints")
def constraints_ca_a_number(forge: Forge) -> Made:
    """The leaf has an ENUMERATED where a BOOLEAN would say that it is a CA."""
    return _constraints(forge, "leaf", "30030a01ff")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def constraints_byte_after(forge: Forge) -> Made:
    """A byte follows the sequence inside the leaf's basicConstraints."""
    return _constraints(forge, "leaf", "300000")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def constraints_element_after(forge: Forge) -> Made:
    """A third element follows the path length of the instance CA."""
    return _constraints(forge, "instance", "30080101ff0201000500")


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def constraints_empty_value(forge: Forge) -> Made:
    """The value of the leaf's basicConstraints has no octets."""
    return _constraints(forge, "leaf", "")


@refuse("CERTIFICATE_MALFORMED", "ca-constraints")
def path_length_negative(forge: Forge) -> Made:
    """The path length of the zonal CA is -1."""
    return _constraints(forge, "zonal", "30060101ff0201ff")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def path_length_with_a_redundant_octet(forge: Forge) -> Made:
    """The path length of the instance CA, zero, is written in two octets."""
    return _constraints(forge, "instance", "30070101ff02020000")


@refuse("CERTIFICATE_MALFORMED", "ca-constraints", weight="should")
def path_length_without_octets(forge: Forge) -> Made:
    """The path length of the instance CA is an INTEGER of no octets."""
    return _constraints(forge, "instance", "30050101ff0200")


# keyUsage


def _usage(forge: Forge, bit_string: str) -> Made:
    return forge.extend("leaf", forge.extension(KEY_USAGE, bytes.fromhex(bit_string))).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def usage_empty(forge: Forge) -> Made:
    """The leaf's keyUsage has no bits."""
    return _usage(forge, "030100")


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def usage_without_octets(forge: Forge) -> Made:
    """The leaf's keyUsage is a BIT STRING of no octets."""
    return _usage(forge, "0300")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def usage_with_trailing_zeros(forge: Forge) -> Made:
    """The leaf's keyUsage has zero bits at its end, which DER leaves out."""
    return _usage(forge, "030200c0")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def usage_with_unused_bits_set(forge: Forge) -> Made:
    """A bit that is not used is set in the leaf's keyUsage."""
    return _usage(forge, "030206c1")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def usage_with_nine_unused_bits(forge: Forge) -> Made:
    """Nine bits of the last octet of the leaf's keyUsage are not used, although it has eight."""
    return _usage(forge, "030209c0")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def usage_too_long(forge: Forge) -> Made:
    """The leaf's keyUsage has 32 bits; nine are defined."""
    return _usage(forge, "030500c0000001")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def usage_with_a_byte_after(forge: Forge) -> Made:
    """A byte follows the BIT STRING inside the leaf's keyUsage."""
    return _usage(forge, "030206c000")
