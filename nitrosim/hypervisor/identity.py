"""Who the simulated instance is: its id, its region, its role, its root CA.

What makes an instance recognisable outlives its hypervisor, in the state directory:
documents of today and of last week come from the same instance and the same root.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from fake_nsm import (
    EnclaveIdentity,
    FakeNsm,
    InstancePki,
    PcrBank,
    RootAuthority,
    random_instance_id,
)
from nitrosim.authority import load_or_create_root
from nitrosim.errors import InstanceError
from nitrosim.places import make_private

# DEVIATION: The simulated instance is in us-east-1 and has no IAM role, so PCR3 is zero.
_FILE = "instance.json"
_REGION = "us-east-1"


def wall_clock() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class InstanceIdentity:
    """The simulated EC2 instance."""

    instance_id: str
    region: str
    root: RootAuthority
    pki: InstancePki

    def new_enclave(self) -> EnclaveIdentity:
        """Return the identity of an enclave that is launched now."""
        return EnclaveIdentity.launch(
            instance_id=self.instance_id, region=self.region, clock=wall_clock, entropy=os.urandom
        )

    def new_nsm(self, enclave: EnclaveIdentity, pcrs: dict[int, bytes]) -> FakeNsm:
        """Return the module of `enclave`, with launch measurements `pcrs`."""
        return FakeNsm(enclave, PcrBank(pcrs), self.pki, clock=wall_clock, entropy=os.urandom)


def load_or_create(state: Path) -> InstanceIdentity:
    """Return the instance whose state is in the directory `state`; make it if there is none.

    Raises:
        NitroSimError: the files there are damaged or not private.

    """
    make_private(state)
    root = load_or_create_root(state / "ca")
    facts = _load_or_create_facts(state)
    instance_id, region = facts["instance_id"], facts["region"]
    pki = InstancePki(
        root, region=region, instance_id=instance_id, clock=wall_clock, entropy=os.urandom
    )
    return InstanceIdentity(instance_id, region, root, pki)


def _load_or_create_facts(state: Path) -> dict[str, str]:
    """Return the id and region of the instance; of several first users one decides."""
    file = state / _FILE
    if not file.exists():
        facts = {"instance_id": random_instance_id(os.urandom), "region": _REGION}
        fd, name = tempfile.mkstemp(dir=state, prefix=f".{_FILE}.")
        fresh = Path(name)
        with os.fdopen(fd, "w") as stream:
            json.dump(facts, stream)
        with contextlib.suppress(FileExistsError):
            file.hardlink_to(fresh)
        fresh.unlink()
    try:
        facts = json.loads(file.read_text("utf-8"))
        return {name: str(facts[name]) for name in ("instance_id", "region")}
    except (ValueError, KeyError, TypeError) as error:
        raise InstanceError(
            f"{file} is damaged ({error!r}); remove it, and the instance gets a new id",
            code="INSTANCE_DAMAGED",
        ) from error
