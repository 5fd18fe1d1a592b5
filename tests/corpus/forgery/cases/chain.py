"""The bundle: its length and order, certificates left out, added or exchanged."""

from __future__ import annotations

from dataclasses import replace

from forgery import chains
from forgery.case import Made, accept, refuse
from forgery.cases._edits import insert
from forgery.forge import Forge

# Length


@refuse("CERTIFICATE_COUNT", "self-signed-substitute")
def empty(forge: Forge) -> Made:
    """The bundle is empty."""
    return forge.document(cabundle=[])


@refuse("CERTIFICATE_COUNT", "limits", weight="should")
def of_eleven(forge: Forge) -> Made:
    """The bundle has eleven certificates in perfect order; real ones have four."""
    return _with_more(forge, 7).document()


@accept("bundle-order", weight="should")
def of_ten(forge: Forge) -> Made:
    """The bundle has ten certificates in perfect order, far more than real ones."""
    return _with_more(forge, 6).document()


def _with_more(forge: Forge, count: int) -> Forge:
    """Put so many CAs between zonal and instance, with path lengths that allow it."""
    zonal = forge.levels["zonal"].subject
    above = "zonal"
    for i in range(count):
        insert(forge, above, f"more-{i}", subject=f"{i}.{zonal}")
        above = f"more-{i}"
    cas = [level for level in forge.levels if level not in {"root", "leaf"}]
    for below, level in enumerate(reversed(cas)):
        forge.extend(level, forge.basic_constraints(below))
    forge.extend("instance", chains.authority_key_id(forge.levels[above].key))
    return forge


@accept("bundle-order")
def as_real_ones(forge: Forge) -> Made:
    """The chain of real documents: root, regional, zonal and instance in the bundle, then leaf."""
    return forge.document()


@accept("bundle-order", weight="should")
def of_three(forge: Forge) -> Made:
    """The chain has no zonal CA: the regional one has issued the instance CA."""
    regional = forge.levels["regional"]
    del forge.levels["zonal"]
    return forge.extend("instance", chains.authority_key_id(regional.key)).document()


@accept("bundle-order", weight="should")
def of_one(forge: Forge) -> Made:
    """The trusted root has issued the leaf itself; simulators do that."""
    forge.levels = {level: forge.levels[level] for level in ("root", "leaf")}
    return forge.document()


# Order


@refuse("UNTRUSTED_ROOT", "bundle-order", weight="should")
def leaf_first(forge: Forge) -> Made:
    """The bundle is in reverse order, instance CA first, as TLS and OpenSSL want it."""
    return forge.document(cabundle=forge.chain()[-2::-1])


@refuse("UNTRUSTED_ROOT", "bundle-order", weight="should")
def root_last(forge: Forge) -> Made:
    """The root stands behind the other certificates of the bundle."""
    root, *rest, _ = forge.chain()
    return forge.document(cabundle=[*rest, root])


@refuse("UNTRUSTED_ROOT", "bundle-order", weight="should")
def without_the_root(forge: Forge) -> Made:
    """The root is not in the bundle."""
    return forge.document(cabundle=forge.chain()[1:-1])


@refuse("ISSUER_MISMATCH", "bundle-order", weight="should")
def intermediates_swapped(forge: Forge) -> Made:
    """The regional and the zonal certificate have changed places."""
    root, regional, zonal, instance, _ = forge.chain()
    return forge.document(cabundle=[root, zonal, regional, instance])


@refuse("ISSUER_MISMATCH", "bundle-order")
def intermediate_left_out(forge: Forge) -> Made:
    """The regional certificate is not in the bundle."""
    root, _, zonal, instance, _ = forge.chain()
    return forge.document(cabundle=[root, zonal, instance])


@refuse("ISSUER_MISMATCH", "bundle-order")
def instance_left_out(forge: Forge) -> Made:
    """The instance CA's certificate is not in the bundle."""
    return forge.document(cabundle=forge.chain()[:-2])


@refuse("ISSUER_MISMATCH", "bundle-order")
def root_alone(forge: Forge) -> Made:
    """The bundle holds the trusted root and nothing else; it has not issued the leaf."""
    return forge.document(cabundle=forge.chain()[:1])


