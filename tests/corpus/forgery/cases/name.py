"""Names and how certificates are chained by them, and names that must agree with the module."""

from __future__ import annotations

from forgery import der
from forgery.case import Made, accept, judged, refuse
from forgery.cases._edits import elements, stretched
from forgery.forge import Forge

# Form


def _subject(forge: Forge) -> bytes:
    leaf = forge.levels["leaf"]
    return forge.name(leaf.subject, leaf.order)


def _attribute(oid: str, value: bytes) -> bytes:
    return der.tlv(0x30, der.tlv(0x06, bytes.fromhex(oid)), value)


def _with_attribute(forge: Forge, attribute_set: bytes) -> Made:
    """Put something before the attributes of the leaf's name; its CN stays what it is."""
    name = der.tlv(0x30, attribute_set, der.content(_subject(forge)))
    return forge.edit("leaf", "subject", name).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def with_an_empty_set(forge: Forge) -> Made:
    """The leaf's name begins with a SET of no attributes."""
    return _with_attribute(forge, bytes.fromhex("3100"))


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def attribute_beyond_its_set(forge: Forge) -> Made:
    """An attribute of the leaf's name is longer than the SET around it."""
    return _with_attribute(forge, bytes.fromhex("310a300b060355040b0c0461626364"))


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def with_a_number(forge: Forge) -> Made:
    """An attribute of the leaf's name is an INTEGER."""
    return _with_attribute(forge, der.tlv(0x31, _attribute("55040b", b"\x02\x01\x0a")))


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def not_utf8(forge: Forge) -> Made:
    """A UTF8String in the leaf's name is not UTF-8."""
    return _with_attribute(forge, der.tlv(0x31, _attribute("55040b", b"\x0c\x01\xff")))


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def not_printable(forge: Forge) -> Made:
    """A PrintableString in the leaf's name has a character that it cannot have."""
    return _with_attribute(forge, der.tlv(0x31, _attribute("55040b", b"\x13\x01@")))


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def attribute_with_more(forge: Forge) -> Made:
    """An attribute of the leaf's name has a third element."""
    return _with_attribute(forge, der.tlv(0x31, _attribute("55040b", b"\x0c\x01a\x05\0")))


@accept("real-profile", weight="should")
def in_bmp_strings(forge: Forge) -> Made:
    """The leaf's name has an attribute in UTF-16; only byte equality of names matters."""
    text = der.tlv(0x1E, "nitro".encode("utf-16-be"))
    return _with_attribute(forge, der.tlv(0x31, _attribute("55040b", text)))


# Chaining


@refuse("ISSUER_MISMATCH", "bundle-order", weight="should")
def issuer_in_another_string_type(forge: Forge) -> Made:
    """The leaf writes its issuer's CN as a PrintableString, the issuer itself as a UTF8String."""
    plan = forge.levels["instance"]
    name = forge.name(plan.subject, plan.order)
    at = name.index(plan.subject.encode()) - 2
    return forge.edit("leaf", "issuer", name[:at] + b"\x13" + name[at + 1 :]).document()


@refuse("ISSUER_MISMATCH", "bundle-order", weight="should")
def issuer_in_another_case(forge: Forge) -> Made:
    """The leaf writes its issuer's CN in capital letters; RFC 5280 calls that the same name."""
    plan = forge.levels["instance"]
    return forge.edit("leaf", "issuer", forge.name(plan.subject.upper(), plan.order)).document()


@refuse("ISSUER_MISMATCH", "bundle-order", weight="should")
def issuer_with_a_space(forge: Forge) -> Made:
    """The leaf writes its issuer's CN with a space behind it, which a liberal comparison drops."""
    plan = forge.levels["instance"]
    return forge.edit("leaf", "issuer", forge.name(f"{plan.subject} ", plan.order)).document()


@refuse("ISSUER_MISMATCH", "bundle-order")
def issuer_in_another_order(forge: Forge) -> Made:
    """The leaf names the attributes of its issuer in another order, which makes another name."""
    plan = forge.levels["instance"]
    order = " ".join(reversed(plan.order.split()))
    return forge.edit("leaf", "issuer", forge.name(plan.subject, order)).document()


@refuse("ISSUER_MISMATCH", "bundle-order")
def issuer_another_one(forge: Forge) -> Made:
    """The zonal certificate, signed by the regional CA, names the root as its issuer."""
    root = forge.levels["root"]
    return forge.edit("zonal", "issuer", forge.name(root.subject, root.order)).document()


@refuse("ISSUER_MISMATCH", "bundle-order")
def issuer_empty(forge: Forge) -> Made:
    """The leaf names no issuer: the name is an empty sequence."""
    return forge.edit("leaf", "issuer", b"\x30\x00").document()


