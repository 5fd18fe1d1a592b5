# noqa: INP001 - a script, not a package
"""Write every public name and the first line of its docstring into api.md."""

from __future__ import annotations

import inspect
import re
import sys
from types import ModuleType

from generated import main

import fake_nsm
import nitrosim
from nitrosim import attestation, eif

#: Names for values, which have no docstring at run time.
_VALUES = {
    "__version__": "The version of nitrosim, as text.",
    "Clock": "Returns the time in milliseconds since 1970 UTC.",
    "Entropy": "Returns the given number of random bytes.",
}
_ROLE = re.compile(r":\w+:`([^`]+)`")


def summary(name: str, value: object) -> str:
    """Return the first line of a docstring as Markdown; exits when there is none."""
    if name in _VALUES:
        return _VALUES[name]
    if not value.__doc__:
        sys.exit(f"{name} has no docstring")
    first = value.__doc__.strip().splitlines()[0]
    return _ROLE.sub(r"`\1`", first.replace("``", "`")).replace("|", r"\|")


def _package(package: ModuleType) -> str:
    lines = [f"## {package.__name__}", "", "| name | |", "|---|---|"]
    classes = []
    for name in sorted(package.__all__):
        value = getattr(package, name)
        lines.append(f"| `{name}` | {summary(name, value)} |")
        if inspect.isclass(value) and not issubclass(value, Exception):
            classes.append(value)
    for cls in classes:
        members = [
            f"| `{name}` | {summary(f'{cls.__name__}.{name}', value)} |"
            for name, value in vars(cls).items()
            if not name.startswith("_")
            and (inspect.isroutine(value) or isinstance(value, property))
        ]
        if members:
            lines += ["", f"### {cls.__name__}", "", "| member | |", "|---|---|", *members]
    return "\n".join(lines)


def _render() -> str:
    return "\n\n".join(_package(package) for package in (nitrosim, attestation, eif, fake_nsm))


if __name__ == "__main__":
    sys.exit(main({"api.md": _render()}, description=__doc__))