# Additions


@refuse("ISSUER_MISMATCH", "bundle-order", weight="should")
def leaf_in_the_bundle(forge: Forge) -> Made:
    """The leaf stands in the bundle, too."""
    return forge.document(cabundle=forge.chain())


@refuse("ISSUER_MISMATCH", "bundle-order", weight="should")
def intermediate_twice(forge: Forge) -> Made:
    """The zonal certificate stands in the bundle twice."""
    root, regional, zonal, instance, _ = forge.chain()
    return forge.document(cabundle=[root, regional, zonal, zonal, instance])


@refuse("IDENTITY_MISMATCH", "bundle-order", weight="should")
def root_twice(forge: Forge) -> Made:
    """The root stands in the bundle twice: being self-signed, it does follow upon itself.

    Only its name, which is of no region, does not belong in the second place.
    """
    root, *rest, _ = forge.chain()
    return forge.document(cabundle=[root, root, *rest])


@refuse("ISSUER_MISMATCH", "bundle-order", weight="should")
def stranger_behind(forge: Forge) -> Made:
    """A certificate of another chain of the same root stands behind the others."""
    other = Forge(f"{forge.label} other").chain()
    return forge.document(cabundle=[*forge.chain()[:-1], other[1]])


@refuse("ISSUER_MISMATCH", "bundle-order", weight="should")
def stranger_between(forge: Forge) -> Made:
    """A certificate of another chain of the same root stands between the others."""
    other = Forge(f"{forge.label} other").chain()
    root, *rest, _ = forge.chain()
    return forge.document(cabundle=[root, other[1], *rest])


@refuse("ISSUER_MISMATCH", "bundle-order", "self-signed-substitute", weight="should")
def another_root_behind(forge: Forge) -> Made:
    """A self-signed certificate of somebody stands behind a genuine bundle."""
    stranger = chains.chain({"root": chains.root_level(f"{forge.label}-stranger")})
    return forge.document(cabundle=[*forge.chain()[:-1], *stranger])


@refuse("ISSUER_MISMATCH", "bundle-order", weight="should")
def cross_signed(forge: Forge) -> Made:
    """Two certificates for the zonal CA, of one name and key, by its issuer and by the root."""
    root, regional, zonal, instance, _ = forge.chain()
    plan = {"root": forge.levels["root"], "zonal": forge.levels["zonal"]}
    plan["zonal"] = replace(
        plan["zonal"], serial=chains.number(f"{forge.label}/cross", 128), edit=None
    )
    cross = chains.chain(plan)[-1]
    return forge.document(cabundle=[root, regional, zonal, cross, instance])


# Exchanges


@refuse("CERTIFICATE_SIGNATURE", "mixed-identity")
def namesake_of_the_instance(forge: Forge) -> Made:
    """The instance CA's certificate is exchanged for one of the same name and another key.

    Its issuer is genuine, but it is not what the leaf was issued by.
    """
    genuine = forge.chain()
    key = forge.key_number(f"{forge.label}/namesake")
    other = replace(forge.levels["instance"], key=key)
    forge.change("instance", key=key, extensions=(*other.extensions[:2],))
    namesake = forge.chain()[-2]
    return forge.document(cabundle=[*genuine[:-2], namesake], certificate=genuine[-1])


@refuse("ISSUER_MISMATCH", "mixed-identity")
def leaf_of_another_chain(forge: Forge) -> Made:
    """The leaf is a genuine one of another instance; the bundle is this instance's.

    module_id is the other's as well, and its key has signed the document.
    """
    other = Forge(f"{forge.label} other", nonce=forge.nonce)
    payload = other.payload(cabundle=forge.chain()[:-1])
    return other.document(payload)


@refuse("BAD_SIGNATURE", "mixed-identity")
def leaf_of_a_namesake(forge: Forge) -> Made:
    """The certificate is a genuine one for the same module but for another key.

    The key that signed the document has no certificate.
    """
    signing = forge.levels["leaf"].key
    forge.change("leaf", key=forge.key_number(f"{forge.label}/renewed"))
    payload = forge.payload()
    return forge.document(payload, signature=forge.sign(payload, key=signing))
