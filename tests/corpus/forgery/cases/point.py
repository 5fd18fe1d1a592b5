"""Keys of certificates: other forms of a point on the right curve, and what is no point of it."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from forgery import der, keys
from forgery.case import Made, accept, refuse
from forgery.cases._edits import EC_ALGORITHM, PRIME, info, rekey
from forgery.forge import Forge

# Form


@refuse("CERTIFICATE_KEY", "der-strictness", weight="should")
def compressed(forge: Forge) -> Made:
    """The leaf's key is a compressed point."""
    public = forge.levels["leaf"].key.public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return forge.edit("leaf", "key", info(EC_ALGORITHM, point)).document()


@refuse("CERTIFICATE_KEY", "der-strictness", weight="should")
def compressed_in_the_bundle(forge: Forge) -> Made:
    """The instance CA's key is a compressed point."""
    public = forge.levels["instance"].key.public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return forge.edit("instance", "key", info(EC_ALGORITHM, point)).document()


@refuse("CERTIFICATE_KEY", "der-strictness", weight="should")
def hybrid(forge: Forge) -> Made:
    """The leaf's key is a point in hybrid form: both coordinates, and the parity of y in front."""
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit(
        "leaf", "key", info(EC_ALGORITHM, bytes([6 | point[-1] & 1]) + point[1:])
    ).document()


@refuse("CERTIFICATE_KEY", "der-strictness")
def hybrid_of_the_other_parity(forge: Forge) -> Made:
    """The leaf's key is a point in hybrid form whose parity is not that of y."""
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit(
        "leaf", "key", info(EC_ALGORITHM, bytes([7 ^ point[-1] & 1]) + point[1:])
    ).document()


@refuse("CERTIFICATE_KEY", "der-strictness")
def of_two_bare_coordinates(forge: Forge) -> Made:
    """The leaf's key is a point without the octet 04 in front."""
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", info(EC_ALGORITHM, point[1:])).document()


@refuse("CERTIFICATE_KEY", "der-strictness")
def byte_after(forge: Forge) -> Made:
    """A byte follows the point inside the BIT STRING of the leaf's key."""
    point = forge.point(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", info(EC_ALGORITHM, point + b"\0")).document()


@refuse("CERTIFICATE_KEY", "der-strictness")
def element_after(forge: Forge) -> Made:
    """A NULL follows the BIT STRING inside the leaf's subjectPublicKeyInfo."""
    info = forge.key_info(forge.levels["leaf"].key)
    return forge.edit("leaf", "key", der.tlv(0x30, der.content(info), b"\x05\0")).document()


@refuse("CERTIFICATE_KEY", "der-strictness", weight="should")
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
    return forge.edit(level, "key", info(EC_ALGORITHM, point)).document()


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
    small = next(filter(_decompressed, range(2, 1000)))
    y = _decompressed(small)[49:]
    return _point(forge, "leaf", b"\x04" + (small + PRIME).to_bytes(48, "big") + y)


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
