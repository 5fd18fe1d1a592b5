"""Who may issue what: basicConstraints, path lengths and keyUsage along the chain."""

from __future__ import annotations

from dataclasses import replace

from forgery import chains, der
from forgery.case import Made, accept, judged, refuse
from forgery.cases._edits import BASIC_CONSTRAINTS, KEY_USAGE, insert, rekey
from forgery.forge import Forge

# CA or not


@refuse("NOT_A_CA", "ca-constraints")
def leaf_issues_another_leaf(forge: Forge) -> Made:
    """An enclave's own leaf issues a second one, for the same module: anybody's key could.

    The verifier does not compare names, so nothing else is wrong.
    """
    forge.levels["second"] = replace(
        forge.levels["leaf"], key=forge.key_number(f"{forge.label}/second")
    )
    *bundle, second = forge.chain()
    payload = forge.payload(certificate=second, cabundle=bundle)
    signature = forge.sign(payload, key=forge.levels["second"].key)
    return judged(forge.document(payload, signature=signature), strict=False)


@refuse("NOT_A_CA", "ca-constraints")
def instance_without_basic_constraints(forge: Forge) -> Made:
    """The instance CA has no basicConstraints; its keyUsage allows it to sign certificates."""
    return forge.without("instance", BASIC_CONSTRAINTS).document()


@refuse("NOT_A_CA", "ca-constraints")
def instance_not_a_ca(forge: Forge) -> Made:
    """The instance CA's basicConstraints say that it is no CA."""
    return forge.extend("instance", chains.NOT_A_CA).document()


@refuse("NOT_A_CA", "ca-constraints")
def zonal_not_a_ca(forge: Forge) -> Made:
    """The zonal CA's basicConstraints say that it is no CA."""
    return forge.extend("zonal", chains.NOT_A_CA).document()


@refuse("NOT_A_CA", "ca-constraints")
def regional_not_a_ca(forge: Forge) -> Made:
    """The regional CA's basicConstraints say that it is no CA."""
    return forge.extend("regional", chains.NOT_A_CA).document()


@refuse("NOT_A_CA", "ca-constraints", weight="should")
def root_not_a_ca(forge: Forge) -> Made:
    """The trusted root's basicConstraints say that it is no CA."""
    return forge.extend("root", chains.NOT_A_CA).trust_own_root().document()


@refuse("NOT_A_CA", "ca-constraints", weight="should")
def basic_constraints_not_critical(forge: Forge) -> Made:
    """The zonal CA's basicConstraints are right and not critical; RFC 5280 wants them to be."""
    value = der.tlv(0x30, b"\x01\x01\xff", forge.integer(1))
    return forge.extend("zonal", forge.extension(BASIC_CONSTRAINTS, value)).document()


@refuse("LEAF_IS_CA", "ca-constraints", weight="should")
def leaf_is_a_ca(forge: Forge) -> Made:
    """The leaf says that it is a CA."""
    return forge.extend("leaf", forge.basic_constraints(None)).document()


@refuse("LEAF_IS_CA", "ca-constraints", weight="should")
def leaf_with_a_path_length(forge: Forge) -> Made:
    """The leaf is no CA and has a path length all the same."""
    value = der.tlv(0x30, forge.integer(0))
    return forge.extend("leaf", forge.extension(BASIC_CONSTRAINTS, value, critical=True)).document()


@refuse("LEAF_IS_CA", "ca-constraints", weight="should")
def document_signed_by_the_instance_ca(forge: Forge) -> Made:
    """The instance CA stands in the leaf's place and has signed the document itself.

    Its keyUsage is digitalSignature, and names are not compared: nothing else is wrong.
    """
    usage = forge.extension(KEY_USAGE, bytes.fromhex("03020780"), critical=True)
    forge.extend("instance", usage)
    del forge.levels["leaf"]
    payload = forge.payload()
    signature = forge.sign(payload, key=forge.levels["instance"].key)
    return judged(forge.document(payload, signature=signature), strict=False)


@accept("real-profile", weight="should")
def leaf_without_basic_constraints(forge: Forge) -> Made:
    """The leaf has no basicConstraints, which means that it is no CA."""
    return forge.without("leaf", BASIC_CONSTRAINTS).document()


# Path lengths


@refuse("PATH_LENGTH", "ca-constraints", weight="should")
def path_length_of_the_root(forge: Forge) -> Made:
    """The trusted root has path length 2, and there are three CAs below it."""
    return forge.extend("root", forge.basic_constraints(2)).trust_own_root().document()


@refuse("PATH_LENGTH", "ca-constraints")
def path_length_of_the_regional(forge: Forge) -> Made:
    """The regional CA has path length 1, and there are two CAs below it."""
    return forge.extend("regional", forge.basic_constraints(1)).document()


@refuse("PATH_LENGTH", "ca-constraints")
def path_length_of_the_zonal(forge: Forge) -> Made:
    """The zonal CA has path length 0, and there is a CA below it."""
    return forge.extend("zonal", forge.basic_constraints(0)).document()


@refuse("PATH_LENGTH", "ca-constraints")
def path_length_of_the_instance(forge: Forge) -> Made:
    """The instance CA, with path length 0, issues another CA, and that one issues the leaf.

    All path lengths above it are wide enough.
    """
    forge.extend("regional", forge.basic_constraints(3))
    forge.extend("zonal", forge.basic_constraints(2))
    return insert(forge, "instance", "another", subject=f"{_instance(forge)}.another").document()


