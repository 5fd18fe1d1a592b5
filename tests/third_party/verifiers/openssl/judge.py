"""Puts the chains of attestation documents to openssl: one job per line in, one verdict out.

A job is five fields with tabs between: id, time in milliseconds, root (path of the DER), document,
which is not looked at, and its certificates, root first (DER in hex, commas between; ``-`` if
nobody could find them). openssl searches a path from the leaf to the root that it is told to trust.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from base64 import encodebytes
from pathlib import Path


def pem(*certificates: bytes) -> bytes:
    """Write certificates as openssl wants to read them."""
    begin, end = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"
    return b"".join(begin + encodebytes(certificate) + end for certificate in certificates)


def judge(time_ms: int, root: bytes, chain: list[bytes], folder: Path) -> tuple[str, str]:
    """Ask about one chain; the document's own root is left out where there is more than it."""
    *between, leaf = chain[1:] or chain
    for name, certificates in {"root": [root], "leaf": [leaf], "between": between}.items():
        (folder / name).write_bytes(pem(*certificates))
    command = ["openssl", "verify", "-no-CApath", "-no-CAstore", "-CAfile", "root"]
    if between:
        command += ["-untrusted", "between"]
    command += ["-attime", str(time_ms // 1000), "leaf"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode < 0:
        return "crash", f"signal {-done.returncode}"
    if done.returncode == 0:
        return "accept", ""
    reasons = [line for line in done.stderr.splitlines() if line.startswith("error")]
    return "refuse", (reasons or done.stderr.splitlines())[0]


with tempfile.TemporaryDirectory() as scratch:
    for line in sys.stdin:
        name, time, root_path, _document, certificates = line.rstrip("\n").split("\t")
        if certificates == "-":
            verdict, why = "unsupported", "no certificates were found in it"
        else:
            found = [bytes.fromhex(certificate) for certificate in certificates.split(",")]
            root_der = Path(root_path).read_bytes()
            verdict, why = judge(int(time), root_der, found, Path(scratch))
        print(json.dumps({"id": name, "verdict": verdict, "reason": why}), flush=True)
