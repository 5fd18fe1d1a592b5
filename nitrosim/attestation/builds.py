"""What builders print about an image: the measurements to expect (`Pcrs`, `AnyOf`).

``nitro-cli build-enclave`` prints a JSON object with ``Measurements``, ``describe-eif`` the same
and more, ``describe-enclaves`` an array of such objects. People keep the measurements alone, too.
In them, PCR0, PCR1 and PCR2 are hex; PCR8 is there when the image is signed.

For a rolling upgrade several of these belong together, and they are put together as text files
are: as an array, or one behind the other (``cat release-*.json``). Both are read. A name that an
object has twice is refused: which of two measurements was meant is not for us to guess.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from nitrosim.attestation.errors import AttestationError, Code

if TYPE_CHECKING:
    from collections.abc import Mapping

_LAUNCH_PCRS: Final = (0, 1, 2)
_BUILD_PCRS: Final = (*_LAUNCH_PCRS, 8)
_SPACE: Final = re.compile(r"[ \t\r\n]*")


def read_builds(output: str | bytes) -> list[Mapping[int, object]]:
    """Return the expected PCRs of each image that some builder's output tells of, in order.

    The values are what the JSON has, not looked at. Raises `ExpectationError` for anything else
    than one or more objects with PCR0, PCR1 and PCR2, bare or in arrays.
    """
    objects: list[object] = []
    for item in _read_json(output):
        objects.extend(item if isinstance(item, list) else [item])
    if not objects:
        raise Code.PCR_EXPECTATION("build output", got="nothing", expected="measurements in JSON")
    return [_measurements(item) for item in objects]


def _measurements(item: object) -> Mapping[int, object]:
    measurements = item.get("Measurements", item) if isinstance(item, dict) else None
    if not isinstance(measurements, dict):
        raise Code.PCR_EXPECTATION(
            "build output", got=type(item).__name__, expected="an object with Measurements"
        )
    found = {i: measurements[f"PCR{i}"] for i in _BUILD_PCRS if f"PCR{i}" in measurements}
    missing = [f"PCR{i}" for i in _LAUNCH_PCRS if i not in found]
    if missing:
        raise Code.PCR_EXPECTATION(
            "measurements", got=f"no {', '.join(missing)}", expected="PCR0, PCR1 and PCR2"
        )
    return found


def _read_json(output: object) -> list[object]:
    """Read JSON values that stand one behind the other, white space between them."""
    if not isinstance(output, str | bytes):
        raise _not_json(f"a {type(output).__name__}", "0 characters")
    size = f"{len(output)} characters"
    decoder = json.JSONDecoder(object_pairs_hook=_without_repetition)
    items: list[object] = []
    try:
        text = output.decode("utf-8-sig") if isinstance(output, bytes) else output
        at = _skip_space(text, 0)
        while at < len(text):
            item, at = decoder.raw_decode(text, at)
            items.append(item)
            at = _skip_space(text, at)
    except (ValueError, RecursionError) as error:
        raise _not_json(str(error), size) from error
    return items


def _skip_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return at if space is None else space.end()


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice in one object")
    return found


def _not_json(reason: str, got: str) -> AttestationError:
    return Code.PCR_EXPECTATION(f"build output ({reason})", got=got, expected="JSON")
