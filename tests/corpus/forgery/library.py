"""All cases as files: raw documents, roots, revocation lists, and one index of them in JSON."""

from __future__ import annotations

import hashlib
import json
from base64 import encodebytes
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cbor2

import forgery.cases  # noqa: F401 - fills the register
from forgery.case import CASES, MadeCase, make
from forgery.chains import chain, root_level
from forgery.forge import ROOT
from forgery.notes import NOTES
from nitrosim.attestation.errors import Code

VERSION = 1
GENERATED = ("documents", "roots", "crls")
"""Folders that hold nothing but generated files; `index.json` is generated too."""


def files() -> dict[str, bytes]:
    """Make everything: path in the corpus -> content."""
    made = [make(case) for case in CASES.values()]
    shared = chain({"root": root_level(ROOT)})[0]
    names = {shared: "corpus"}
    content: dict[str, bytes] = {}
    cases = []
    for case in made:
        name = names.setdefault(case.root, case.case.id.replace("/", "-"))
        document = f"documents/{case.case.id}.cbor"
        content[document] = case.document
        lists = []
        for position, crl in enumerate(case.setting.crls):
            lists.append(f"crls/{case.case.id.replace('/', '-')}-{position}.der")
            content[lists[-1]] = crl
        cases.append(_entry(case, name, document, lists))
    roots = {}
    for der, name in names.items():
        content[f"roots/{name}.der"] = der
        content[f"roots/{name}.pem"] = _pem(der)
        roots[name] = {
            "der": f"roots/{name}.der",
            "pem": f"roots/{name}.pem",
            "sha256": hashlib.sha256(der).hexdigest(),
        }
    index = {
        "version": VERSION,
        "roots": roots,
        "notes": {slug: asdict(note) for slug, note in NOTES.items()},
        "cases": cases,
    }
    content["index.json"] = (json.dumps(index, indent=1, ensure_ascii=True) + "\n").encode()
    return content


def write(folder: Path) -> None:
    """Bring a folder up to date; files of cases that are no more are removed."""
    wanted = files()
    for path in _present(folder):
        if path.relative_to(folder).as_posix() not in wanted:
            path.unlink()
    for name, data in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def differences(folder: Path) -> list[str]:
    """Tell in which files a folder differs from what would be made now."""
    wanted = files()
    present = {path.relative_to(folder).as_posix(): path for path in _present(folder)}
    return sorted(
        name
        for name in wanted.keys() | present.keys()
        if name not in wanted or name not in present or present[name].read_bytes() != wanted[name]
    )


def _present(folder: Path) -> list[Path]:
    found = [path for name in GENERATED for path in (folder / name).rglob("*") if path.is_file()]
    index = folder / "index.json"
    return [*found, index] if index.exists() else found


def _entry(made: MadeCase, root: str, document: str, crls: list[str]) -> dict[str, Any]:
    case, setting = made.case, made.setting
    live = {"max_age_s": setting.max_age_s, "skew_s": setting.skew_s} if setting.live else {}
    return {
        "id": case.id,
        "about": case.about,
        "result": "accept" if case.code is None else "refuse",
        "code": case.code,
        "step": None if case.code is None else Code[case.code].step,
        "weight": case.weight,
        "notes": list(case.notes),
        "document": document,
        "sha256": hashlib.sha256(made.document).hexdigest(),
        "root": root,
        "time": setting.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "mode": "live" if setting.live else "historic",
        **live,
        "document_type": setting.document_type,
        "allow_debug": setting.allow_debug,
        "strict": setting.strict,
        "expect": _expect(made.expect),
        "crls": crls,
        "after": setting.after,
        "content": _content(made.document) if case.code is None else None,
    }


def _expect(expect: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in expect.items():
        shown[name] = _registers(value) if name == "pcrs" else value.hex()
    return shown


def _content(document: bytes) -> dict[str, Any]:
    """Say what a good document holds, by a decoder that is not the verifier's."""
    envelope = cbor2.loads(document)
    fields = cbor2.loads((envelope.value if isinstance(envelope, cbor2.CBORTag) else envelope)[2])
    optional = {
        name: None if fields.get(name) is None else fields[name].hex()
        for name in ("public_key", "user_data", "nonce")
    }
    return {
        "module_id": fields["module_id"],
        "timestamp_ms": fields["timestamp"],
        "pcrs": _registers(fields.get("pcrs") or fields.get("nitrotpm_pcrs")),
        **optional,
    }


def _registers(registers: dict[int, bytes]) -> dict[str, str]:
    return {str(index): value.hex() for index, value in sorted(registers.items())}


def _pem(der: bytes) -> bytes:
    base64 = encodebytes(der).replace(b"\n", b"")
    lines = [base64[i : i + 64] for i in range(0, len(base64), 64)]
    return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])
