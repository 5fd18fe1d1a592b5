"""A Docker engine that runs: it pulls images, builds them, and hands them over.

The engine is spoken to through its HTTP interface by Docker's own Python package, an optional
dependency that is loaded when an engine is asked for. An image comes over as ``docker save`` writes
it, in a stream that goes to a file and is read like any such archive, with all digests verified; so
an image has the same PCR2 whether it comes from an engine or from a file. Nothing is created or
started in the engine but what a Dockerfile asks for.

``DOCKER_HOST`` says where it is, ``unix:///var/run/docker.sock`` otherwise, and
``DOCKER_TLS_VERIFY`` and ``DOCKER_CERT_PATH`` count; contexts of the ``docker`` command do not, as
with nitro-cli. ``DOCKER_CONFIG`` is a file with credentials for nitro-cli and a folder with a file
``config.json`` for everybody else; here it is either.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from nitrosim.builder.errors import BuildCode
from nitrosim.errors import one_line
from nitrosim.images.root import RootFilesystem
from nitrosim.images.source import open_image

INSTALL: Final = "pip install 'nitrosim[docker]'"
"""What installs the package that an engine is spoken to with."""

_CONFIG_FILE: Final = "config.json"


class Engine:
    """A Docker engine that answers; a context manager that closes the connection.

    Made by `Engine.connect`. References are names of images as ``docker pull`` takes them.
    """

    def __init__(
        self,
        client: Any,
        *,
        absent: type[Exception],
        failures: tuple[type[Exception], ...],
        credentials: Path | None = None,
    ) -> None:
        """Take a client of Docker's package, what it raises, and a file for registries.

        `absent` is what it raises when there is no such image, `failures` is all of it.
        """
        self._client = client
        self._absent = absent
        self._failures = failures
        self._credentials = credentials

    @classmethod
    def connect(cls, variables: Mapping[str, str]) -> Self:
        """Connect to the engine that the environment variables name.

        Raises:
            BuildError: `ENGINE_SDK`, `ENGINE_UNREACHABLE`.

        """
        sdk, failures = _load_sdk()
        host = variables.get("DOCKER_HOST") or "its default socket"
        try:
            options = sdk.utils.kwargs_from_env(environment=dict(variables))
            # Without a limit of time, as an engine may prepare a large image for minutes.
            client = sdk.DockerClient(timeout=None, **options)
        except failures as error:
            raise BuildCode.ENGINE_UNREACHABLE(
                f"no Docker engine answers at {host}; start one, or set DOCKER_HOST: {error}"
            ) from error
        return cls(
            client,
            absent=sdk.errors.NotFound,
            failures=failures,
            credentials=_credentials_file(variables),
        )

    def inspect(self, reference: str) -> dict[str, Any] | None:
        """Return what ``docker image inspect`` says; None if the engine has no such image.

        Raises:
            BuildError: `ENGINE_IMAGE` if it says something else.

        """
        with self._reported(BuildCode.ENGINE_IMAGE, f"cannot look for {reference}"):
            try:
                found: dict[str, Any] = self._client.api.inspect_image(reference)
            except self._absent:
                return None
        return found

    def pull(
        self,
        reference: str,
        *,
        architecture: str | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """Have the engine pull an image from its registry.

        `architecture` is Go's name of it, None for the engine's own. `tell` gets lines of progress.

        Raises:
            BuildError: `ENGINE_PULL`.

        """
        with self._reported(BuildCode.ENGINE_PULL, f"cannot pull {reference}"):
            self._load_credentials()
            events = self._client.api.pull(
                reference, stream=True, decode=True, platform=_platform(architecture)
            )
            _follow(events, "status", tell, BuildCode.ENGINE_PULL, f"cannot pull {reference}")

    def build(
        self,
        folder: Path,
        reference: str,
        *,
        architecture: str | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """Have the engine build the Dockerfile in a folder, and call the image `reference`.

        Raises:
            BuildError: `ENGINE_BUILD`.

        """
        what = f"cannot build {folder}"
        if not folder.is_dir():
            raise BuildCode.ENGINE_BUILD(f"{what}: expected a folder with a Dockerfile")
        # DEVIATION: build-enclave --docker-dir leaves out what a .dockerignore names, as docker
        # build does; nitro-cli sends the whole folder.
        with self._reported(BuildCode.ENGINE_BUILD, what):
            self._load_credentials()
            events = self._client.api.build(
                path=str(folder.absolute()),
                tag=reference,
                rm=True,
                decode=True,
                platform=_platform(architecture),
            )
            _follow(events, "stream", tell, BuildCode.ENGINE_BUILD, what)

    def open(
        self, reference: str, *, architecture: str | None = None, spool: Path | None = None
    ) -> RootFilesystem:
        """Return an image that the engine has; `spool` is the folder for temporary files.

        An engine may have an image for several architectures; without `architecture`, it is the one
        that the engine would start.

        Raises:
            BuildError: `ENGINE_IMAGE`.
            ImageError: what came over is no image, damaged, or not for `architecture`.

        """
        if architecture is None:
            architecture = (self.inspect(reference) or {}).get("Architecture")
        with tempfile.TemporaryDirectory(prefix="nitrosim-image-", dir=spool) as scratch:
            archive = Path(scratch, "image.tar")
            what = f"cannot get {reference}"
            with archive.open("wb") as file, self._reported(BuildCode.ENGINE_IMAGE, what):
                for piece in self._client.api.get_image(reference):
                    file.write(piece)
            # The image keeps the archive open; so its name may go, and nothing can be left behind.
            return open_image(archive, architecture=architecture, spool=spool)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _load_credentials(self) -> None:
        if self._credentials is not None:
            self._client.api.reload_config(dockercfg_path=str(self._credentials))

    @contextmanager
    def _reported(self, code: BuildCode, what: str) -> Iterator[None]:
        try:
            yield
        except self._failures as error:
            reason = getattr(error, "explanation", None) or error
            raise code(f"{what}: {reason}") from error


def _load_sdk() -> tuple[Any, tuple[type[Exception], ...]]:
    """Return Docker's package, and what it raises when an engine fails."""
    try:
        # A folder called docker on the path is an empty package, which has no such module.
        errors = import_module("docker.errors")
        sdk, http = import_module("docker"), import_module("urllib3.exceptions")
    except ImportError as error:
        raise BuildCode.ENGINE_SDK(
            f"the Python package docker, which talks to an engine, is not installed: {INSTALL}; "
            "or hand over a file that docker save has written"
        ) from error
    # ValueError is what JSON that is none gives, OSError covers those of the package requests.
    return sdk, (
        errors.DockerException,
        errors.StreamParseError,
        http.HTTPError,
        OSError,
        ValueError,
    )