@accept("ca-constraints", weight="should")
def path_length_beyond_64_bits(forge: Forge) -> Made:
    """The zonal CA has the path length 2^64, which is more than enough and not zero."""
    return forge.extend("zonal", forge.basic_constraints(1 << 64)).document()


@accept("ca-constraints", weight="should")
def path_length_absent(forge: Forge) -> Made:
    """No CA has a path length: none is limited."""
    for level in ("regional", "zonal", "instance"):
        forge.extend(level, forge.basic_constraints(None))
    return forge.document()


@accept("ca-constraints", weight="should")
def path_length_exhausted_by_six(forge: Forge) -> Made:
    """A fourth CA stands between instance and leaf, and all path lengths allow it exactly."""
    for level, limit in (("regional", 3), ("zonal", 2), ("instance", 1)):
        forge.extend(level, forge.basic_constraints(limit))
    insert(forge, "instance", "another", subject=f"{_instance(forge)}.another")
    return forge.extend("another", forge.basic_constraints(0)).document()


@accept("ca-constraints", weight="should")
def path_length_without_the_self_issued(forge: Forge) -> Made:
    """The regional CA has issued a certificate for its own new key; that does not count."""
    return insert(forge, "regional", "renewed").document()


def _instance(forge: Forge) -> str:
    return forge.levels["instance"].subject


# keyUsage


@refuse("KEY_USAGE", "ca-constraints")
def instance_without_key_cert_sign(forge: Forge) -> Made:
    """The instance CA's keyUsage is digitalSignature: it may not sign certificates."""
    usage = forge.extension(KEY_USAGE, bytes.fromhex("03020780"), critical=True)
    return forge.extend("instance", usage).document()


@refuse("KEY_USAGE", "ca-constraints")
def zonal_with_crl_sign_only(forge: Forge) -> Made:
    """The zonal CA's keyUsage is cRLSign: it may sign revocation lists, not certificates."""
    usage = forge.extension(KEY_USAGE, bytes.fromhex("03020102"), critical=True)
    return forge.extend("zonal", usage).document()


@refuse("KEY_USAGE", "ca-constraints", weight="should")
def root_without_key_cert_sign(forge: Forge) -> Made:
    """The trusted root's keyUsage is digitalSignature: it may not sign certificates."""
    usage = forge.extension(KEY_USAGE, bytes.fromhex("03020780"), critical=True)
    return forge.extend("root", usage).trust_own_root().document()


@refuse("KEY_USAGE", "ca-constraints", weight="should")
def instance_without_key_usage(forge: Forge) -> Made:
    """The instance CA has no keyUsage; RFC 5280 wants one in every CA."""
    return forge.without("instance", KEY_USAGE).document()


@refuse("KEY_USAGE", "ca-constraints", weight="should")
def leaf_with_key_cert_sign(forge: Forge) -> Made:
    """The leaf, which is no CA, may sign certificates, as its keyUsage says."""
    usage = forge.extension(KEY_USAGE, bytes.fromhex("03020284"))
    return forge.extend("leaf", usage).document()


@refuse("KEY_USAGE", "ca-constraints")
def leaf_without_digital_signature(forge: Forge) -> Made:
    """The leaf's keyUsage is nonRepudiation alone, without digitalSignature."""
    return forge.extend("leaf", forge.extension(KEY_USAGE, bytes.fromhex("03020640"))).document()


@refuse("KEY_USAGE", "ca-constraints")
def leaf_for_key_agreement(forge: Forge) -> Made:
    """The leaf's keyUsage is keyAgreement: its key must not sign anything."""
    usage = forge.extension(KEY_USAGE, bytes.fromhex("03020308"), critical=True)
    return forge.extend("leaf", usage).document()


@refuse("KEY_USAGE", "ca-constraints", weight="should")
def leaf_without_key_usage(forge: Forge) -> Made:
    """The leaf has no keyUsage, which RFC 5280 takes for any usage; all real ones have it."""
    return forge.without("leaf", KEY_USAGE).document()


@accept("real-profile")
def leaf_key_usage_not_critical(forge: Forge) -> Made:
    """The leaf's keyUsage is not critical: so it is in all real leaves."""
    return forge.document()


@accept("real-profile", weight="should")
def leaf_key_usage_critical(forge: Forge) -> Made:
    """The leaf's keyUsage is critical, as RFC 5280 recommends and no real leaf has it."""
    usage = forge.extension(KEY_USAGE, bytes.fromhex("030206c0"), critical=True)
    return forge.extend("leaf", usage).document()


@accept("real-profile", weight="should")
def leaf_with_nine_usages(forge: Forge) -> Made:
    """The leaf's keyUsage has two octets: digitalSignature, keyAgreement and decipherOnly."""
    return forge.extend("leaf", forge.extension(KEY_USAGE, bytes.fromhex("0303078880"))).document()


@accept("ca-constraints", weight="should")
def instance_with_a_new_key(forge: Forge) -> Made:
    """The instance CA has another key than it had yesterday, under the same name."""
    return rekey(forge, "instance", forge.key_number(f"{forge.label}/tomorrow")).document()
