# noqa: INP001 - a script, not a package
"""Write the tables that are data of the program into the pages about them."""

from __future__ import annotations

import contextlib
import io
import sys

from generated import main

from nitrosim.attestation.errors import Code
from nitrosim.attestation.steps import STEPS
from nitrosim.builder import BuildCode
from nitrosim.cli.main import main as nitrosim
from nitrosim.cli.nitro_cli.codes import ErrorCode
from nitrosim.eif.cpio_errors import CpioCode
from nitrosim.eif.errors import Code as EifCode
from nitrosim.images import ImageCode


def _errors() -> str:
    """Every code with the step that refuses, its class and its meaning, in order of the steps."""
    rows = [
        f"| `{code.name}` | {code.step} | `{code.error.__name__}` | {code.meaning} |"
        for code in sorted(Code, key=lambda code: code.step)
    ]
    return "\n".join(["| code | step | error | meaning |", "|---|---|---|---|", *rows])


def _compatibility() -> str:
    with contextlib.redirect_stdout(io.StringIO()) as output:
        nitrosim(["compat", "--markdown"])
    return output.getvalue()


def _steps() -> str:
    rows = [f"{number}. {name}" for number, name in STEPS.items()]
    return "\n".join(rows)


def _eif_errors() -> str:
    rows = [f"| `{code.name}` | {code.meaning} |" for code in (*EifCode, *CpioCode)]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


def _image_errors() -> str:
    rows = [f"| `{code.name}` | {code.meaning} |" for code in ImageCode]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


def _build_errors() -> str:
    rows = [f"| `{code.name}` | {code.meaning} |" for code in BuildCode]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


def _nitro_cli_errors() -> str:
    rows = [f"| `{code.code}` | {code.title} |" for code in ErrorCode]
    return "\n".join(["| code | headline |", "|---|---|", *rows])


if __name__ == "__main__":
    pages = {
        "errors.md": _errors(),
        "compatibility.md": _compatibility(),
        "verify.md": _steps(),
        "eif.md": _eif_errors(),
        "images.md": _image_errors(),
        "build.md": _build_errors(),
        "nitro-cli.md": _nitro_cli_errors(),
    }
    sys.exit(main(pages, description=__doc__))
