"""Verifiers that remember: certificates verified once are judged again, later or in other company.

Each pair is judged by one and the same verifier, the accepted document first. Both are made
with the same keys, so that the certificates they share are equal byte by byte.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from forgery import chains
from forgery.case import Made, accept, judged, refuse
from forgery.forge import Forge

_DAY = timedelta(days=1)
_YEAR_S = 366 * 86400


@accept("chain-cache")
def genuine(forge: Forge) -> Made:
    """A good document, whose certificates a verifier may remember."""
    return forge.document()


@accept("chain-cache", alike="cache/genuine")
def genuine_again(forge: Forge) -> Made:
    """The same document again, at once: nothing keeps it from being accepted twice."""
    return judged(forge.document(), after="cache/genuine")


@accept("chain-cache", alike="cache/genuine")
def same_chain_another_document(forge: Forge) -> Made:
    """Another document of the same module: other user data, all certificates known."""
    return judged(
        forge.document(user_data=b"another message", timestamp=_milliseconds(forge) + 60_000),
        after="cache/genuine",
        time=forge.now + timedelta(seconds=60),
    )


def _milliseconds(forge: Forge) -> int:
    return int(forge.now.timestamp() * 1000)


# Later


@refuse("CERTIFICATE_EXPIRED", "chain-cache", alike="cache/genuine")
def leaf_expired_since(forge: Forge) -> Made:
    """The leaf was valid when the chain was verified first, and has ended since."""
    return judged(
        forge.document(),
        after="cache/genuine",
        time=forge.now + timedelta(hours=3, seconds=1),
        max_age_s=_YEAR_S,
    )


@refuse("CERTIFICATE_NOT_YET_VALID", "chain-cache", alike="cache/genuine")
def leaf_not_valid_before(forge: Forge) -> Made:
    """The chain was verified when it was valid; now the clock stands an hour before."""
    return judged(
        forge.document(),
        after="cache/genuine",
        time=forge.now - timedelta(hours=1),
        max_age_s=_YEAR_S,
        skew_s=0,
    )


def _all_but(forge: Forge, *levels: str) -> bytes:
    """Let all certificates but those of some levels live for years."""
    for level in chains.LEVELS[1:]:
        if level not in levels:
            forge.change(level, end=forge.now + 3000 * _DAY)
    return forge.document()


@accept("chain-cache")
def instance_ends_first(forge: Forge) -> Made:
    """Of this chain the instance CA ends first, in twelve hours; all are valid now."""
    return _all_but(forge, "instance")


@refuse("CERTIFICATE_EXPIRED", "chain-cache", alike="cache/instance-ends-first")
def instance_expired_since(forge: Forge) -> Made:
    """The instance CA was valid when the chain was verified first, and has ended since.

    The leaf and all other certificates are still valid.
    """
    return _a_month_later(forge, "instance")


@accept("chain-cache")
def zonal_ends_first(forge: Forge) -> Made:
    """Of this chain the zonal CA ends first, in five days; all are valid now."""
    return _all_but(forge, "zonal")


@refuse("CERTIFICATE_EXPIRED", "chain-cache", alike="cache/zonal-ends-first")
def zonal_expired_since(forge: Forge) -> Made:
    """The zonal CA was valid when the chain was verified first, and has ended since."""
    return _a_month_later(forge, "zonal")


@accept("chain-cache")
def regional_ends_first(forge: Forge) -> Made:
    """Of this chain the regional CA ends first, in fifteen days; all are valid now."""
    return _all_but(forge, "regional")


@refuse("CERTIFICATE_EXPIRED", "chain-cache", alike="cache/regional-ends-first")
def regional_expired_since(forge: Forge) -> Made:
    """The regional CA was valid when the chain was verified first, and has ended since."""
    return _a_month_later(forge, "regional")


def _a_month_later(forge: Forge, level: str) -> Made:
    return judged(
        _all_but(forge, level),
        after=f"cache/{level}-ends-first",
        time=forge.now + 31 * _DAY,
        max_age_s=_YEAR_S,
    )


@accept("chain-cache", alike="cache/regional-ends-first")
def historic_when_the_regional_has_ended(forge: Forge) -> Made:
    """Judged at the document's own time, a chain that has ended by now is good."""
    return judged(
        _all_but(forge, "regional"),
        after="cache/regional-ends-first",
        time=forge.now + 400 * _DAY,
        live=False,
    )


