"""What is loaded for what, asked of a fresh interpreter."""

import subprocess
import sys
from pathlib import Path

import pytest

import nitrosim.eif

REPOSITORY = Path(__file__).resolve().parents[3]
IMAGE = "fixtures/eif/hello-unsigned.eif"
DESCRIBED = f"from nitrosim.eif import Eif, describe; describe(Eif.open({IMAGE!r}))"


def loaded_after(program):
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; import sys; print(*sys.modules)"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_import_loads_nothing():
    found = loaded_after("import nitrosim.eif")

    assert {"nitrosim", "nitrosim.eif"} == {name for name in found if "nitrosim" in name}


def test_describing_an_unsigned_image_loads_neither_cryptography_nor_anything_else_of_ours():
    found = loaded_after(DESCRIBED)
    ours = {name for name in found if name.split(".")[0] in ("nitrosim", "fake_nsm")}

    assert set() == {"cryptography", "cbor2", "asyncio", "concurrent.futures", "ctypes"} & found
    assert {"nitrosim", "nitrosim.errors"} == {
        name for name in ours if not name.startswith("nitrosim.eif")
    }


@pytest.mark.parametrize("module", ["reader", "writer", "description", "signing"])
def test_images_need_nothing_of_linux(module):
    found = loaded_after(f"import nitrosim.eif.{module}")

    assert set() == {"fcntl", "pty", "termios", "ctypes"} & found


def test_every_public_name_is_there_and_no_module_is_in_its_way():
    program = (
        "import sys, nitrosim.eif.description, nitrosim.eif.writer; package = nitrosim.eif; "
        "bad = [name for name in package.__all__ if type(getattr(package, name)) == type(sys)]; "
        "assert not bad, bad; assert sorted(package.__all__) == dir(package)"
    )

    assert "nitrosim.eif" in loaded_after(program)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        nitrosim.eif.nothing  # noqa: B018 - the access is the test
