"""The forge for documents, shared with the corpus: right by default, wrong on demand."""

from __future__ import annotations

import pytest

from forgery.forge import Forge


@pytest.fixture
def forge() -> Forge:
    """A forge whose documents are right until something is changed."""
    return Forge("unit", nonce=b"a fresh nonce")