@accept("chain-cache")
def root_ends_first(forge: Forge) -> Made:
    """Of this chain the trusted root ends first, in ten days; all are valid now."""
    _root_ends(forge)
    return _all_but(forge)


@refuse("CERTIFICATE_EXPIRED", "chain-cache", weight="should", alike="cache/root-ends-first")
def root_expired_since(forge: Forge) -> Made:
    """The trusted root was valid when the chain was verified first, and has ended since."""
    _root_ends(forge)
    return _a_month_later(forge, "root")


def _root_ends(forge: Forge) -> None:
    forge.change("root", end=forge.now + 10 * _DAY).trust_own_root()


@accept("chain-cache", "wrong-clock", alike="cache/genuine")
def archived(forge: Forge) -> Made:
    """The good document, judged at its own time when a year has passed."""
    return judged(forge.document(), time=forge.now + 365 * _DAY, live=False)


@refuse("CERTIFICATE_EXPIRED", "chain-cache", "wrong-clock", alike="cache/genuine")
def live_after_archived(forge: Forge) -> Made:
    """The chain was verified at the document's own time; now it must be valid today, and is not."""
    return judged(
        forge.document(),
        after="cache/archived",
        time=forge.now + 365 * _DAY,
        max_age_s=_YEAR_S,
    )


# In other company


@refuse("BAD_SIGNATURE", "chain-cache", alike="cache/genuine")
def known_chain_bad_signature(forge: Forge) -> Made:
    """All certificates are known and good; the document is signed with another key."""
    return judged(forge.document(signature=_strangers_signature(forge)), after="cache/genuine")


def _strangers_signature(forge: Forge) -> bytes:
    return forge.sign(forge.payload(), key=forge.key_number(f"{forge.label}/stranger"))


@refuse("UNTRUSTED_ROOT", "chain-cache", "self-signed-substitute", alike="cache/genuine")
def known_leaf_foreign_bundle(forge: Forge) -> Made:
    """The leaf is known and good; the bundle is somebody's own, under their own root."""
    stranger = chains.levels(
        "stranger", root="stranger", module=forge.module, region=forge.region, now=forge.now
    )
    document = forge.document(cabundle=chains.chain(stranger)[:-1])
    return judged(document, after="cache/genuine")


@refuse("CERTIFICATE_SIGNATURE", "chain-cache", alike="cache/genuine")
def known_bundle_forged_leaf(forge: Forge) -> Made:
    """The bundle is known and good; the leaf is not signed by its instance CA."""
    return judged(_forged_leaf(forge), after="cache/genuine")


@refuse("CERTIFICATE_SIGNATURE", "chain-cache", alike="cache/genuine")
def known_leaf_changed(forge: Forge) -> Made:
    """All is known but the last bit of the leaf's signature: same name, serial number and key."""
    leaf = forge.chain()[-1]
    changed = leaf[:-1] + bytes([leaf[-1] ^ 1])
    return judged(forge.document(certificate=changed), after="cache/genuine")


@refuse("CERTIFICATE_SIGNATURE", "chain-cache", alike="cache/genuine")
def known_ca_changed(forge: Forge) -> Made:
    """All is known but the last bit of the zonal certificate's signature."""
    root, regional, zonal, instance, _ = forge.chain()
    changed = zonal[:-1] + bytes([zonal[-1] ^ 1])
    return judged(
        forge.document(cabundle=[root, regional, changed, instance]), after="cache/genuine"
    )


