"""Signatures under certificates: their form, their numbers, their algorithms."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512

from forgery import der, keys
from forgery.case import Made, accept, refuse
from forgery.cases._edits import bits, issuer_of, numbers, seal, sign_again, stretched
from forgery.certificates import ECDSA_WITH_SHA256
from forgery.forge import Forge

# Form


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "signature-form")
def empty(forge: Forge) -> Made:
    """The signature of the leaf is a BIT STRING of no octets."""
    return seal(forge, "leaf", lambda _r, _s: bytes.fromhex("0300")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "signature-form")
def without_bits(forge: Forge) -> Made:
    """The signature of the leaf is a BIT STRING of no bits."""
    return seal(forge, "leaf", lambda _r, _s: bytes.fromhex("030100")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "signature-form", weight="should")
def with_unused_bits(forge: Forge) -> Made:
    """The signature of the leaf says that its last bit is not used."""
    return seal(forge, "leaf", lambda r, s: der.tlv(0x03, b"\x01", numbers(r, s))).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "signature-form", weight="should")
def with_a_third_number(forge: Forge) -> Made:
    """The signature of the leaf has three numbers, of which the first two are right."""
    return seal(forge, "leaf", lambda r, s: bits(numbers(r, s, 1))).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "signature-form", weight="should")
def with_a_byte_after(forge: Forge) -> Made:
    """A byte follows the two numbers inside the BIT STRING of the leaf's signature."""
    return seal(forge, "leaf", lambda r, s: bits(numbers(r, s) + b"\0")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "signature-form", weight="should")
def with_a_redundant_octet(forge: Forge) -> Made:
    """r of the leaf's signature begins with a zero octet that it does not need."""
    return seal(
        forge,
        "leaf",
        lambda r, s: bits(
            der.tlv(0x30, der.tlv(2, b"\0", der.content(der.integer(r))), der.integer(s))
        ),
    ).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "signature-form", weight="should")
def length_long(forge: Forge) -> Made:
    """The length of the sequence of r and s is written in two octets where one is enough."""
    return seal(forge, "leaf", lambda r, s: bits(stretched(numbers(r, s)))).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "signature-form")
def raw(forge: Forge) -> Made:
    """The leaf is signed in the form of COSE: r and s one after the other, without DER."""
    return seal(
        forge, "leaf", lambda r, s: bits(r.to_bytes(48, "big") + s.to_bytes(48, "big"))
    ).document()


# Numbers


@refuse("CERTIFICATE_SIGNATURE", "signature-form")
def of_zeros(forge: Forge) -> Made:
    """r and s of the regional certificate's signature are zero."""
    return seal(forge, "regional", lambda _r, _s: bits(numbers(0, 0))).document()


@refuse("CERTIFICATE_SIGNATURE", "signature-form")
def of_zeros_leaf(forge: Forge) -> Made:
    """r and s of the leaf's signature are zero."""
    return seal(forge, "leaf", lambda _r, _s: bits(numbers(0, 0))).document()


@refuse("CERTIFICATE_SIGNATURE", "signature-form")
def r_zero(forge: Forge) -> Made:
    """r of the leaf's signature is zero."""
    return seal(forge, "leaf", lambda _r, s: bits(numbers(0, s))).document()


@refuse("CERTIFICATE_SIGNATURE", "signature-form")
def s_zero(forge: Forge) -> Made:
    """s of the leaf's signature is zero."""
    return seal(forge, "leaf", lambda r, _s: bits(numbers(r, 0))).document()


@refuse("CERTIFICATE_SIGNATURE", "signature-form")
def r_and_s_equal_to_the_order(forge: Forge) -> Made:
    """r and s of the leaf's signature are n, which is zero to who reduces before comparing."""
    order = forge.order
    return seal(forge, "leaf", lambda _r, _s: bits(numbers(order, order))).document()


@refuse("CERTIFICATE_SIGNATURE", "signature-form")
def r_beyond_the_order(forge: Forge) -> Made:
    """r of the leaf's signature is larger by n than it should be."""
    return seal(forge, "leaf", lambda r, s: bits(numbers(r + forge.order, s))).document()


@refuse("CERTIFICATE_SIGNATURE", "signature-form")
def s_beyond_the_order(forge: Forge) -> Made:
    """s of the leaf's signature is larger by n than it should be."""
    return seal(forge, "leaf", lambda r, s: bits(numbers(r, s + forge.order))).document()


