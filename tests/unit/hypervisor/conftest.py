"""A place for sockets whose paths have to be short."""

import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def directory():
    """Return an empty directory; an AF_UNIX address has room for 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ns-", dir="/tmp") as name:
        yield Path(name)
