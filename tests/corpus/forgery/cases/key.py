"""Keys of certificates: other curves and kinds, other forms of the same point, no points at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from forgery import der, keys
from forgery.case import Made, accept, refuse
from forgery.cases._edits import bits, rekey, sign_again
from forgery.forge import Forge

EC_ALGORITHM = bytes.fromhex("301006072a8648ce3d020106052b81040022")
"""id-ecPublicKey, secp384r1."""

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


@refuse("CERTIFICATE_KEY", "algorithm-confusion", weight="should")
def instance_with_rsa(forge: Forge) -> Made:
    """The instance CA's key is an RSA key, and has signed the leaf well (PKCS #1 v1.5, SHA-384)."""
    p, q = _prime(f"{forge.label}/p"), _prime(f"{forge.label}/q")
    modulus, private = p * q, pow(65537, -1, (p - 1) * (q - 1))
    rsa = bytes.fromhex("300d06092a864886f70d0101010500")
    key = der.tlv(0x30, rsa, bits(der.tlv(0x30, der.integer(modulus), der.integer(65537))))

    def sign(message: bytes) -> bytes:
        info = bytes.fromhex("3041300d060960864801650304020205000430")
        info += hashlib.sha384(message).digest()
        padded = b"\0\1" + b"\xff" * (256 - 3 - len(info)) + b"\0" + info
        return pow(int.from_bytes(padded, "big"), private, modulus).to_bytes(256, "big")

    return _leaf_signed_with(forge, bytes.fromhex("300d06092a864886f70d01010c0500"), key, sign)


@refuse("CERTIFICATE_KEY", "algorithm-confusion", weight="should")
def instance_with_ed25519(forge: Forge) -> Made:
    """The instance CA's key is an Ed25519 key, and has signed the leaf well."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(forge.random("ed25519", 32))
    info = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _leaf_signed_with(forge, bytes.fromhex("300506032b6570"), info, private.sign)


@cache
def _prime(label: str) -> int:
    """Derive a prime of 1024 bits; good enough for a key that protects nothing."""
    number = int.from_bytes(keys.derive(label, 128), "big") | 3 << 1022 | 1
    # 65537 must not divide the number before it, nor may anything divide the number itself.
    while number % 65537 == 1 or pow(2, number - 1, number) != 1:
        number += 2
    return number


# Another name for the curve


def _info(algorithm: bytes, point: bytes) -> bytes:
    return der.tlv(0x30, algorithm, bits(point))


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def curve_named_p256(forge: Forge) -> Made:
    """The leaf's key is a point on P-384 and says that it is on P-256."""
    algorithm = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", _info(algorithm, point)).document()


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def curve_named_p384(forge: Forge) -> Made:
    """The leaf's key is a point on P-256 and says that it is on P-384."""
    point = forge.point(keys.key(f"{forge.label}/p256", ec.SECP256R1()))
    return forge.edit("leaf", "key", _info(EC_ALGORITHM, point)).document()


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def curve_unnamed(forge: Forge) -> Made:
    """The leaf's key does not say on which curve it is."""
    algorithm = bytes.fromhex("300906072a8648ce3d0201")
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", _info(algorithm, point)).document()


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def curve_implicit(forge: Forge) -> Made:
    """The leaf's key says NULL where it should name its curve: that of its issuer is meant."""
    algorithm = bytes.fromhex("300b06072a8648ce3d02010500")
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", _info(algorithm, point)).document()


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def curve_explicit(forge: Forge) -> Made:
    """The leaf's key spells its curve out, correctly; RFC 5480 forbids it.

    Who reads such parameters can be given others.
    """
    key = forge.levels["leaf"].key
    return forge.edit("leaf", "key", explicit(forge.point(key))).document()


def explicit(point: bytes, generator: bytes | None = None) -> bytes:
    """Encode a key on P-384 with explicit parameters, by choice with another generator."""
    prime = (1 << 384) - (1 << 128) - (1 << 96) + (1 << 32) - 1
    b = bytes.fromhex(
        "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe814112"
        "0314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef"
    )
    base = generator or keys.point(ec.derive_private_key(1, ec.SECP384R1()))
    field = der.tlv(0x30, bytes.fromhex("06072a8648ce3d0101"), der.integer(prime))
    curve = der.tlv(0x30, der.tlv(0x04, (prime - 3).to_bytes(48, "big")), der.tlv(0x04, b))
    rest = (der.tlv(0x04, base), der.integer(keys.ORDER), der.integer(1))
    parameters = der.tlv(0x30, der.integer(1), field, curve, *rest)
    return _info(der.tlv(0x30, bytes.fromhex("06072a8648ce3d0201"), parameters), point)


@refuse("CERTIFICATE_KEY", "algorithm-confusion", weight="should")
def for_diffie_hellman(forge: Forge) -> Made:
    """The leaf's key says that it is for key agreement only (id-ecDH)."""
    algorithm = bytes.fromhex("300e06052b8104010c06052b81040022")
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", _info(algorithm, point)).document()


# Another form of the point


@refuse("CERTIFICATE_KEY", "der-strictness", weight="should")
def compressed(forge: Forge) -> Made:
    """The leaf's key is a compressed point."""
    public = forge.levels["leaf"].key.public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return forge.edit("leaf", "key", _info(EC_ALGORITHM, point)).document()


