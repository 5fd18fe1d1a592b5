"""The trust anchor: chains made by somebody else, and certificates that look like the root."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec

from forgery import chains, der, keys
from forgery.case import Made, accept, judged, refuse
from forgery.cases._edits import bits, elements, numbers
from forgery.cases.key import explicit
from forgery.forge import Forge


def _own(forge: Forge, label: str) -> Forge:
    """Put the whole chain under a root of its own, with the names that follow from it."""
    forge.levels = chains.levels(
        forge.label, root=label, module=forge.module, region=forge.region, now=forge.now
    )
    return forge


@refuse("UNTRUSTED_ROOT", "self-signed-substitute")
def own_chain(forge: Forge) -> Made:
    """The whole chain is somebody's own, under a root of their own name."""
    return _own(forge, "stranger").document()


@refuse("UNTRUSTED_ROOT", "self-signed-substitute")
def leaf_as_its_own_root(forge: Forge) -> Made:
    """The leaf is self-signed, and the bundle holds the same certificate once more."""
    forge.levels = {"leaf": forge.levels["leaf"]}
    leaf = forge.chain()
    return judged(forge.document(cabundle=leaf, certificate=leaf[0]), strict=False)


@refuse("UNTRUSTED_ROOT", "self-signed-substitute", "false-root")
def own_chain_of_the_same_names(forge: Forge) -> Made:
    """The whole chain is somebody's own, with all the names of the genuine one."""
    for level in ("root", *chains.LEVELS[1:]):
        forge.change(level, key=forge.key_number(f"{forge.label}/own {level}"))
    forge.extend("root", chains.subject_key_id(forge.levels["root"].key))
    for above, level in zip(chains.LEVELS[:3], chains.LEVELS[1:4], strict=True):
        forge.extend(level, chains.authority_key_id(forge.levels[above].key))
        forge.extend(level, chains.subject_key_id(forge.levels[level].key))
    return forge.document()


@refuse("UNTRUSTED_ROOT", "false-root")
def right_name_and_another_key(forge: Forge) -> Made:
    """The root has the trusted one's name, and key and key identifier of somebody else."""
    key = forge.key_number(f"{forge.label}/impostor")
    forge.change("root", key=key).extend("root", chains.subject_key_id(key))
    return forge.extend("regional", chains.authority_key_id(key)).document()


def _signature_of_the_true_root(forge: Forge) -> Callable[[bytes], bytes]:
    true = elements(der.content(forge.root))[2]

    def after(certificate: bytes) -> bytes:
        signed, algorithm, _ = elements(der.content(certificate))
        return der.tlv(0x30, signed, algorithm, true)

    return after


@refuse("UNTRUSTED_ROOT", "false-root")
def look_alike(forge: Forge) -> Made:
    """Subject, serial, key identifier and signature are the trusted root's; the key is not.

    The impostor's key has issued the chain. The signature does not fit, but that of a root
    is rarely checked.
    """
    forge.change("root", after=_signature_of_the_true_root(forge))
    return forge.change("root", key=forge.key_number(f"{forge.label}/impostor")).document()


@refuse("UNTRUSTED_ROOT", "false-root", weight="should")
def look_alike_with_half_a_key(forge: Forge) -> Made:
    """The trusted root with an invented second half of its key, above a genuine chain.

    Its key is no point on the curve; look-alikes of the AWS root of this kind are in circulation.
    """
    *bundle, leaf = forge.chain()
    point = forge.point(forge.levels["root"].key)
    bundle[0] = bundle[0].replace(point[49:], forge.random("half a key", 48))
    return forge.document(cabundle=bundle, certificate=leaf)


@refuse("UNTRUSTED_ROOT", "false-root", "algorithm-confusion")
def look_alike_on_another_generator(forge: Forge) -> Made:
    """The root has the trusted one's key, name, serial and key identifier, on a curve of its own.

    The curve is P-384 spelled out with another generator: the key itself. So everybody knows
    the private key, 1, and has issued the chain with it (the attack of CVE-2020-0601).
    """
    root = forge.levels["root"]
    point = forge.point(root.key)
    forge.edit("root", "key", explicit(point, generator=point))

    def after(certificate: bytes) -> bytes:
        signed, algorithm, _ = elements(der.content(certificate))
        return der.tlv(0x30, signed, algorithm, bits(_signed_with_one(root.key, signed)))

    return forge.change("root", after=after).change("regional", after=after).document()


