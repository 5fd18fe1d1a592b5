"""Who the simulated instance is: its id, its region, its role, its root CA.

What makes an instance recognisable outlives its hypervisor, in the state directory:
documents of today and of last week come from the same instance and the same root.
"""

from __future__ import annotations

import json
import os
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
from nitrosim.places import make_private

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
    file = state / _FILE
    try:
        facts = json.loads(file.read_text("utf-8"))
        instance_id, region = facts["instance_id"], facts["region"]
    except FileNotFoundError:
        instance_id, region = random_instance_id(os.urandom), _REGION
        fresh = state / f".{_FILE}.{os.getpid()}"
        fresh.write_text(json.dumps({"instance_id": instance_id, "region": region}), "utf-8")
        fresh.replace(file)
    pki = InstancePki(
        root, region=region, instance_id=instance_id, clock=wall_clock, entropy=os.urandom
    )
    return InstanceIdentity(instance_id, region, root, pki)
