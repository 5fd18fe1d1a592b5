"""A forge for attestation documents: right by default, wrong in exactly one way on demand.

It shares no code with the verifier. Certificates are put together from DER parts and
documents from CBOR parts, so that any malformation can be expressed and signed again; the keys
are fixed numbers, so that a case is the same in every run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NOW = datetime(2030, 6, 1, 12, 0, 0, tzinfo=UTC)
INSTANCE = "i-0123456789abcdef0"
MODULE = f"{INSTANCE}-enc019abcdef0123456"
REGION = "eu-central-1"
ES384 = bytes.fromhex("300a06082a8648ce3d040303")
ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffff"
    "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)
LEVELS = ("root", "regional", "zonal", "instance", "leaf")

Edit = Callable[[dict[str, bytes]], None]


def tlv(tag: int, *contents: bytes) -> bytes:
    """Encode one DER element."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        length = bytes([size])
    else:
        octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
        length = bytes([0x80 | len(octets)]) + octets
    return bytes([tag]) + length + content


def integer(number: int) -> bytes:
    return tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def moment(time: datetime) -> bytes:
    if time.year < 2050:
        return tlv(0x17, time.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(0x18, time.strftime("%Y%m%d%H%M%SZ").encode())


def name(common_name: str) -> bytes:
    return tlv(
        0x30,
        tlv(0x31, tlv(0x30, bytes.fromhex("0603550406"), tlv(0x13, b"XX"))),
        tlv(0x31, tlv(0x30, bytes.fromhex("0603550403"), tlv(0x0C, common_name.encode()))),
    )


def extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    flag = b"\x01\x01\xff" if critical else b""
    return tlv(0x30, tlv(0x06, bytes.fromhex(oid)), flag, tlv(0x04, value))


def key_number(label: str) -> ec.EllipticCurvePrivateKey:
    """Derive a key that is the same in every run and protects nothing."""
    number = int.from_bytes(hashlib.sha384(label.encode()).digest(), "big") % (ORDER - 1) + 1
    return ec.derive_private_key(number, ec.SECP384R1())


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def key_info(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def sign_der(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    return key.sign(message, ec.ECDSA(SHA384(), deterministic_signing=True))


def sign_raw(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(sign_der(key, message))
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")


@dataclass(frozen=True)
class Level:
    """One certificate to be made."""

    subject: str
    key: ec.EllipticCurvePrivateKey
    begin: datetime
    end: datetime
    extensions: tuple[bytes, ...]
    serial: int = (1 << 159) + 7  # 21 octets, as two of three real instance CAs
    signer: ec.EllipticCurvePrivateKey | None = None
    edit: Edit | None = None
    after: Callable[[bytes], bytes] | None = None


def make_certificate(level: Level, issuer: str, signer: ec.EllipticCurvePrivateKey) -> bytes:
    parts = {
        "version": bytes.fromhex("a003020102"),
        "serial": integer(level.serial),
        "algorithm": ES384,
        "issuer": name(issuer),
        "validity": tlv(0x30, moment(level.begin), moment(level.end)),
        "subject": name(level.subject),
        "key": key_info(level.key),
        "extensions": tlv(0xA3, tlv(0x30, *level.extensions)),
        "outer_algorithm": ES384,
        "signature": b"",
    }
    if level.edit:
        level.edit(parts)
    signed = tlv(0x30, *(parts[part] for part in list(parts)[:8]))
    signature = parts["signature"] or tlv(0x03, b"\0", sign_der(level.signer or signer, signed))
    certificate = tlv(0x30, signed, parts["outer_algorithm"], signature)
    return level.after(certificate) if level.after else certificate


def basic_constraints(path_length: int | None) -> bytes:
    limit = b"" if path_length is None else integer(path_length)
    return extension("551d13", tlv(0x30, b"\x01\x01\xff", limit), critical=True)


KEY_USAGE_CA = extension("551d0f", bytes.fromhex("03020186"), critical=True)
KEY_USAGE_INSTANCE = extension("551d0f", bytes.fromhex("03020204"), critical=True)
KEY_USAGE_LEAF = extension("551d0f", bytes.fromhex("030206c0"))
NOT_A_CA = extension("551d13", b"\x30\x00", critical=True)


def key_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha1(point(key)).digest()


def subject_key_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return extension("551d0e", tlv(0x04, key_id(key)))


def authority_key_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return extension("551d23", tlv(0x30, tlv(0x80, key_id(key))))


def default_levels() -> dict[str, Level]:
    """The profile of real chains: life, path lengths, key identifiers, criticality."""
    root, regional, zonal, instance, leaf = (key_number(level) for level in LEVELS)
    day = timedelta(days=1)
    return {
        "root": Level(
            "forge.test.nitro-enclaves",
            root,
            datetime(2020, 1, 1, tzinfo=UTC),
            datetime(2050, 1, 1, 1, tzinfo=UTC),
            (basic_constraints(None), subject_key_id(root), KEY_USAGE_CA),
            serial=0x7EADBEEF,
        ),
        "regional": Level(
            f"0011223344556677.{REGION}.forge.test.nitro-enclaves",
            regional,
            NOW - 5 * day,
            NOW + 15 * day,
            (
                basic_constraints(2),
                authority_key_id(root),
                subject_key_id(regional),
                KEY_USAGE_CA,
            ),
        ),
        "zonal": Level(
            f"8899aabbccddeeff.zonal.{REGION}.forge.test.nitro-enclaves",
            zonal,
            NOW - day,
            NOW + 5 * day,
            (
                basic_constraints(1),
                authority_key_id(regional),
                subject_key_id(zonal),
                KEY_USAGE_CA,
            ),
        ),
        "instance": Level(
            f"{INSTANCE}.{REGION}.forge.test.nitro-enclaves",
            instance,
            NOW - day / 2,
            NOW + day / 2,
            (basic_constraints(0), KEY_USAGE_INSTANCE),
        ),
        "leaf": Level(
            f"{MODULE}.{REGION}.forge",
            leaf,
            NOW - timedelta(seconds=3),
            NOW + timedelta(hours=3),
            (NOT_A_CA, KEY_USAGE_LEAF),
        ),
    }


def make_chain(levels: dict[str, Level]) -> list[bytes]:
    """Make the certificates in order, each issued by the one before, the first by itself."""
    chain: list[bytes] = []
    issuer = levels["root"]
    for level in levels.values():
        chain.append(make_certificate(level, issuer.subject, issuer.key))
        issuer = level
    return chain


def pcr(*parts: bytes) -> bytes:
    return hashlib.sha384(bytes(48) + b"".join(parts)).digest()


@dataclass
class Forge:
    """Makes documents. Change `levels`, `fields` or the arguments to make them wrong."""

    levels: dict[str, Level] = field(default_factory=default_levels)
    root: bytes = b""
    now = NOW
    instance = INSTANCE
    module = MODULE
    region = REGION
    order = ORDER
    tlv = staticmethod(tlv)
    extension = staticmethod(extension)
    basic_constraints = staticmethod(basic_constraints)
    integer = staticmethod(integer)
    name = staticmethod(name)
    moment = staticmethod(moment)
    key_number = staticmethod(key_number)
    key_info = staticmethod(key_info)
    key_id = staticmethod(key_id)
    point = staticmethod(point)
    sign_der = staticmethod(sign_der)
    sign_raw = staticmethod(sign_raw)
    pcr = staticmethod(pcr)

    def __post_init__(self) -> None:
        self.root = make_chain(default_levels())[0]

    def change(self, level: str, **changes: object) -> Forge:
        """Change one certificate's plan; everything below it is signed again."""
        self.levels[level] = replace(self.levels[level], **changes)
        return self

    def edit(self, level: str, part: str, value: bytes) -> Forge:
        """Replace one DER part of one certificate before it is signed."""
        return self.change(level, edit=lambda parts: parts.update({part: value}))

    def chain(self) -> list[bytes]:
        return make_chain(self.levels)

    def pcrs(self) -> dict[int, bytes]:
        values = dict.fromkeys(range(16), bytes(48))
        values |= {i: pcr(b"measurement %d" % i) for i in (0, 1, 2, 3, 8)}
        return values | {4: pcr(INSTANCE.encode())}

    def fields(self, **changes: object) -> dict[object, object]:
        """The nine fields in the order of real documents."""
        *bundle, leaf = self.chain()
        fields: dict[object, object] = {
            "module_id": MODULE,
            "digest": "SHA384",
            "timestamp": int(NOW.timestamp() * 1000),
            "pcrs": self.pcrs(),
            "certificate": leaf,
            "cabundle": bundle,
            "public_key": None,
            "user_data": b"user data",
            "nonce": b"a fresh nonce",
        }
        return fields | changes

    def payload(self, **changes: object) -> bytes:
        return cbor2.dumps(self.fields(**changes))

    def sign(
        self,
        payload: bytes,
        *,
        protected: bytes = bytes.fromhex("a1013822"),
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> bytes:
        signed = cbor2.dumps(["Signature1", protected, b"", payload])
        return sign_raw(key or self.levels["leaf"].key, signed)

    def document(
        self,
        payload: bytes | None = None,
        *,
        protected: bytes = bytes.fromhex("a1013822"),
        unprotected: object = None,
        signature: bytes | None = None,
        **changes: object,
    ) -> bytes:
        """Sign a payload, or the default one with some fields changed."""
        if payload is None:
            payload = self.payload(**changes)
        signature = signature or self.sign(payload, protected=protected)
        return cbor2.dumps([protected, unprotected or {}, payload, signature])


@pytest.fixture
def forge() -> Forge:
    """A forge whose documents are right until something is changed."""
    return Forge()
