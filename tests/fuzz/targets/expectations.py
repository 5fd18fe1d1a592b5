"""What callers give: roots in any form, and the output of builders.

It comes from configuration files and other programs, so it may be anything. The first byte says
what the rest is; whatever it is, it is taken or refused with an `ExpectationError`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from fuzzing import library, oracle
from nitrosim.attestation import AnyOf, Pcrs, Verifier
from nitrosim.attestation.errors import ExpectationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_BUILD = json.dumps({"Measurements": {f"PCR{i}": f"{i}a" * 48 for i in (0, 1, 2, 8)}}).encode()


def seeds() -> Sequence[bytes]:
    """Return roots as DER, PEM and pin, and measurements, each behind its byte."""
    der = library.root(library.cases()[0])
    armour = b"-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n"
    roots = [der, armour % base64.encodebytes(der), hashlib.sha256(der).digest()]
    roots.append(roots[-1].hex().encode())
    return [
        *(b"\0" + root for root in roots),
        *(b"\1" + root for root in roots),
        b"\2" + _BUILD,
        *(b"\3" + builds for builds in (_BUILD, _BUILD + b"\n" + _BUILD, b"[%s]" % _BUILD)),
        b"\2" + json.dumps(json.loads(_BUILD)["Measurements"]).encode(),
        # Deeper than the interpreter follows.
        b"\2" + b"[" * 15_000,
    ]


def target(data: bytes) -> None:
    """Give it to a verifier, or to a policy."""
    kind, given = data[:1], data[1:]
    try:
        if kind == b"\0":
            Verifier([given])
        elif kind == b"\1":
            Verifier([given.decode("latin-1")])
        elif kind == b"\2":
            _check(Pcrs.from_build(given))
        else:
            for policy in AnyOf.from_builds(given).policies:
                assert isinstance(policy, Pcrs)
                _check(policy)
    except ExpectationError as error:
        oracle.check_refusal(error)


def _check(policy: Pcrs) -> None:
    assert {0, 1, 2} <= set(policy.expected) <= {0, 1, 2, 8}
    assert all(len(value) == 48 and any(value) for value in policy.expected.values())
