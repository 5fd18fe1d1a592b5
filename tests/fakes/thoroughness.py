"""How much is tried: a part in make test, which people wait for, and all in make thorough."""

from __future__ import annotations

import os

THOROUGH = os.environ.get("NITROSIM_THOROUGH") == "1"


def examples(count):
    """Return how many examples a property test makes, of the `count` of a thorough one."""
    return count if THOROUGH else count // 3


def part(items, every):
    """Return all items, or every so many of them."""
    return items if THOROUGH else items[::every]