def _credentials_file(variables: Mapping[str, str]) -> Path | None:
    """Return the file with credentials for registries; None if there is none."""
    named, home = variables.get("DOCKER_CONFIG"), variables.get("HOME")
    candidates = []
    if named:
        candidates += [Path(named), Path(named, _CONFIG_FILE)]
    elif home:
        candidates.append(Path(home, ".docker", _CONFIG_FILE))
    return next((path for path in candidates if path.is_file()), None)


def _platform(architecture: str | None) -> str | None:
    return None if architecture is None else f"linux/{architecture}"


def _follow(
    events: Iterable[dict[str, Any]],
    key: str,
    tell: Callable[[str], None] | None,
    code: BuildCode,
    what: str,
) -> None:
    """Read what an engine reports while it works; an event may be its failure."""
    failure = None
    # To the end, or the connection would stay open.
    for event in events:
        text = event.get(key)
        if "error" in event:
            failure = failure or code(f"{what}: {str(event['error']).strip()}")
        # How far a layer has come is reported many times a second.
        elif tell is not None and isinstance(text, str) and not event.get("progressDetail"):
            layer = f"{event['id']}: " if "id" in event else ""
            for line in text.splitlines():
                if line.strip():
                    tell(one_line(layer + line))
    if failure is not None:
        raise failure
