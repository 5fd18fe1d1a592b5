"""The chain of a real document: five levels with the names, lives and extensions of AWS's.

Observed in real documents: the order of the attributes differs from level to level, the
serial of an instance CA has 21 octets in two of three, the one of a leaf is made of the
enclave's id and the time of issue, and leaves are back-dated by three seconds.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from forgery import der, keys
from forgery.certificates import Level, make

LEVELS = ("root", "regional", "zonal", "instance", "leaf")

# Nobody may take this for a name of AWS. Names stay within the 64 characters of X.520.
DOMAIN = "corpus.test"

KEY_USAGE_CA = der.extension("551d0f", bytes.fromhex("03020186"), critical=True)
KEY_USAGE_INSTANCE = der.extension("551d0f", bytes.fromhex("03020204"), critical=True)
KEY_USAGE_LEAF = der.extension("551d0f", bytes.fromhex("030206c0"))
NOT_A_CA = der.extension("551d13", b"\x30\x00", critical=True)

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_LONG_ORDER = "C ST L O OU CN"


def root_level(label: str) -> Level:
    """Plan a root: self-signed, thirty years."""
    key = keys.key(f"{label}/root")
    return Level(
        subject=f"{label}.test.nitro-enclaves",
        order="C O OU CN",
        key=key,
        begin=datetime(2019, 10, 28, 13, 28, 5, tzinfo=UTC),
        end=datetime(2049, 10, 28, 14, 28, 5, tzinfo=UTC),
        extensions=(der.basic_constraints(None), subject_key_id(key), KEY_USAGE_CA),
        serial=number(f"{label}/root serial", 128),
    )


def levels(label: str, *, root: str, module: str, region: str, now: datetime) -> dict[str, Level]:
    """Plan a whole chain, root first.

    Args:
        label: what keys and serials are derived from.
        root: label of the root, shared by many chains.
        module: module_id; its first two parts are the instance.
        region: AWS region.
        now: time of issue of the leaf.

    """
    top = root_level(root)
    regional, zonal, instance, leaf = (keys.key(f"{label}/{level}") for level in LEVELS[1:])
    instance_id = "-".join(module.split("-")[:2])
    hour = now.replace(minute=0, second=0)
    return {
        "root": top,
        "regional": Level(
            subject=f"{keys.derive(f'{label}/regional', 8).hex()}.{region}.{top.subject}",
            order="C O OU CN",
            key=regional,
            begin=hour - 5 * _DAY,
            end=hour + 15 * _DAY + _HOUR,
            extensions=(
                der.basic_constraints(2),
                authority_key_id(top.key),
                subject_key_id(regional),
                KEY_USAGE_CA,
                crl_distribution_point(f"{label}/regional"),
            ),
            serial=number(f"{label}/regional serial", 128),
        ),
        "zonal": Level(
            subject=f"{keys.derive(f'{label}/zonal', 8).hex()}.zonal.{region}.{top.subject}",
            order="CN OU O C ST L",
            key=zonal,
            begin=hour - 20 * _HOUR,
            end=hour - 20 * _HOUR + 5 * _DAY + 12 * _HOUR,
            extensions=(
                der.basic_constraints(1),
                authority_key_id(regional),
                subject_key_id(zonal),
                KEY_USAGE_CA,
                crl_distribution_point(f"{label}/zonal"),
            ),
            serial=number(f"{label}/zonal serial", 128),
        ),
        "instance": Level(
            subject=f"{instance_id}.{region}.{top.subject}",
            order=_LONG_ORDER,
            key=instance,
            begin=hour - 12 * _HOUR,
            end=hour + 12 * _HOUR,
            extensions=(
                der.basic_constraints(0),
                KEY_USAGE_INSTANCE,
                subject_key_id(instance),
                authority_key_id(zonal),
            ),
            # The top bit makes the encoding 21 octets long.
            serial=number(f"{label}/instance serial", 160) | 1 << 159,
        ),
        "leaf": Level(
            subject=f"{module}.{region}.{DOMAIN}",
            order=_LONG_ORDER,
            key=leaf,
            begin=now - timedelta(seconds=3),
            end=now + 3 * _HOUR,
            extensions=(NOT_A_CA, KEY_USAGE_LEAF),
            serial=int(module[-16:], 16) << 64 | int(now.timestamp()),
        ),
    }


def chain(plan: dict[str, Level]) -> list[bytes]:
    """Make the certificates in order, each issued by the one before, the first by itself."""
    made: list[bytes] = []
    issuer = next(iter(plan.values()))
    for level in plan.values():
        made.append(make(level, issuer))
        issuer = level
    return made


def number(label: str, bits: int) -> int:
    """Derive a positive number of at most `bits` bits."""
    return int.from_bytes(keys.derive(label, bits // 8), "big") | 1


def subject_key_id(key: keys.ec.EllipticCurvePrivateKey) -> bytes:
    """Encode a subjectKeyIdentifier."""
    return der.extension("551d0e", der.tlv(0x04, keys.key_id(key)))


def authority_key_id(key: keys.ec.EllipticCurvePrivateKey) -> bytes:
    """Encode an authorityKeyIdentifier with a key id only."""
    return der.extension("551d23", der.tlv(0x30, der.tlv(0x80, keys.key_id(key))))


def crl_distribution_point(label: str) -> bytes:
    """Encode where a revocation list could be fetched; the name resolves nowhere (RFC 2606)."""
    file = uuid.UUID(bytes=keys.derive(f"{label} crl", 16), version=4)
    url = f"http://crl.{DOMAIN}/crl/{file}.crl".encode()
    full_name = der.tlv(0xA0, der.tlv(0xA0, der.tlv(0x86, url)))
    return der.extension("551d1f", der.tlv(0x30, der.tlv(0x30, full_name)))
