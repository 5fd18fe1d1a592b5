"""The hypervisor of an instance, as run-enclave sees it: it starts everything, or refuses."""

from __future__ import annotations

import os

FACTS = {
    "EnclaveName": "app",
    "EnclaveID": "i-0-enc1",
    "ProcessID": 4711,
    "EnclaveCID": 16,
    "NumberOfCPUs": 2,
    "CPUIDs": [1, 5],
    "MemoryMiB": 512,
}


class FakeHypervisor:
    """The hypervisor of an instance: it starts whatever it shall, or refuses."""

    def __init__(self):
        self.asked = {}
        self.refusals = {}
        self.console = b""
        self.closed = False
        self.booting = False
        self.given = -1

    def request(self, operation, **fields):
        assert not self.closed
        self.asked[operation] = fields
        if operation in self.refusals:
            raise self.refusals[operation]
        return {}

    def run(self, image, **fields):
        self.request("run", image=image, **fields)
        reader, writer = os.pipe()
        os.write(writer, self.console)
        os.close(writer)
        self.given = reader
        return {"run_enclave": FACTS} | ({"booting": True} if self.booting else {}), reader

    def close(self):
        self.closed = True