@refuse("ISSUER_MISMATCH", "bundle-order")
def issuer_is_itself(forge: Forge) -> Made:
    """The leaf, signed by the instance CA, names itself as its issuer."""
    leaf = forge.levels["leaf"]
    return forge.edit("leaf", "issuer", forge.name(leaf.subject, leaf.order)).document()


@refuse("ISSUER_MISMATCH", "der-strictness", weight="should")
def issuer_length_long(forge: Forge) -> Made:
    """The length of the leaf's issuer is written longer inside the name; the text is the same."""
    plan = forge.levels["instance"]
    name = forge.name(plan.subject, plan.order)
    first, *rest = elements(der.content(name))
    return forge.edit("leaf", "issuer", der.tlv(0x30, stretched(first), *rest)).document()


# Names and the module


@refuse("IDENTITY_MISMATCH", "mixed-identity", weight="should")
def module_of_another_enclave(forge: Forge) -> Made:
    """module_id is that of another enclave of the same instance than the leaf's."""
    return forge.document(module_id=_next(forge.module))


@accept("mixed-identity", weight="should")
def module_of_another_enclave_not_strict(forge: Forge) -> Made:
    """As module-of-another-enclave; a verifier that does not compare names accepts it."""
    return judged(forge.document(module_id=_next(forge.module)), strict=False)


@refuse("IDENTITY_MISMATCH", "mixed-identity", weight="should")
def module_longer_than_its_prefix(forge: Forge) -> Made:
    """The leaf's name begins with module_id, but its own module_id is one digit longer."""
    leaf = forge.levels["leaf"].subject.replace(forge.module, f"{forge.module}0")
    return forge.change("leaf", subject=leaf).document()


@refuse("IDENTITY_MISMATCH", "mixed-identity", weight="should")
def leaf_without_a_common_name(forge: Forge) -> Made:
    """The leaf's name has no CN."""
    order = forge.levels["leaf"].order.removesuffix(" CN")
    return forge.change("leaf", order=order).document()


@refuse("IDENTITY_MISMATCH", "mixed-identity", weight="should")
def instance_of_another_parent(forge: Forge) -> Made:
    """The instance CA bears the id of another instance than module_id and the leaf."""
    subject = forge.levels["instance"].subject.replace(forge.instance, _next(forge.instance))
    return forge.change("instance", subject=subject).document()


@refuse("IDENTITY_MISMATCH", "mixed-identity", weight="should")
def instance_longer_than_its_prefix(forge: Forge) -> Made:
    """The id in the instance CA's name only begins like the one in module_id."""
    subject = forge.levels["instance"].subject.replace(forge.instance, f"{forge.instance}0")
    return forge.change("instance", subject=subject).document()


@refuse("IDENTITY_MISMATCH", "mixed-identity", weight="should")
def leaf_in_another_region(forge: Forge) -> Made:
    """The leaf names another region than the CAs above it."""
    subject = forge.levels["leaf"].subject.replace(forge.region, "us-east-1")
    return forge.change("leaf", subject=subject).document()


@refuse("IDENTITY_MISMATCH", "mixed-identity", weight="should")
def zone_in_another_region(forge: Forge) -> Made:
    """The zonal CA names another region than the other certificates."""
    subject = forge.levels["zonal"].subject.replace(forge.region, "us-east-1")
    return forge.change("zonal", subject=subject).document()


@refuse("IDENTITY_MISMATCH", "mixed-identity", weight="should")
def regional_in_another_region(forge: Forge) -> Made:
    """The regional CA names another region than the other certificates."""
    subject = forge.levels["regional"].subject.replace(forge.region, "us-east-1")
    return forge.change("regional", subject=subject).document()


@refuse("IDENTITY_MISMATCH", "mixed-identity", weight="should")
def pcr4_of_another_parent(forge: Forge) -> Made:
    """PCR4 is the measurement of another instance id than the one in module_id."""
    return forge.document(pcrs=forge.pcrs() | {4: forge.pcr(_next(forge.instance).encode())})


@refuse("IDENTITY_MISMATCH", "mixed-identity", weight="should")
def pcr4_absent(forge: Forge) -> Made:
    """PCR4, the measurement of the instance's id, is not in the document."""
    pcrs = forge.pcrs()
    del pcrs[4]
    return forge.document(pcrs=pcrs)


def _next(identifier: str) -> str:
    """Change the last digit of an id."""
    return identifier[:-1] + f"{(int(identifier[-1], 16) + 1) % 16:x}"