def _signed_with_one(generator: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Sign with the private key 1 on P-384 whose generator is a public key.

    That key's private number serves only to multiply points; everybody can without it.
    """
    nonce = int.from_bytes(keys.derive(message.hex(), 48), "big") % (keys.ORDER - 1) + 1
    scalar = nonce * generator.private_numbers().private_value % keys.ORDER
    multiple = ec.derive_private_key(scalar, ec.SECP384R1())
    r = multiple.public_key().public_numbers().x % keys.ORDER
    digest = int.from_bytes(hashlib.sha384(message).digest(), "big")
    return numbers(r, pow(nonce, -1, keys.ORDER) * (digest + r) % keys.ORDER)


@refuse("UNTRUSTED_ROOT", "false-root", weight="should")
def signature_changed(forge: Forge) -> Made:
    """A bit of the root's signature over itself is wrong; name and key are the trusted ones."""
    *bundle, leaf = forge.chain()
    bundle[0] = bundle[0][:-1] + bytes([bundle[0][-1] ^ 1])
    return forge.document(cabundle=bundle, certificate=leaf)


@refuse("UNTRUSTED_ROOT", "false-root", weight="should")
def renewed(forge: Forge) -> Made:
    """The root is another certificate for the trusted one's name and key, with a later end."""
    end = forge.levels["root"].end + timedelta(days=3650)
    return forge.change("root", end=end, serial=2).document()


@refuse("CERTIFICATE_MALFORMED", "false-root", weight="should")
def byte_after(forge: Forge) -> Made:
    """A byte follows the trusted root in its entry of the bundle."""
    *bundle, leaf = forge.chain()
    return forge.document(cabundle=[bundle[0] + b"\0", *bundle[1:]], certificate=leaf)


@refuse("UNTRUSTED_ROOT", "self-signed-substitute", "false-root")
def impostor_in_front(forge: Forge) -> Made:
    """An impostor of the same name stands before the trusted root and has issued the chain.

    The trusted root is in the bundle, and is not part of the path.
    """
    true = forge.root
    forge.change("root", key=forge.key_number(f"{forge.label}/impostor"))
    first, *rest, leaf = forge.chain()
    return forge.document(cabundle=[first, true, *rest], certificate=leaf)


@refuse("CERTIFICATE_SIGNATURE", "self-signed-substitute", "false-root")
def impostor_behind(forge: Forge) -> Made:
    """An impostor of the same name stands behind the trusted root and has issued the chain."""
    true = forge.root
    forge.change("root", key=forge.key_number(f"{forge.label}/impostor"))
    first, *rest, leaf = forge.chain()
    return forge.document(cabundle=[true, first, *rest], certificate=leaf)


@refuse("CERTIFICATE_SIGNATURE", "self-signed-substitute", "false-root")
def trusted_in_its_place(forge: Forge) -> Made:
    """The trusted root stands above a chain that an impostor of the same name has issued."""
    true = forge.root
    forge.change("root", key=forge.key_number(f"{forge.label}/impostor"))
    _, *rest, leaf = forge.chain()
    return forge.document(cabundle=[true, *rest], certificate=leaf)


@refuse("ISSUER_MISMATCH", "self-signed-substitute")
def trusted_above_an_own_chain(forge: Forge) -> Made:
    """The trusted root stands above a chain that somebody has made under a root of their own."""
    true = forge.root
    _, *rest, leaf = _own(forge, "stranger").chain()
    return forge.document(cabundle=[true, *rest], certificate=leaf)


@refuse("UNTRUSTED_ROOT", "partition")
def of_another_partition(forge: Forge) -> Made:
    """The chain is perfect under the root of another partition, which is not trusted."""
    return _own(forge, "nitrosim-corpus-gov").document()


@accept("partition")
def of_another_partition_trusted(forge: Forge) -> Made:
    """The chain is perfect under the root of another partition, which is the trusted one."""
    return _own(forge, "nitrosim-corpus-gov").trust_own_root().document()


@refuse("UNTRUSTED_ROOT", "partition")
def of_the_usual_partition(forge: Forge) -> Made:
    """The chain is perfect under the usual root; another partition's is the trusted one."""
    document = forge.document()
    _own(forge, "nitrosim-corpus-gov").trust_own_root()
    return document


@refuse("UNTRUSTED_ROOT", "self-signed-substitute")
def regional_as_root(forge: Forge) -> Made:
    """The bundle begins with the regional CA, as a self-signed certificate of its true key."""
    regional = forge.levels["regional"]
    key_id = chains.subject_key_id(regional.key)
    extensions = (forge.basic_constraints(None), key_id, chains.KEY_USAGE_CA)
    regional = replace(regional, extensions=extensions)
    forge.levels = {"regional": regional} | {
        level: forge.levels[level] for level in ("zonal", "instance", "leaf")
    }
    return forge.document()
