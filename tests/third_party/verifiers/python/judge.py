"""Puts attestation documents to Evervault's Python bindings: one job per line in, one verdict out.

A job is five fields with tabs between: id, time in milliseconds, root (path of the DER), document
(path), and the document's certificates, which the bindings do not need.

The bindings know only the root of AWS and only the time it is now. For the time, `clock.c` has to
be preloaded. With another root they come as far as the chain, and refuse there: then everything
before, which is what can be asked, was accepted.

They are made for documents that hold the key of a TLS server in user_data, and compare it last.
What gets that far is accepted: that document is not for this server, but it is genuine. (A public
key of a forbidden length is complained of in the same words; no genuine document has one.)
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import sys
from pathlib import Path

import evervault_attestation_bindings as evervault

AWS = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"
CHAIN = ("Failed to validate the trust chain",)
BINDING = ("User data was not set", "The public key length in the attestation doc was invalid")

clock = ctypes.CDLL(None)
clock.set_clock.argtypes = [ctypes.c_int64]


def judge(time_ms: int, root: bytes, document: bytes) -> tuple[str, str]:
    """Ask about one document; any certificate will do for the server's."""
    clock.set_clock(time_ms)
    try:
        evervault.attest_enclave(root, [], document)
    except ValueError as error:
        reason = str(error)
        last = BINDING if hashlib.sha256(root).hexdigest() == AWS else CHAIN
        return ("accept" if any(text in reason for text in last) else "refuse"), reason
    return "accept", ""


for line in sys.stdin:
    name, time, root_path, document_path, _certificates = line.rstrip("\n").split("\t")
    verdict, why = judge(int(time), Path(root_path).read_bytes(), Path(document_path).read_bytes())
    print(json.dumps({"id": name, "verdict": verdict, "reason": why}), flush=True)
