"""What the documentation lists by hand is complete: names, error codes, exit statuses."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import fake_nsm
import nitrosim
from nitrosim import attestation, eif

REPOSITORY = Path(__file__).resolve().parent.parent.parent
#: Names for values and types, which have no docstring at run time.
VALUES = {"__version__", "Clock", "Entropy"}


def public_names():
    for package in (nitrosim, attestation, eif, fake_nsm):
        for name in package.__all__:
            yield pytest.param(package, name, id=f"{package.__name__}.{name}")


@pytest.mark.parametrize(("package", "name"), list(public_names()))
def test_public_name_is_listed_and_has_a_docstring(package, name):
    page = (REPOSITORY / "docs" / "api.md").read_text("utf-8")
    section = page.partition(f"\n## {package.__name__}\n")[2].partition("\n## ")[0]

    assert f"\n| `{name}` | " in section
    assert name in VALUES or getattr(package, name).__doc__


def codes_in_sources() -> set[str]:
    """Return every code that is given to an error or a refusal, or is a class's own."""
    codes: set[str] = set()
    for root in ("nitrosim", "fake_nsm"):
        for path in (REPOSITORY / root).rglob("*.py"):
            if "attestation" not in path.parts:
                for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                    codes.update(codes_of(node))
    return codes


def codes_of(node: ast.AST) -> set[str]:
    match node:
        case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
            return {code}
        case ast.Call(func=ast.Name(id="RequestError"), args=[ast.Constant(value=str(code)), *_]):
            return {code}
        case ast.ClassDef(body=body):
            return {
                statement.value.value
                for statement in body
                if isinstance(statement, ast.Assign)
                and isinstance(statement.targets[0], ast.Name)
                and statement.targets[0].id == "code"
                and isinstance(statement.value, ast.Constant)
            }
    return set()


def test_page_of_errors_lists_every_code_of_the_sources_and_no_other():
    page = (REPOSITORY / "docs" / "errors.md").read_text("utf-8").partition("## Refused")[0]
    listed = re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)

    assert sorted(codes_in_sources()) == sorted(listed)


def test_page_of_errors_lists_every_code_of_refused_documents():
    page = (REPOSITORY / "docs" / "errors.md").read_text("utf-8").partition("## Refused")[2]
    listed = re.findall(r"^\| `([A-Z_0-9]+)` \| [0-9]+ \| `\w+` \|", page, re.MULTILINE)

    assert sorted(code.name for code in attestation.errors.Code) == sorted(listed)


def test_every_decision_is_linked_from_the_architecture():
    page = (REPOSITORY / "docs" / "architecture.md").read_text("utf-8")
    pages = sorted(path.name for path in (REPOSITORY / "docs" / "adr").glob("*.md"))

    assert pages == sorted(re.findall(r"\(adr/([^)]+)\)", page))
