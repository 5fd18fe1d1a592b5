"""`Forge`: the editor of documents. Right by default, wrong in exactly one way on demand."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from forgery import cbor, chains, der, keys
from forgery.certificates import Level

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
"""When the documents are made and, unless a case says otherwise, judged."""

REGION = "eu-central-1"
PROTECTED = bytes.fromhex("a1013822")
"""{1: -35}: ES384."""

ROOT = "corpus"
"""Label of the root that nearly all documents share."""


@dataclass
class Forge:
    """Makes documents of one enclave. Change `levels`, fields or arguments to make them wrong.

    Attributes:
        label: what keys, ids, nonces and serials are derived from.
        indefinite: whether the payload map has indefinite length, as real ones since 2025-08.
        levels: plan of the chain, root first; in the order of this dict.
        root: DER of the certificate that the verifier is to trust.
        now: time of issue.
        nonce: what documents carry as nonce unless told otherwise; derived when empty.

    """

    label: str
    indefinite: bool = False
    now: datetime = NOW
    region: str = REGION
    nonce: bytes = b""
    levels: dict[str, Level] = field(default_factory=dict)
    root: bytes = b""
    user_data = b"user data"
    order = keys.ORDER
    tlv = staticmethod(der.tlv)
    extension = staticmethod(der.extension)
    basic_constraints = staticmethod(der.basic_constraints)
    integer = staticmethod(der.integer)
    name = staticmethod(der.name)
    moment = staticmethod(der.moment)
    key_number = staticmethod(keys.key)
    key_info = staticmethod(keys.key_info)
    key_id = staticmethod(keys.key_id)
    point = staticmethod(keys.point)
    sign_der = staticmethod(keys.sign_der)
    sign_raw = staticmethod(keys.sign_raw)

    def __post_init__(self) -> None:
        self.instance = f"i-{keys.derive(f'{self.label} instance', 9).hex()[:17]}"
        launched = int((self.now - timedelta(hours=1)).timestamp() * 1000)
        self.module = f"{self.instance}-enc{launched:012x}{self.random('launch', 2).hex()}"
        self.levels = chains.levels(
            self.label, root=ROOT, module=self.module, region=self.region, now=self.now
        )
        self.root = chains.chain({"root": self.levels["root"]})[0]
        self.nonce = self.nonce or self.random("nonce", 16)

    def random(self, what: str, size: int) -> bytes:
        """Derive bytes that look random and are the same in every run."""
        return keys.derive(f"{self.label} {what}", size)

    # The chain

    def change(self, level: str, **changes: Any) -> Forge:
        """Change one certificate's plan; everything below it is signed again."""
        self.levels[level] = replace(self.levels[level], **changes)
        return self

    def edit(self, level: str, part: str, value: bytes) -> Forge:
        """Replace one DER part of one certificate before it is signed."""
        return self.change(level, edit=lambda parts: parts.update({part: value}))

    def extend(self, level: str, *extensions: bytes) -> Forge:
        """Add extensions to one certificate, replacing those of the same object identifier."""
        names = {der.content(extension)[:5] for extension in extensions}
        kept = [e for e in self.levels[level].extensions if der.content(e)[:5] not in names]
        return self.change(level, extensions=(*kept, *extensions))

    def without(self, level: str, oid: str) -> Forge:
        """Take an extension out of one certificate."""
        unwanted = der.tlv(0x06, bytes.fromhex(oid))
        kept = [e for e in self.levels[level].extensions if not der.content(e).startswith(unwanted)]
        return self.change(level, extensions=tuple(kept))

    def chain(self) -> list[bytes]:
        """Make the certificates, root first, leaf last."""
        return chains.chain(self.levels)

    def trust_own_root(self) -> Forge:
        """Make the verifier trust the chain's own root, whatever was changed in it."""
        self.root = self.chain()[0]
        return self

    # The payload

    @staticmethod
    def pcr(*parts: bytes) -> bytes:
        """Return a zero register after one extension."""
        return hashlib.sha384(bytes(48) + b"".join(parts)).digest()

    def pcrs(self) -> dict[int, bytes]:
        """Return registers 0 to 15 of a signed production image with a role."""
        values = dict.fromkeys(range(16), bytes(48))
        values |= {i: self.pcr(b"measurement %d" % i) for i in (0, 1, 2, 3, 8)}
        return values | {4: self.pcr(self.instance.encode())}

    def fields(self, **changes: object) -> dict[object, object]:
        """Return the nine fields in the order of real documents."""
        *bundle, leaf = self.chain()
        fields: dict[object, object] = {
            "module_id": self.module,
            "digest": "SHA384",
            "timestamp": int(self.now.timestamp() * 1000),
            "pcrs": self.pcrs(),
            "certificate": leaf,
            "cabundle": bundle,
            "public_key": None,
            "user_data": self.user_data,
            "nonce": self.nonce,
        }
        return fields | changes

    def entries(self, **changes: object) -> cbor.Entries:
        """Return the fields as encoded keys and values, in order."""
        return cbor.entries(self.fields(**changes))

    def map(self, entries: cbor.Entries) -> bytes:
        """Encode entries as the payload's map, definite or not."""
        return cbor.mapping(entries, indefinite=self.indefinite)

    def payload(self, **changes: object) -> bytes:
        """Encode the payload, with some fields changed."""
        return self.map(self.entries(**changes))

    # The envelope

    def sign(
        self,
        payload: bytes,
        *,
        protected: bytes = PROTECTED,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> bytes:
        """Sign a payload with the leaf's key: 96 bytes."""
        return keys.sign_raw(key or self.levels["leaf"].key, signed_bytes(payload, protected))

    def document(
        self,
        payload: bytes | None = None,
        *,
        protected: bytes = PROTECTED,
        unprotected: object = None,
        signature: bytes | None = None,
        **changes: object,
    ) -> bytes:
        """Sign a payload, or the default one with some fields changed."""
        if payload is None:
            payload = self.payload(**changes)
        signature = signature or self.sign(payload, protected=protected)
        return cbor.dumps([protected, unprotected or {}, payload, signature])

    def envelope(self, payload: bytes | None = None) -> list[bytes]:
        """Return the four encoded parts of a good envelope, to be changed and put together."""
        payload = self.payload() if payload is None else payload
        parts = (PROTECTED, {}, payload, self.sign(payload))
        return [cbor.dumps(part) for part in parts]


def signed_bytes(payload: bytes, protected: bytes = PROTECTED) -> bytes:
    """Return the Sig_structure (RFC 9052 section 4.4)."""
    return cbor.dumps(["Signature1", protected, b"", payload])
