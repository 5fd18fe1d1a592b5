"""A client of the simulator that is killed: it starts enclaves and says what there is to watch."""

import json
import sys
from pathlib import Path

from nitrosim.instance import Instance

instance = Instance()
with instance._asking() as ask:
    hypervisor = ask.request("hello")["pid"]
enclaves = [instance.run_enclave(["sleep", "600"]) for _ in range(2)]
facts = {
    "hypervisor": hypervisor,
    "enclaves": [enclave.pid for enclave in enclaves],
    "runtime": str(Path(instance.root_pem).parent.parent.parent),
}
print(json.dumps(facts), flush=True)
sys.stdin.read()
