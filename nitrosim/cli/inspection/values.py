"""What some bytes look like: a key, a point, text, JSON, or a document in another wrapping.

Nothing here is believed or acted upon. The module that signs documents never looks at
`public_key`, `user_data` and `nonce`, so they may hold anything: real documents carry DER keys,
bare points of 64 and 65 bytes, hashes of 32 bytes and the word ``dummy`` in `public_key`.

A guess is worded as one ("could be"). A point that lies on a curve is stated as such, because
bytes that are none do so with a probability of 2^-256.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from nitrosim.cli.documents import printable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

_LONGEST_JSON: Final = 4096
_DEEPEST_JSON: Final = 16
_OPENING: Final = frozenset("[{")
_CLOSING: Final = frozenset("]}")
_JSON_LEXEME: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
_CURVES: Final = ("SECP256R1", "SECP256K1", "SECP384R1", "SECP521R1")
_CURVE_NAMES: Final = {
    "secp256r1": "P-256",
    "secp256k1": "secp256k1",
    "secp384r1": "P-384",
    "secp521r1": "P-521",
}
_PEM_KEY: Final = b"-----BEGIN "
_FORMS: Final = (
    (re.compile(rb"$"), "the file is empty: did the command that wrote it fail?"),
    (re.compile(rb"[0-9A-Fa-f]+$"), "this is hexadecimal text: 'xxd -r -p' makes bytes of it"),
    (
        re.compile(rb"[A-Za-z0-9+/]+=*$"),
        "this looks like base64 text: 'base64 -d' makes bytes of it",
    ),
    (
        re.compile(rb"\{"),
        "this looks like JSON: take the document out of it, usually as base64 text",
    ),
    (
        re.compile(rb"-----BEGIN"),
        "this is PEM text: a certificate or a key, and not a document",
    ),
)
"""How a file without white space begins, and what to do about it."""
_NSM_ANSWER: Final = bytes.fromhex("a16b4174746573746174696f6e")


def describe_key(value: bytes) -> str | None:
    """Name the public key that some bytes are, beyond doubt; None for all others."""
    if value.startswith((b"\x30", _PEM_KEY)):
        return _encoded_key(value)
    return _point(value)


def guess_key(value: bytes) -> str | None:
    """Say what kind of public key some bytes could be, going by their size; None if no kind."""
    if len(value) in (33, 49, 67) and value[0] in (2, 3):
        curves = _curves_of(value)
        # Half of all numbers are the x of a point.
        if curves:
            return f"could be a compressed point on {' or '.join(curves)}"
    if len(value) == 32:
        return "could be a raw X25519 or Ed25519 key, or a hash"
    if len(value) == 64:
        return "could be two numbers of 32 bytes, or a hash; no point on a usual curve"
    return None


def readable_text(value: bytes) -> str | None:
    """Return bytes as text if they are UTF-8 and mostly characters that can be seen."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return None
    seen = sum(character.isprintable() or character in "\t\r\n" for character in text)
    return text if text and 4 * seen >= 3 * len(text) else None


def shown_lines(text: str) -> list[str]:
    """Return text line by line with everything unprintable escaped; JSON is laid out first."""
    laid_out = indented_json(text)
    lines = re.split(r"\r?\n", text if laid_out is None else laid_out)
    if lines[-1] == "":
        del lines[-1]
    return [printable(line.replace("\t", "    ")) for line in lines]


def indented_json(text: str) -> str | None:
    """Lay out a JSON object or array, every number and string as it stands; None for other text.

    Only white space is changed. A value read and written again could look different from what
    another reader of the same bytes sees: keys that occur twice, large numbers.
    """
    if len(text) > _LONGEST_JSON or not text.lstrip().startswith(("{", "[")):
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    pieces: list[str] = []
    depth, previous = 0, ""
    for lexeme in _JSON_LEXEME.findall(text):
        depth -= lexeme in _CLOSING
        # A container without entries stays on its line.
        if previous == "," or (previous in _OPENING) != (lexeme in _CLOSING):
            pieces.append("\n" + "  " * depth)
        pieces.append(": " if lexeme == ":" else lexeme)
        depth += lexeme in _OPENING
        if depth > _DEEPEST_JSON:
            return None
        previous = lexeme
    return "".join(pieces)


def wrapping_hint(data: bytes) -> str | None:
    """Say how to get at the document if a file holds one in another form; None if unknown."""
    if data.startswith(_NSM_ANSWER):
        return "this is the module's whole answer: the document is the byte string inside it"
    packed = b"".join(data.split())
    return next((hint for form, hint in _FORMS if form.match(packed)), None)


def _encoded_key(value: bytes) -> str | None:
    """Name a key in one of its standard encodings."""
    # Takes longer to load than a verification; only documents with such a key pay.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        load_der_public_key,
        load_pem_public_key,
    )

    encoding, load = (
        ("PEM", load_pem_public_key) if value.startswith(_PEM_KEY) else ("DER", load_der_public_key)
    )
    try:
        key = load(value)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return f"{_key_name(key)}, public key in {encoding}"


def _key_name(key: PublicKeyTypes) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415

    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {_CURVE_NAMES.get(key.curve.name, key.curve.name)}"
    return type(key).__name__.strip("_").removesuffix("PublicKey")


def _point(value: bytes) -> str | None:
    """Name the curve that a bare point lies on, with or without its leading 04."""
    if len(value) == 64:
        form, encoded = "x and y without the leading 04", b"\x04" + value
    elif len(value) in (65, 97, 133) and value[0] == 4:
        form, encoded = "uncompressed", value
    else:
        return None
    curves = _curves_of(encoded)
    return f"a point on {' or '.join(curves)}, {form}" if curves else None


def _curves_of(point: bytes) -> list[str]:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    found: list[str] = []
    for name in _CURVES:
        curve: ec.EllipticCurve = getattr(ec, name)()
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
        except (ValueError, UnsupportedAlgorithm):
            continue
        found.append(_CURVE_NAMES[curve.name])
    return found
