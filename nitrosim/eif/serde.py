"""JSON exactly as the Rust library serde_json reads and writes it, which is what nitro-cli uses.

What differs from Python's own `json` module, and decides whether a file is readable and which
bytes it has:

* the input is UTF-8 without a byte order mark; NaN, Infinity and lone surrogates are errors;
* 127 levels of arrays and objects are read, the 128th is an error;
* an integer of more than 64 bits, and ``-0``, is a floating-point number; one too large is an
  error; a number of many digits is converted by a fast method that may be off in the last bit;
* of a repeated key in an object the last value counts, but a repeated field of a fixed structure
  is an error;
* keys of free-form objects are kept sorted, by bytes;
* compact output has no blanks, pretty output two per level and ``[]`` and ``{}`` for what is
  empty; text is UTF-8, and only quotes, backslashes and control characters are escaped;
* floating-point numbers always have a point or an exponent, the latter with a sign and no zeros.
"""

from __future__ import annotations

import json
import math
import re
from typing import Final, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What JSON text means. `bool` is a Python int: compare types with `type(x) is int`."""

MAX_LEVELS: Final = 127
"""Arrays and objects inside one another that are read."""

_U64_MAX: Final = (1 << 64) - 1
_I64_MIN: Final = -(1 << 63)
_I32_MAX: Final = (1 << 31) - 1
_MOST_EXPONENT: Final = 308
_NUMBER: Final = re.compile(r"-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?)(\d+))?", re.ASCII)
_POINT_FROM: Final = -5
"""The least decimal exponent of a number written without an exponent."""


class JsonError(Exception):
    """The bytes are not JSON; `position` in bytes is where, as far as that is known."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


class RepeatedKeys(dict[str, Json]):
    """An object in which a key was repeated; `repeated` names them."""

    repeated: frozenset[str]


def read(data: bytes) -> Json:
    """Read one JSON text that all of `data` belongs to.

    Objects with repeated keys are `RepeatedKeys`.

    Raises:
        JsonError: with the position in bytes.

    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonError("not UTF-8", error.start) from error
    try:
        value: Json = _DECODER.decode(text)
        _check_levels(value)
    except json.JSONDecodeError as error:
        raise JsonError(error.msg, len(text[: error.pos].encode("utf-8"))) from error
    except RecursionError as error:
        raise JsonError(f"nested more than {MAX_LEVELS} levels deep") from error
    if "\\u" in text:
        try:
            write(value)
        except UnicodeEncodeError as error:
            raise JsonError("a lone surrogate") from error
    return value


def write(value: Json) -> bytes:
    """Write compact JSON; keys of objects stay in their order."""
    return "".join(_compact(value)).encode("utf-8")


def write_pretty(value: Json) -> str:
    """Write JSON with two blanks per level, as nitro-cli prints it, without a final line break."""
    return _pretty(value, "\n")


def sort_keys(value: Json) -> Json:
    """Return the same value with the keys of all objects sorted."""
    if isinstance(value, dict):
        return {key: sort_keys(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [sort_keys(item) for item in value]
    return value


def _compact(value: Json) -> list[str]:
    if isinstance(value, dict):
        parts = ["{"]
        for number, (key, item) in enumerate(value.items()):
            parts += ["," if number else "", _text(key), ":", *_compact(item)]
        return [*parts, "}"]
    if isinstance(value, list):
        parts = ["["]
        for number, item in enumerate(value):
            parts += ["," if number else "", *_compact(item)]
        return [*parts, "]"]
    return [_scalar(value)]


def _pretty(value: Json, line: str) -> str:
    inner = f"{line}  "
    if isinstance(value, dict) and value:
        pairs = (f"{_text(key)}: {_pretty(item, inner)}" for key, item in value.items())
        return f"{{{inner}{f',{inner}'.join(pairs)}{line}}}"
    if isinstance(value, list) and value:
        items = (_pretty(item, inner) for item in value)
        return f"[{inner}{f',{inner}'.join(items)}{line}]"
    return "".join(_compact(value))


def _scalar(value: float | str | None) -> str:
    if isinstance(value, str):
        return _text(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return _float(value)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _float(value: float) -> str:
    """Write the shortest digits that read back the same, in serde_json's choice of form."""
    if not math.isfinite(value):
        return "null"
    sign = "-" if math.copysign(1, value) < 0 else ""
    digits, _e, exponent_text = f"{abs(value)!r}".partition("e")
    whole, _point, fraction = digits.partition(".")
    if not exponent_text and value:
        # Python writes 0.0001 without an exponent, and so does serde_json.
        return f"{sign}{digits}"
    if not value:
        return f"{sign}0.0"
    exponent = int(exponent_text)
    fraction = fraction.rstrip("0")
    if _POINT_FROM <= exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{whole}{fraction}"
    point = "." if fraction else ""
    # ASSUMPTION: nitro-cli writes 1e100 as 1e+100, as serde_json does since it formats numbers
    # with zmij (seen in 1.0.154); with older versions of it the plus is missing.
    return f"{sign}{whole}{point}{fraction}e{exponent:+d}"


