"""Fuzz targets: each module takes any bytes and fails when something is wrong with the answer.

A target module has

* `target(data)`: raises (an assertion, or whatever escaped) when a promise is broken;
* `seeds()`: inputs to start from;
* optionally `HEAD`, the number of bytes before the document that say how to judge it, and
  `mutate(data, random, havoc)`, when inputs are not changed in the usual way
  (`fuzzing.mutation`).

Nothing in a target depends on what ran before it, on the time or on chance: an input that fails
does so again. `run.py` runs them under a coverage-guided fuzzer; the unit tests run them over
their seeds and some thousands of fixed mutations.
"""

from __future__ import annotations

import importlib
from random import Random
from types import ModuleType

from fuzzing import mutation

TARGETS = {
    "walker": "the reader for CBOR, against cbor2",
    "layout": "payloads in their usual layout, against the reader for CBOR",
    "certificate": "the reader for certificates, against the cryptography package",
    "document": "verify, with real signatures: only what was seeded may pass",
    "sealed": "verify behind the signatures: everything is signed anew, caches warm and cold",
    "unverified": "looking without verifying",
    "revocation": "the reader for revocation lists, against the cryptography package",
    "expectations": "what callers give: roots in any form, output of builders",
    "inspection": "the report of nitrosim inspect, as text, JSON and page",
    "image": "the reader for Enclave Image Files, against a plain walk, zlib and cbor2",
    "signed": "signatures of images, made anew after every change, against cryptography",
    "ramdisk": "the reader for ramdisks, the writer and unpacking, against plain ones",
}
"""Name and subject of each target."""


def load(name: str) -> ModuleType:
    """Import a target."""
    return importlib.import_module(f"targets.{name}")


def crossed(module: ModuleType, one: bytes, other: bytes, random: Random) -> bytes:
    """Put a part of one input into another, behind the setting of it."""
    head: int = getattr(module, "HEAD", 0)
    return one[:head] + mutation.crossed(one[head:], other[head:], random)