@refuse("CERTIFICATE_SIGNATURE", "signature-form")
def r_negative(forge: Forge) -> Made:
    """r of the leaf's signature is -r, a number of the same size with the other sign."""
    return seal(forge, "leaf", lambda r, s: bits(numbers(-r, s))).document()


@refuse("CERTIFICATE_SIGNATURE", "signature-form", "der-strictness", weight="should")
def s_with_its_leading_zero_dropped(forge: Forge) -> Made:
    """s of the leaf's signature lacks its leading zero octet and so is negative."""

    def write(r: int, s: int) -> bytes:
        # Either of s and n - s is right; the larger one may have its top bit set.
        s = max(s, forge.order - s)
        if not 0x80 <= s >> 376 < 0xFF:
            raise ValueError("s does not suit: give the case another name")
        return bits(der.tlv(0x30, der.integer(r), der.tlv(0x02, s.to_bytes(48, "big"))))

    return seal(forge, "leaf", write).document()


@refuse("CERTIFICATE_SIGNATURE", "signature-form")
def halves_swapped(forge: Forge) -> Made:
    """r and s of the leaf's signature have changed places."""
    return seal(forge, "leaf", lambda r, s: bits(numbers(s, r))).document()


@accept("malleability")
def s_high(forge: Forge) -> Made:
    """s of the leaf's signature is in the upper half; AWS emits both halves."""
    return seal(forge, "leaf", lambda r, s: bits(numbers(r, max(s, forge.order - s)))).document()


@accept("malleability")
def s_low(forge: Forge) -> Made:
    """s of the leaf's signature is in the lower half; AWS emits both halves."""
    return seal(forge, "leaf", lambda r, s: bits(numbers(r, min(s, forge.order - s)))).document()


# Algorithms

_SHA512 = bytes.fromhex("300a06082a8648ce3d040304")
_SHA1 = bytes.fromhex("300906072a8648ce3d0401")


def _algorithm(forge: Forge, level: str, algorithm: bytes) -> Forge:
    return forge.change(
        level, edit=lambda parts: parts.update(algorithm=algorithm, outer_algorithm=algorithm)
    )


@refuse("CERTIFICATE_ALGORITHM", "algorithm-confusion", weight="should")
def with_sha256(forge: Forge) -> Made:
    """The zonal certificate is signed with ecdsa-with-SHA256, and says so."""
    key = forge.levels["regional"].key
    _algorithm(forge, "zonal", ECDSA_WITH_SHA256)
    sign_again(forge, "zonal", sign=lambda signed: keys.sign_der(key, signed, SHA256()))
    return forge.document()


@refuse("CERTIFICATE_ALGORITHM", "algorithm-confusion", weight="should")
def with_sha512(forge: Forge) -> Made:
    """The leaf is signed with ecdsa-with-SHA512, and says so."""
    key = forge.levels["instance"].key
    _algorithm(forge, "leaf", _SHA512)
    sign_again(forge, "leaf", sign=lambda signed: keys.sign_der(key, signed, SHA512()))
    return forge.document()


@refuse("CERTIFICATE_ALGORITHM", "algorithm-confusion")
def with_sha1(forge: Forge) -> Made:
    """The leaf is signed with ecdsa-with-SHA1, and says so: collisions of SHA-1 are known."""
    key = forge.levels["instance"].key
    _algorithm(forge, "leaf", _SHA1)
    sign_again(forge, "leaf", sign=lambda signed: keys.sign_der(key, signed, SHA1()))
    return forge.document()


@refuse("CERTIFICATE_SIGNATURE", "algorithm-confusion")
def with_sha256_unsaid(forge: Forge) -> Made:
    """The leaf is signed with SHA-256 and says ecdsa-with-SHA384."""
    key = forge.levels["instance"].key
    return sign_again(
        forge, "leaf", sign=lambda signed: keys.sign_der(key, signed, SHA256())
    ).document()


@refuse("CERTIFICATE_ALGORITHM", "algorithm-confusion", weight="should")
def with_sha256_said(forge: Forge) -> Made:
    """The leaf is signed with SHA-384 and says ecdsa-with-SHA256, in both places."""
    return _algorithm(forge, "leaf", ECDSA_WITH_SHA256).document()