@refuse("ISSUER_MISMATCH", "chain-cache", "bundle-order", weight="should", alike="cache/genuine")
def known_certificates_swapped(forge: Forge) -> Made:
    """All certificates are known and good; two of them have changed places."""
    root, regional, zonal, instance, _ = forge.chain()
    return judged(forge.document(cabundle=[root, zonal, regional, instance]), after="cache/genuine")


@refuse("ISSUER_MISMATCH", "chain-cache", "bundle-order", alike="cache/genuine")
def known_certificates_left_out(forge: Forge) -> Made:
    """The leaf is known and good; between it and the root nothing is given this time."""
    return judged(forge.document(cabundle=forge.chain()[:1]), after="cache/genuine")


@refuse("NOT_A_CA", "chain-cache", "ca-constraints", alike="cache/genuine")
def known_leaf_as_issuer(forge: Forge) -> Made:
    """The known leaf stands in the bundle and has issued another; names are not compared."""
    key = forge.key_number(f"{forge.label}/second")
    forge.levels["second"] = replace(forge.levels["leaf"], key=key)
    *bundle, second = forge.chain()
    payload = forge.payload(certificate=second, cabundle=bundle)
    signature = forge.sign(payload, key=key)
    return judged(forge.document(payload, signature=signature), after="cache/genuine", strict=False)


@refuse(
    "IDENTITY_MISMATCH", "chain-cache", "mixed-identity", weight="should", alike="cache/genuine"
)
def known_chain_another_module(forge: Forge) -> Made:
    """All certificates are known and good; module_id is another one than the leaf's."""
    other = forge.module[:-1] + f"{(int(forge.module[-1], 16) + 1) % 16:x}"
    return judged(forge.document(module_id=other), after="cache/genuine")


# After a refusal


def _forged_leaf(forge: Forge) -> bytes:
    key = forge.key_number(f"{forge.label}/stranger")
    return forge.change("leaf", key=key, signer=key).document()


@refuse("BAD_SIGNATURE", "chain-cache")
def bad_signature(forge: Forge) -> Made:
    """All certificates are good, and new; the document is signed with another key."""
    return forge.document(signature=_strangers_signature(forge))


@accept("chain-cache", alike="cache/bad-signature")
def genuine_after_a_bad_signature(forge: Forge) -> Made:
    """A good document; the same chain came before with a document that it has not signed."""
    return judged(forge.document(), after="cache/bad-signature")


@refuse("CERTIFICATE_SIGNATURE", "chain-cache")
def forged_leaf(forge: Forge) -> Made:
    """The bundle is good, and new; the leaf is not signed by its instance CA."""
    return _forged_leaf(forge)


@accept("chain-cache", alike="cache/forged-leaf")
def genuine_after_a_forged_leaf(forge: Forge) -> Made:
    """A good document; the same bundle came before with a leaf that it has not issued."""
    return judged(forge.document(), after="cache/forged-leaf")


@refuse("CERTIFICATE_SIGNATURE", "chain-cache", alike="cache/forged-leaf")
def forged_leaf_again(forge: Forge) -> Made:
    """A document that was refused for its leaf comes a second time."""
    return judged(_forged_leaf(forge), after="cache/forged-leaf")


@accept("chain-cache", "real-profile", alike="cache/genuine")
def leaf_renewed(forge: Forge) -> Made:
    """The module has got a new leaf with a new key from the known instance CA."""
    key = forge.key_number(f"{forge.label}/renewed")
    serial = forge.levels["leaf"].serial + 9900
    begin = forge.now + timedelta(seconds=9897)
    forge.change("leaf", key=key, serial=serial, begin=begin, end=begin + timedelta(hours=3))
    later = forge.now + timedelta(seconds=9900)
    return judged(
        forge.document(timestamp=int(later.timestamp() * 1000)), after="cache/genuine", time=later
    )