def _check_levels(value: Json) -> None:
    level: list[Json] = [value]
    for _depth in range(MAX_LEVELS + 1):
        inside: list[Json] = []
        for item in level:
            if isinstance(item, dict):
                inside += item.values()
            elif isinstance(item, list):
                inside += item
        if not any(isinstance(item, dict | list) for item in level):
            return
        level = inside
    raise RecursionError


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    marked = RepeatedKeys(found)
    names = [name for name, _value in pairs]
    marked.repeated = frozenset(name for name in found if names.count(name) > 1)
    return marked


def _constant(name: str) -> Json:
    raise json.JSONDecodeError(f"{name} is not JSON", name, 0)


def _integer(text: str) -> float:
    if len(text) <= len(str(_I64_MIN)):
        value = int(text)
        if _I64_MIN <= value <= _U64_MAX and text != "-0":
            return value
    return _number(text)


def _number(text: str) -> float:
    """Convert as serde_json does without its feature float_roundtrip.

    At most 64 bits of digits count, and they are multiplied with or divided by a power of ten in
    one rounding step, or two beyond 1e308.
    """
    match = _NUMBER.fullmatch(text)
    assert match, "the decoder passes numbers only"
    whole, fraction, exponent_sign, exponent_digits = match.groups(default="")
    significand, exponent = 0, 0
    for number, digit in enumerate(whole):
        if (grown := significand * 10 + int(digit)) > _U64_MAX:
            exponent = len(whole) - number
            break
        significand = grown
    for digit in fraction:
        if (grown := significand * 10 + int(digit)) > _U64_MAX:
            break
        significand, exponent = grown, exponent - 1
    given = int(exponent_digits[:20] or "0")
    if given > _I32_MAX:
        if significand and exponent_sign != "-":
            raise json.JSONDecodeError("number out of range", text, 0)
        return -0.0 if text.startswith("-") else 0.0
    exponent += -given if exponent_sign == "-" else given
    value = _scale(float(significand), exponent, text)
    return -value if text.startswith("-") else value


def _scale(value: float, exponent: int, text: str) -> float:
    while abs(exponent) > _MOST_EXPONENT:
        if not value:
            return value
        if exponent > 0:
            raise json.JSONDecodeError("number out of range", text, 0)
        value /= 1e308
        exponent += _MOST_EXPONENT
    if exponent < 0:
        return value / _POWERS[-exponent]
    value *= _POWERS[exponent]
    if math.isinf(value):
        raise json.JSONDecodeError("number out of range", text, 0)
    return value


_POWERS: Final = tuple(float(f"1e{exponent}") for exponent in range(_MOST_EXPONENT + 1))
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=_number,
    parse_int=_integer,
    parse_constant=_constant,
)