@refuse("CERTIFICATE_KEY", "der-strictness", weight="should")
def compressed_in_the_bundle(forge: Forge) -> Made:
    """The instance CA's key is a compressed point."""
    public = forge.levels["instance"].key.public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return forge.edit("instance", "key", _info(EC_ALGORITHM, point)).document()


@refuse("CERTIFICATE_KEY", "der-strictness", weight="should")
def hybrid(forge: Forge) -> Made:
    """The leaf's key is a point in hybrid form: both coordinates, and the parity of y in front."""
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit(
        "leaf", "key", _info(EC_ALGORITHM, bytes([6 | point[-1] & 1]) + point[1:])
    ).document()


@refuse("CERTIFICATE_KEY", "der-strictness")
def hybrid_of_the_other_parity(forge: Forge) -> Made:
    """The leaf's key is a point in hybrid form whose parity is not that of y."""
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit(
        "leaf", "key", _info(EC_ALGORITHM, bytes([7 ^ point[-1] & 1]) + point[1:])
    ).document()


@refuse("CERTIFICATE_KEY", "der-strictness")
def of_two_bare_coordinates(forge: Forge) -> Made:
    """The leaf's key is a point without the octet 04 in front."""
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", _info(EC_ALGORITHM, point[1:])).document()


@refuse("CERTIFICATE_KEY", "der-strictness")
def byte_after_the_point(forge: Forge) -> Made:
    """A byte follows the point inside the BIT STRING of the leaf's key."""
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", _info(EC_ALGORITHM, point + b"\0")).document()


@refuse("CERTIFICATE_KEY", "der-strictness")
def element_after_the_point(forge: Forge) -> Made:
    """A NULL follows the BIT STRING inside the leaf's subjectPublicKeyInfo."""
    info = forge.key_info(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", der.tlv(0x30, der.content(info), b"\x05\0")).document()


@refuse("CERTIFICATE_KEY", "der-strictness")
def with_unused_bits(forge: Forge) -> Made:
    """The BIT STRING of the leaf's key says that its last bit is not used."""
    point = forge.point(forge.levels["leaf"].key)
    key = der.tlv(0x30, EC_ALGORITHM, der.tlv(0x03, b"\x01", point))
    return forge.edit("leaf", "key", key).document()


@refuse("CERTIFICATE_KEY", "der-strictness")
def without_bits(forge: Forge) -> Made:
    """The leaf's key is a BIT STRING of no octets."""
    return forge.edit("leaf", "key", der.tlv(0x30, EC_ALGORITHM, b"\x03\0")).document()


@refuse("CERTIFICATE_KEY", "der-strictness", weight="should")
def length_long(forge: Forge) -> Made:
    """The length of the BIT STRING of the leaf's key is written in two octets, not in one."""
    point = forge.point(forge.levels["leaf"].key)
    key = der.tlv(0x30, EC_ALGORITHM, b"\x03\x81\x62\x00" + point)
    return forge.edit("leaf", "key", key).document()


# No point on the curve


def _point(forge: Forge, level: str, point: bytes) -> Made:
    return forge.edit(level, "key", _info(EC_ALGORITHM, point)).document()


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def not_on_the_curve(forge: Forge) -> Made:
    """The leaf's key is not a point on P-384: the last bit of y is wrong."""
    point = forge.point(forge.levels["leaf"].key)
    return _point(forge, "leaf", point[:-1] + bytes([point[-1] ^ 1]))


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def instance_not_on_the_curve(forge: Forge) -> Made:
    """The instance CA's key is not a point on P-384: the last bit of y is wrong."""
    point = forge.point(forge.levels["instance"].key)
    return _point(forge, "instance", point[:-1] + bytes([point[-1] ^ 1]))


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def x_beyond_the_field(forge: Forge) -> Made:
    """x of the leaf's key is larger by p than that of a point on the curve, and fits 48 bytes.

    Nobody knows the private key to that point, so the document's signature is not by it.
    """
    prime = (1 << 384) - (1 << 128) - (1 << 96) + (1 << 32) - 1
    small = next(filter(_decompressed, range(2, 1000)))
    y = _decompressed(small)[49:]
    return _point(forge, "leaf", b"\x04" + (small + prime).to_bytes(48, "big") + y)


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def y_beyond_the_field(forge: Forge) -> Made:
    """y of the leaf's key is 2^384 - 1, which is no element of the field."""
    point = forge.point(forge.levels["leaf"].key)
    return _point(forge, "leaf", point[:49] + b"\xff" * 48)


def _decompressed(x: int) -> bytes:
    """Return the point with this x, nothing when there is none."""
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(
            ec.SECP384R1(), b"\x02" + x.to_bytes(48, "big")
        )
    except ValueError:
        return b""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def at_infinity(forge: Forge) -> Made:
    """The leaf's key is the point at infinity, one zero octet."""
    return _point(forge, "leaf", b"\0")


@refuse("CERTIFICATE_KEY", "algorithm-confusion")
def of_zeros(forge: Forge) -> Made:
    """The leaf's key has the coordinates 0 and 0, as some libraries write infinity."""
    return _point(forge, "leaf", b"\x04" + bytes(96))


@accept("real-profile", weight="should")
def with_a_small_x(forge: Forge) -> Made:
    """x of the instance CA's key begins with a zero octet, which is part of it."""
    label = next(
        label
        for label in (f"{forge.label}/{i}" for i in range(10_000))
        if not forge.point(keys.key(label))[1]
    )
    return rekey(forge, "instance", keys.key(label)).document()
