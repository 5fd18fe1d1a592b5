"""Keys of certificates: on other curves, of other kinds, under other names of their curve."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from forgery import der, keys
from forgery.case import Made, refuse
from forgery.cases._edits import EC_ALGORITHM, PRIME, bits, info, rekey, sign_again
from forgery.forge import Forge

# Another curve


def _leaf_on(forge: Forge, curve: ec.EllipticCurve) -> Made:
    # r and s are written in 48 bytes each, as on P-384.
    return rekey(forge, "leaf", keys.key(f"{forge.label}/leaf", curve)).document()


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def leaf_on_p256(forge: Forge) -> Made:
    """The leaf's key is on P-256, and has signed the document in 96 bytes, with SHA-384."""
    return _leaf_on(forge, ec.SECP256R1())


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def leaf_on_secp256k1(forge: Forge) -> Made:
    """The leaf's key is on secp256k1, and has signed the document in 96 bytes, with SHA-384."""
    return _leaf_on(forge, ec.SECP256K1())


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def leaf_on_brainpool(forge: Forge) -> Made:
    """The leaf's key is on brainpoolP384r1, where everything has the same size as on P-384."""
    return _leaf_on(forge, ec.BrainpoolP384R1())


@refuse("CERTIFICATE_KEY", "algorithm-confusion", "limits")
def leaf_on_p521(forge: Forge) -> Made:
    """The leaf's key is on P-521, whose signatures are longer than the 96 bytes of this one."""
    info = keys.key_info(keys.key(f"{forge.label}/p521", ec.SECP521R1()))
    return forge.edit("leaf", "key", info).document()


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def leaf_with_rsa(forge: Forge) -> Made:
    """The leaf's key is an RSA key."""
    return forge.edit("leaf", "key", keys.rsa_key_info(forge.label)).document()


@refuse("CERTIFICATE_KEY", "algorithm-confusion", weight="should")
def instance_on_p256(forge: Forge) -> Made:
    """The instance CA's key is on P-256, and has signed the leaf well."""
    return rekey(forge, "instance", keys.key(f"{forge.label}/p256", ec.SECP256R1())).document()


@refuse("CERTIFICATE_KEY", "algorithm-confusion", weight="should")
def zonal_on_p521(forge: Forge) -> Made:
    """The zonal CA's key is on P-521, and has signed the instance CA's certificate well."""
    return rekey(forge, "zonal", keys.key(f"{forge.label}/p521", ec.SECP521R1())).document()


@refuse("CERTIFICATE_KEY", "algorithm-confusion", weight="should")
def regional_on_secp256k1(forge: Forge) -> Made:
    """The regional CA's key is on secp256k1, and has signed the zonal certificate well."""
    return rekey(forge, "regional", keys.key(f"{forge.label}/k1", ec.SECP256K1())).document()


@refuse("CERTIFICATE_KEY", "algorithm-confusion", weight="should")
def root_on_p256(forge: Forge) -> Made:
    """The trusted root's key is on P-256, and has signed the regional certificate well."""
    rekey(forge, "root", keys.key(f"{forge.label}/root", ec.SECP256R1()))
    return forge.trust_own_root().document()


def _leaf_signed_with(
    forge: Forge, algorithm: bytes, key: bytes, sign: Callable[[bytes], bytes]
) -> Made:
    """Give the instance CA a key that is none of ours; the leaf says what it is signed with."""
    forge.edit("instance", "key", key)
    forge.change(
        "leaf", edit=lambda parts: parts.update(algorithm=algorithm, outer_algorithm=algorithm)
    )
    return sign_again(forge, "leaf", sign=sign).document()


