"""What the modules that every command starts with load; what they answer is tested elsewhere."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    "module", ["nitrosim.errors", "nitrosim.directories", "nitrosim.sandbox.hardware"]
)
def test_what_every_command_starts_with_loads_nothing_of_the_standard_library(module):
    program = f"import sys; print(*sys.modules); import {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    before, after = (set(names.split()) for names in done.stdout.splitlines())

    assert {"__future__", "nitrosim"} == {name.partition(".")[0] for name in after - before}
