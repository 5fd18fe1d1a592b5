"""Extensions that are not understood, and those that constrain what is below."""

from __future__ import annotations

from forgery import chains, der
from forgery.case import Made, accept, refuse
from forgery.cases._edits import CRL_DISTRIBUTION_POINTS, UNKNOWN, add, elements
from forgery.forge import Forge

# Extensions that are not understood


def _unknown(forge: Forge, level: str) -> Made:
    return add(forge, level, forge.extension(UNKNOWN, b"\x05\0", critical=True)).document()


@refuse("UNKNOWN_CRITICAL_EXTENSION", "critical-extension")
def unknown_critical_leaf(forge: Forge) -> Made:
    """The leaf has a critical extension that nobody knows."""
    return _unknown(forge, "leaf")


@refuse("UNKNOWN_CRITICAL_EXTENSION", "critical-extension")
def unknown_critical_instance(forge: Forge) -> Made:
    """The instance CA has a critical extension that nobody knows."""
    return _unknown(forge, "instance")


@refuse("UNKNOWN_CRITICAL_EXTENSION", "critical-extension")
def unknown_critical_zonal(forge: Forge) -> Made:
    """The zonal CA has a critical extension that nobody knows."""
    return _unknown(forge, "zonal")


@refuse("UNKNOWN_CRITICAL_EXTENSION", "critical-extension")
def unknown_critical_regional(forge: Forge) -> Made:
    """The regional CA has a critical extension that nobody knows."""
    return _unknown(forge, "regional")


@refuse("UNKNOWN_CRITICAL_EXTENSION", "critical-extension", weight="should")
def unknown_critical_root(forge: Forge) -> Made:
    """The trusted root has a critical extension that nobody knows."""
    _unknown(forge, "root")
    return forge.trust_own_root().document()


@accept("critical-extension")
def unknown_not_critical(forge: Forge) -> Made:
    """The leaf and the zonal CA have an extension that nobody knows, and that is not critical."""
    for level in ("zonal", "leaf"):
        add(forge, level, forge.extension(UNKNOWN, b"\x05\0"))
    return forge.document()


_SERVER_AUTH = bytes.fromhex("300a06082b06010505070301")


@refuse("UNKNOWN_CRITICAL_EXTENSION", "critical-extension", weight="should")
def extended_key_usage_critical(forge: Forge) -> Made:
    """The leaf may be used for TLS servers only: a critical extendedKeyUsage says so."""
    return add(forge, "leaf", forge.extension("551d25", _SERVER_AUTH, critical=True)).document()


@accept("real-profile", weight="should")
def extended_key_usage_not_critical(forge: Forge) -> Made:
    """The leaf has an extendedKeyUsage that is not critical; no purpose is defined for modules."""
    return add(forge, "leaf", forge.extension("551d25", _SERVER_AUTH)).document()


@refuse("UNKNOWN_CRITICAL_EXTENSION", "critical-extension", weight="should")
def distribution_point_critical(forge: Forge) -> Made:
    """The regional CA says in a critical extension where its revocation list is."""
    plain = chains.crl_distribution_point(f"{forge.label}/regional")
    value = der.content(elements(der.content(plain))[1])
    odd = forge.extension(CRL_DISTRIBUTION_POINTS, value, critical=True)
    return forge.extend("regional", odd).document()


@accept("real-profile", weight="should")
def no_distribution_points(forge: Forge) -> Made:
    """No certificate says where a revocation list could be."""
    for level in ("regional", "zonal"):
        forge.without(level, CRL_DISTRIBUTION_POINTS)
    return forge.document()


@accept("real-profile", weight="should")
def in_another_order(forge: Forge) -> Made:
    """All certificates but the root have their extensions in reverse order."""
    for level in chains.LEVELS[1:]:
        forge.change(level, extensions=tuple(reversed(forge.levels[level].extensions)))
    return forge.document()


# Extensions that constrain


def _excluding_everything(forge: Forge) -> bytes:
    """Encode nameConstraints that exclude every name of this corpus."""
    country = der.tlv(0x30, der.content(forge.name("", "C")))
    subtree = der.tlv(0x30, der.tlv(0xA4, country))
    return der.tlv(0x30, der.tlv(0xA1, subtree))


@refuse("CONSTRAINING_EXTENSION", "critical-extension")
def name_constraints(forge: Forge) -> Made:
    """The zonal CA has critical nameConstraints, and they exclude the names below it."""
    odd = forge.extension("551d1e", _excluding_everything(forge), critical=True)
    return add(forge, "zonal", odd).document()


@refuse("CONSTRAINING_EXTENSION", "critical-extension")
def name_constraints_not_critical(forge: Forge) -> Made:
    """The zonal CA has nameConstraints that exclude the names below it, but are not critical."""
    return add(forge, "zonal", forge.extension("551d1e", _excluding_everything(forge))).document()


@refuse("CONSTRAINING_EXTENSION", "critical-extension", weight="should")
def certificate_policies(forge: Forge) -> Made:
    """The leaf has certificatePolicies, which no real certificate has."""
    policy = der.tlv(0x30, der.tlv(0x30, bytes.fromhex("06032a0305")))
    return add(forge, "leaf", forge.extension("551d20", policy)).document()


@refuse("CONSTRAINING_EXTENSION", "critical-extension")
def policy_required(forge: Forge) -> Made:
    """The regional CA demands a policy of all below it (policyConstraints); none has one."""
    value = der.tlv(0x30, bytes.fromhex("800100"))
    return add(forge, "regional", forge.extension("551d24", value, critical=True)).document()


@refuse("CONSTRAINING_EXTENSION", "critical-extension", weight="should")
def policy_mappings(forge: Forge) -> Made:
    """The zonal CA maps one policy to another (policyMappings, critical)."""
    pair = der.tlv(0x30, bytes.fromhex("06032a0305"), bytes.fromhex("06032a0306"))
    odd = forge.extension("551d21", der.tlv(0x30, pair), critical=True)
    return add(forge, "zonal", odd).document()


@refuse("CONSTRAINING_EXTENSION", "critical-extension", weight="should")
def any_policy_inhibited(forge: Forge) -> Made:
    """The instance CA inhibits anyPolicy (critical)."""
    odd = forge.extension("551d36", forge.integer(0), critical=True)
    return add(forge, "instance", odd).document()
