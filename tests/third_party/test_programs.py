"""The programs of others that take minutes to build: ``make programs`` runs this file, and builds.

Without ``NITROSIM_BUILD``, as in ``make test``, it only looks whether they are there.
"""

from __future__ import annotations

import os

import pytest

from building import UnavailableError
from verifiers import programs


def test_the_official_crate_for_images_is_there(official_eif):
    assert os.access(official_eif, os.X_OK)


@pytest.mark.parametrize("name", ["verifiers", "verify"])
def test_the_verifiers_in_rust_are_there(name):
    try:
        program = programs.rust(name)
    except UnavailableError as error:
        if error.tool in os.environ.get("NITROSIM_REQUIRE", "").split(","):
            raise
        pytest.skip(str(error))

    assert os.access(program, os.X_OK)
