"""A client that leaves in the middle of a start leaves no enclave behind."""

import time

import pytest

from nitrosim.backends.command import image_from_command
from nitrosim.hypervisor.protocol import send_message
from nitrosim.instance import Instance

pytestmark = pytest.mark.needs("userns")

PATIENCE = 20.0


def run_request(image):
    return {
        "op": "run",
        "name": "abandoned",
        "cpu_count": 2,
        "memory_mib": 512,
        "debug_mode": False,
        "operations": [(o.name, *o.arguments) for o in image.operations],
        "command": image.command,
        "environment": dict(image.environment),
        "pcrs": {index: value.hex() for index, value in image.pcrs.items()},
    }


def test_an_enclave_whose_client_left_before_its_init_was_known_ends():
    request = run_request(image_from_command(["sleep", "1000"]))
    with Instance() as instance:
        for _ in range(20):
            connection = instance._fresh_connection()
            send_message(connection._sock, request)
            connection.close()

        deadline = time.monotonic() + PATIENCE
        while instance.enclaves() and time.monotonic() < deadline:
            continue

        assert [] == instance.enclaves()
