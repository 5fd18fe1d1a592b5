"""One fuzz target under atheris, in a process of its own: started by run.py.

    python worker.py TARGET [libFuzzer options and folders]...

Only nitrosim is instrumented: new ways through the readers under test are what counts, not those
through the libraries that they are compared with.
"""

from __future__ import annotations

import random
import sys

import atheris

import targets
from fuzzing import mutation


def main(name: str, options: list[str]) -> None:
    """Fuzz until an option says stop, or something is found; does not return."""
    with atheris.instrument_imports(include=["nitrosim"]):
        module = targets.load(name)
    mutate = getattr(module, "mutate", mutation.mutate)

    def mutated(data: bytes, size: int, seed: int) -> bytes:
        def havoc(octets: bytes) -> bytes:
            return atheris.Mutate(octets, len(octets) + 32)

        return mutate(data, random.Random(seed), havoc)[:size]

    def crossed(one: bytes, other: bytes, size: int, seed: int) -> bytes:
        return targets.crossed(module, one, other, random.Random(seed))[:size]

    atheris.Setup(
        [sys.argv[0], *options], module.target, custom_mutator=mutated, custom_crossover=crossed
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
