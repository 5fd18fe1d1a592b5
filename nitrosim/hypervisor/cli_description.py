"""What nitro-cli prints about an enclave that runs.

Keys, order and layout are those of nitro-cli 1.5.0, which prints JSON as serde does: two spaces of
indentation, text outside of ASCII as it is. The measurements are those of the image, in debug mode
too, when documents carry zeros. The name of the hash in them is a matter of the version of the
nitro-cli that asks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nitrosim.hypervisor.enclaves import Enclave, State

_FLAG_DEBUG: Final = "DEBUG_MODE"
_NO_FLAG: Final = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is known of an enclave's image.

    Attributes:
        pcrs: its registers by number, 48 bytes each.
        metadata: ``ImageName``, ``ImageVersion`` and ``Metadata`` as the text of a JSON object
            with two spaces of indentation; "" if the image has none.

    """

    pcrs: Mapping[int, bytes] = field(default_factory=dict)
    metadata: str = ""


def run_facts(enclave: Enclave) -> dict[str, Any]:
    """Return the object that run-enclave prints, keys in its order."""
    specification = enclave.specification
    return {
        "EnclaveName": specification.name,
        "EnclaveID": enclave.enclave_id,
        "ProcessID": enclave.pid,
        "EnclaveCID": enclave.side.cid,
        "NumberOfCPUs": specification.cpu_count,
        "CPUIDs": list(specification.cpu_ids),
        "MemoryMiB": specification.memory_mib,
    }


def described(
    enclave: Enclave, description: Description, *, hash_algorithm: str, with_metadata: bool
) -> bytes:
    """Return the object that describe-enclaves prints, as it stands alone."""
    # ASSUMPTION: An enclave that is being started is RUNNING for describe-enclaves; nitro-cli
    # makes its socket only when it runs.
    state = State.TERMINATING if enclave.state is State.TERMINATING else State.RUNNING
    registers = {f"PCR{n}": value.hex() for n, value in sorted(description.pcrs.items())}
    facts = run_facts(enclave) | {
        "State": state.value,
        "Flags": _FLAG_DEBUG if enclave.specification.debug_mode else _NO_FLAG,
        "Measurements": {"HashAlgorithm": hash_algorithm, **registers},
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    if with_metadata and description.metadata:
        # Text into text, because numbers of the metadata shall look as they do in the image.
        text = text.removesuffix("\n}") + "," + description.metadata.removeprefix("{")
    return text.encode("utf-8", "replace")