@refuse("CERTIFICATE_ALGORITHM", "algorithm-confusion")
def outer_algorithm_differs(forge: Forge) -> Made:
    """The zonal certificate says ecdsa-with-SHA256 beside the signature and SHA384 under it."""
    return forge.edit("zonal", "outer_algorithm", ECDSA_WITH_SHA256).document()


@refuse("CERTIFICATE_ALGORITHM", "algorithm-confusion")
def inner_algorithm_differs(forge: Forge) -> Made:
    """The leaf says ecdsa-with-SHA256 under the signature and SHA384 beside it."""
    return forge.edit("leaf", "algorithm", ECDSA_WITH_SHA256).document()


@refuse("CERTIFICATE_ALGORITHM", "der-strictness", weight="should")
def algorithm_with_null_parameters(forge: Forge) -> Made:
    """The instance certificate's algorithm has parameters, NULL; RFC 5758 wants none."""
    return _algorithm(forge, "instance", bytes.fromhex("300c06082a8648ce3d0403030500")).document()


@refuse("CERTIFICATE_ALGORITHM", "der-strictness", weight="should")
def outer_algorithm_with_null_parameters(forge: Forge) -> Made:
    """Only beside the signature the leaf's algorithm has parameters, NULL: nobody signed them."""
    null = bytes.fromhex("300c06082a8648ce3d0403030500")
    return forge.edit("leaf", "outer_algorithm", null).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def algorithm_length_long(forge: Forge) -> Made:
    """The length of the leaf's algorithm is written in two octets where one is enough."""
    return _algorithm(forge, "leaf", bytes.fromhex("30810a06082a8648ce3d040303")).document()


# Signers


@refuse("CERTIFICATE_SIGNATURE", "ca-constraints")
def by_itself(forge: Forge) -> Made:
    """The leaf is signed with its own key; the name of the issuer is right."""
    return forge.change("leaf", signer=forge.levels["leaf"].key).document()


@refuse("CERTIFICATE_SIGNATURE", "ca-constraints")
def by_a_stranger(forge: Forge) -> Made:
    """The leaf is signed with a key of nobody; the name of the issuer is right."""
    return forge.change("leaf", signer=forge.key_number(f"{forge.label}/stranger")).document()


@refuse("CERTIFICATE_SIGNATURE", "ca-constraints")
def by_an_ancestor(forge: Forge) -> Made:
    """The leaf is signed by the zonal CA in the name of the instance CA."""
    return forge.change("leaf", signer=forge.levels["zonal"].key).document()


@refuse("CERTIFICATE_SIGNATURE", "ca-constraints")
def of_the_zonal_by_itself(forge: Forge) -> Made:
    """The zonal certificate is signed with its own key; everything below it is signed well."""
    return forge.change("zonal", signer=forge.levels["zonal"].key).document()


@refuse("CERTIFICATE_SIGNATURE", "self-signed-substitute")
def of_the_regional_by_a_stranger(forge: Forge) -> Made:
    """The root is genuine, the regional certificate is signed by somebody else in its name.

    All below it is an attacker's own.
    """
    return forge.change("regional", signer=forge.key_number(f"{forge.label}/stranger")).document()


@refuse("CERTIFICATE_SIGNATURE", "mixed-identity")
def leaf_changed_after_signing(forge: Forge) -> Made:
    """The module's id was changed in the leaf after it was signed, as well as in the document."""
    other = f"{forge.module[:-1]}{'1' if forge.module[-1] == '0' else '0'}"
    old, new = forge.module.encode(), other.encode()
    changed = forge.chain()[-1].replace(old, new)
    return forge.document(certificate=changed, module_id=other)


@refuse("CERTIFICATE_SIGNATURE", "no-validity-check")
def end_changed_after_signing(forge: Forge) -> Made:
    """The leaf's end was moved by ten years after it was signed."""
    leaf = forge.levels["leaf"]
    old, new = forge.moment(leaf.end), forge.moment(leaf.end.replace(year=leaf.end.year + 10))
    return forge.document(certificate=forge.chain()[-1].replace(old, new))


@refuse("CERTIFICATE_SIGNATURE", "ca-constraints")
def covers_another_certificate(forge: Forge) -> Made:
    """The leaf carries the signature that its issuer made for another leaf."""
    key = issuer_of(forge, "leaf").key
    return sign_again(
        forge, "leaf", sign=lambda signed: keys.sign_der(key, signed + b"\0")
    ).document()