@refuse("CERTIFICATE_MALFORMED", "algorithm-confusion", weight="should")
def instance_with_rsa(forge: Forge) -> Made:
    """The instance CA's key is an RSA key, and has signed the leaf well (PKCS #1 v1.5, SHA-384)."""
    p, q = _prime(f"{forge.label}/p"), _prime(f"{forge.label}/q")
    modulus, private = p * q, pow(65537, -1, (p - 1) * (q - 1))
    rsa = bytes.fromhex("300d06092a864886f70d0101010500")
    key = der.tlv(0x30, rsa, bits(der.tlv(0x30, der.integer(modulus), der.integer(65537))))

    def sign(message: bytes) -> bytes:
        digest = bytes.fromhex("3041300d060960864801650304020205000430")
        digest += hashlib.sha384(message).digest()
        padded = b"\0\1" + b"\xff" * (256 - 3 - len(digest)) + b"\0" + digest
        return pow(int.from_bytes(padded, "big"), private, modulus).to_bytes(256, "big")

    return _leaf_signed_with(forge, bytes.fromhex("300d06092a864886f70d01010c0500"), key, sign)


@refuse("CERTIFICATE_MALFORMED", "algorithm-confusion", weight="should")
def instance_with_ed25519(forge: Forge) -> Made:
    """The instance CA's key is an Ed25519 key, and has signed the leaf well."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(forge.random("ed25519", 32))
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _leaf_signed_with(forge, bytes.fromhex("300506032b6570"), public, private.sign)


_ODD_NUMBERS = math.prod(range(3, 2000, 2))


@cache
def _prime(label: str) -> int:
    """Derive a prime of 1024 bits; good enough for a key that protects nothing."""
    number = int.from_bytes(keys.derive(label, 128), "big") | 3 << 1022 | 1
    # The cheap question first; and 65537 must not divide the number before the prime.
    while (
        math.gcd(number, _ODD_NUMBERS) != 1
        or number % 65537 == 1
        or pow(2, number - 1, number) != 1
    ):
        number += 2
    return number


# Another name for the curve


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def curve_named_p256(forge: Forge) -> Made:
    """The leaf's key is a point on P-384 and says that it is on P-256."""
    algorithm = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", info(algorithm, point)).document()


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def curve_named_p384(forge: Forge) -> Made:
    """The leaf's key is a point on P-256 and says that it is on P-384."""
    point = forge.point(keys.key(f"{forge.label}/p256", ec.SECP256R1()))
    return forge.edit("leaf", "key", info(EC_ALGORITHM, point)).document()


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def curve_unnamed(forge: Forge) -> Made:
    """The leaf's key does not say on which curve it is."""
    algorithm = bytes.fromhex("300906072a8648ce3d0201")
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", info(algorithm, point)).document()


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def curve_implicit(forge: Forge) -> Made:
    """The leaf's key says NULL where it should name its curve: that of its issuer is meant."""
    algorithm = bytes.fromhex("300b06072a8648ce3d02010500")
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", info(algorithm, point)).document()


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def curve_explicit(forge: Forge) -> Made:
    """The leaf's key spells its curve out, correctly; RFC 5480 forbids it.

    Who reads such parameters can be given others.
    """
    key = forge.levels["leaf"].key
    return forge.edit("leaf", "key", explicit(forge.point(key))).document()


def explicit(point: bytes, generator: bytes | None = None) -> bytes:
    """Encode a key on P-384 with explicit parameters, by choice with another generator."""
    b = bytes.fromhex(
        "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe814112"
        "0314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef"
    )
    base = generator or keys.point(ec.derive_private_key(1, ec.SECP384R1()))
    field = der.tlv(0x30, bytes.fromhex("06072a8648ce3d0101"), der.integer(PRIME))
    curve = der.tlv(0x30, der.tlv(0x04, (PRIME - 3).to_bytes(48, "big")), der.tlv(0x04, b))
    rest = (der.tlv(0x04, base), der.integer(keys.ORDER), der.integer(1))
    parameters = der.tlv(0x30, der.integer(1), field, curve, *rest)
    return info(der.tlv(0x30, bytes.fromhex("06072a8648ce3d0201"), parameters), point)


@refuse("CERTIFICATE_KEY", "algorithm-confusion", weight="should")
def for_diffie_hellman(forge: Forge) -> Made:
    """The leaf's key says that it is for key agreement only (id-ecDH)."""
    algorithm = bytes.fromhex("300e06052b8104010c06052b81040022")
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", info(algorithm, point)).document()
