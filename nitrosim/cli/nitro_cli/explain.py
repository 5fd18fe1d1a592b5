"""The sub-command explain: what an error code means, on standard error."""

from __future__ import annotations

import sys

from nitrosim.cli.nitro_cli.codes import ErrorCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nitrosim.cli.nitro_cli.clap import Parsed
    from nitrosim.cli.nitro_cli.context import Context


def explain(parsed: Parsed, _context: Context) -> None:
    """Print the explanation, or that there is none."""
    print(explanation(parsed.value("error-code") or ""), file=sys.stderr)


def explanation(code: str) -> str:
    """Return what is printed about a code, without the final line break."""
    for known in ErrorCode:
        if known.code == code and known.explanation is not None:
            return known.explanation
    return f"No such error code {code}"
