"""Images whose init is none of nitro-cli's, with a cache of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import own_init_images
import pytest

from nitrosim.backends.eif import image_from_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nitrosim.backends.image import EnclaveImage
    from nitrosim.eif.cpio import Entry
    from nitrosim.instance import Instance


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the init that does what its command line says, compiled."""
    return own_init_images.compile_probe(tmp_path_factory.mktemp("own-init") / "init")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is unpacked out of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def probe_image(tmp_path: Path, probe: bytes) -> Callable[..., EnclaveImage]:
    """Return a function that makes an image whose init does what it is told."""

    def probe_image(*words: str, entries: tuple[Entry, ...] = ()) -> EnclaveImage:
        path = own_init_images.write_probe_image(
            tmp_path / "own.eif", probe, *words, entries=entries
        )
        return image_from_file(path)

    return probe_image


@pytest.fixture
def run_probe(
    instance: Instance, keep_enclave: Callable, probe_image: Callable[..., EnclaveImage]
) -> Callable:
    """Return a function that starts an enclave whose init does what it is told."""

    def run(*words: str, **options: tuple[Entry, ...]):
        return keep_enclave(instance.run_image(probe_image(*words, **options)))

    return run
