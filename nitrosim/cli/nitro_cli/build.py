"""The sub-command build-enclave: make an Enclave Image File of a container image.

In the order of nitro-cli 1.5.0: the output must be writable and the folder for artifacts be there;
then metadata, certificate and key are looked at; then the engine builds the Dockerfile, or has the
image, or pulls it; and then the file is made. What nitrosim has to say beyond that stands on
standard error and begins with ``nitrosim:``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nitrosim.builder import Engine, Labels, architecture_of, build_eif, find_blobs
from nitrosim.builder.errors import BuildError
from nitrosim.builder.inputs import build_time, check_output, read_custom_metadata, read_signer
from nitrosim.cli.interruption import stopped_by_signals
from nitrosim.cli.nitro_cli.codes import ErrorCode
from nitrosim.cli.nitro_cli.failure import CommandError
from nitrosim.cli.nitro_cli.output import write_json
from nitrosim.errors import NitroSimError

if TYPE_CHECKING:
    from nitrosim.cli.nitro_cli.clap import Parsed
    from nitrosim.cli.nitro_cli.context import Context
    from nitrosim.eif.measure import Measurements
    from nitrosim.eif.serde import Json
    from nitrosim.eif.signing import PemSigner
    from nitrosim.images import RootFilesystem

TOOL: Final = "nitro-cli"
"""What the metadata has as the program that built the image."""

_ACTION: Final = "Build Enclave"


def build_enclave(parsed: Parsed, context: Context) -> None:
    """Build an image and print its measurements.

    Raises:
        CommandError: E19 if the output cannot be written or the folder for artifacts not be made,
            E51 if nothing says where that is, E49 if the engine cannot build the Dockerfile, E50 if
            it neither has the image nor can pull it, E48 for all else.

    """
    print("Start building the Enclave Image...", file=sys.stderr)
    try:
        with stopped_by_signals(), ExitStack() as opened:
            measurements = _build(parsed, context, opened)
    except CommandError as error:
        error.subactions.append("Failed to build EIF from docker")
        raise
    print("Enclave Image successfully created.", file=sys.stderr)
    write_json({"Measurements": {**measurements.as_json(context.environment.version)}})


def _build(parsed: Parsed, context: Context, opened: ExitStack) -> Measurements:
    environment = context.environment
    output = parsed.value("output-file") or ""
    _check_output(output)
    artifacts = Path(environment.artifacts())
    with _reported(ErrorCode.EIF_BUILDING, "Failed to create EIF image"):
        custom, signer = _extras(parsed)
        # DEVIATION: build-enclave takes the build time from SOURCE_DATE_EPOCH where that is set, so
        # that a file can be built again with the same bytes; nitro-cli takes that of the day.
        built_at = build_time(environment.variables, context.clock())
    root, inspected = _open_image(parsed, context, artifacts, opened)
    with _reported(ErrorCode.EIF_BUILDING, "Failed to create EIF image"):
        # DEVIATION: An image for another architecture than this machine's gets the blobs of its
        # own, or placeholders; nitro-cli puts the kernel of the machine into it, which cannot boot.
        blobs = find_blobs(Path(environment.blobs), architecture_of(root.config))
        name, version = parsed.value("name"), parsed.value("version")
        labels = Labels(
            name=_uri(parsed).partition(":")[0] if name is None else name,
            version=str(inspected.get("Id")).removeprefix("sha256:")
            if version is None
            else version,
            tool=TOOL,
            tool_version=environment.version,
            time=built_at,
            docker_info=inspected,
            custom=custom,
        )
        for note in (*root.notes, blobs.note):
            if note is not None:
                _tell(note)
        # DEVIATION: build-enclave leaves the output alone until the new file is complete; nitro-cli
        # empties it first, and an error leaves an empty file.
        return build_eif(output, root=root, blobs=blobs, labels=labels, signer=signer)


def _check_output(output: str) -> None:
    try:
        check_output(output)
    except BuildError as error:
        raise CommandError(
            ErrorCode.FILE_OPERATION,
            f"Could not create output file: {error}",
            action=_ACTION,
            info=(output, "Open"),
        ) from error


def _extras(parsed: Parsed) -> tuple[Json, PemSigner | None]:
    """Return custom metadata and what signs, each None if it was not asked for."""
    metadata, certificate, key = (
        parsed.value(name) for name in ("metadata", "signing-certificate", "private-key")
    )
    custom = None if metadata is None else read_custom_metadata(metadata)
    if certificate is None or key is None:
        return custom, None
    return custom, read_signer(certificate, key)


def _open_image(
    parsed: Parsed, context: Context, artifacts: Path, opened: ExitStack
) -> tuple[RootFilesystem, dict[str, Json]]:
    """Return the image, built or pulled if need be, and what the engine says of it."""
    uri = _uri(parsed)
    reference = uri if ":" in uri else f"{uri}:latest"
    folder = parsed.value("docker-dir")
    reason, cause = ErrorCode.DOCKER_PULL, "Failed to pull docker image"
    if folder is not None:
        reason, cause = ErrorCode.DOCKER_BUILD, "Failed to build docker image"

    def log(line: str) -> None:
        context.log.write("INFO", line)

    with _reported(reason, cause):
        engine = opened.enter_context(Engine.connect(context.environment.variables))
        if folder is not None:
            engine.build(Path(folder), reference, tell=log)
        elif engine.inspect(reference) is None:
            engine.pull(reference, tell=log)
        else:
            print("Using the locally available Docker image...", file=sys.stderr)
    with _reported(ErrorCode.EIF_BUILDING, "Failed to create EIF image"):
        # ASSUMPTION: DockerInfo in the metadata is all that the engine says of the image; nitro-cli
        # takes it through a library that may know fewer fields, and nobody has compared.
        inspected = engine.inspect(reference) or {}
        root = engine.open(reference, spool=artifacts)
        return opened.enter_context(root), inspected


def _uri(parsed: Parsed) -> str:
    return parsed.value("docker-uri") or ""


@contextmanager
def _reported(reason: ErrorCode, cause: str) -> Iterator[None]:
    """Turn what goes wrong into an error of nitro-cli, and say in plain words what it was."""
    try:
        yield
    except CommandError:
        raise
    except NitroSimError as error:
        _tell(f"{error.code}: {error}")
        raise CommandError(reason, f"{cause}: {error}", action=_ACTION) from error


def _tell(text: str) -> None:
    print(f"nitrosim: {text}", file=sys.stderr)
