"""`nitrosim build`: make an Enclave Image File of a directory or a container image."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nitrosim.cli.interruption import stopped_by_signals

if TYPE_CHECKING:
    from nitrosim.builder import Blobs
    from nitrosim.eif.header import Architecture
    from nitrosim.images import RootFilesystem

EXIT_USAGE: Final = 2
_FILE_TIME: Final = 0
"""The modification time of all files of a directory: PCR2 then says nothing of when it was made."""
_NO_VERSION: Final = "unversioned"
_SUFFIX: Final = ".eif"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "build",
        help="make an Enclave Image File",
        usage="nitrosim build [OPTION...] --output FILE --rootfs DIR -- COMMAND [ARGUMENT...]\n"
        "       nitrosim build [OPTION...] --output FILE --rootfs DIR --cmd 'COMMAND ARGUMENT...'\n"
        "       nitrosim build [OPTION...] --output FILE --image PATH\n"
        "       nitrosim build [OPTION...] --output FILE --docker-uri NAME [--docker-dir DIR]",
        description="Make an Enclave Image File and print its measurements, as nitro-cli "
        "build-enclave does. PCR2 is that of nitro-cli; PCR0 and PCR1 are too if the blobs of "
        "nitro-cli are there, and otherwise differ from those on EC2.",
        allow_abbrev=False,
    )
    _add_sources(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="the Enclave Image File to write"
    )
    parser.add_argument(
        "--arch",
        choices=("x86_64", "aarch64"),
        help="what to build for (default: the image's, of a directory this machine's)",
    )
    parser.add_argument(
        "--blobs",
        metavar="DIR",
        type=Path,
        help="folder with kernel, init and nsm.ko of nitro-cli; all must be there (default: "
        "$NITRO_CLI_BLOBS, else /usr/share/nitro_enclaves/blobs, else placeholders)",
    )
    parser.add_argument("--name", metavar="N", help="name of the image, in its metadata")
    parser.add_argument("--version", metavar="V", help="version of the image, in its metadata")
    parser.add_argument(
        "--metadata", metavar="FILE", help="JSON of your own for its metadata, at most 4096 bytes"
    )
    parser.add_argument(
        "--signing-certificate", metavar="FILE", help="certificate to sign with, PEM"
    )
    parser.add_argument("--private-key", metavar="FILE", help="its private key, PEM")
    parser.set_defaults(run=run)


def _add_sources(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sources, one of them")
    source = group.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--rootfs",
        metavar="DIR",
        type=Path,
        help="a directory that becomes the root of the enclave; the command follows --, or is "
        "given with --cmd",
    )
    source.add_argument(
        "--image",
        metavar="PATH",
        type=Path,
        help="a container image: a file of docker save, an OCI layout or an OCI archive",
    )
    source.add_argument(
        "--docker-uri",
        metavar="NAME",
        help="an image that a Docker engine has, or else pulls",
    )
    parser.add_argument(
        "--cmd",
        metavar="WORDS",
        type=_words,
        help="with --rootfs: the command in one argument, with quotes as in a shell",
    )
    parser.add_argument(
        "--env",
        metavar="K=V",
        action="append",
        default=[],
        help="with --rootfs: a variable of the environment; may be repeated",
    )
    parser.add_argument(
        "--reference", metavar="NAME", help="with --image: which one, where there are several"
    )
    parser.add_argument(
        "--docker-dir",
        metavar="DIR",
        type=Path,
        help="with --docker-uri: build the image there first, and give it that name",
    )


def _words(text: str) -> list[str]:
    """Return the words of a command, as a shell splits them."""
    import shlex  # noqa: PLC0415 - see nitrosim.cli.main

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
    if not words:
        raise argparse.ArgumentTypeError("it has no words")
    return words


def run(args: argparse.Namespace) -> int:
    """Build the image; return the exit status."""
    if args.cmd and not args.program:
        args.program, args.cmd = args.cmd, None
    if problem := _misuse(args):
        print(f"nitrosim build: {problem}", file=sys.stderr)
        return EXIT_USAGE
    with stopped_by_signals(), ExitStack() as opened:
        return _build(args, opened)


def _misuse(args: argparse.Namespace) -> str | None:
    """Say what is wrong with the combination of arguments, if anything is."""
    wrong = [variable for variable in args.env if not variable.partition("=")[0]]
    wrong += [variable for variable in args.env if "=" not in variable]
    found = {
        "no command: put it after --, as in --rootfs DIR -- /bin/app --port 5000": (
            args.rootfs is not None and not args.program
        ),
        "an image brings its command and environment: no --cmd or --env, and nothing after --": (
            args.rootfs is None and (args.program or args.env)
        ),
        "the command is given twice: with --cmd and after --": args.cmd,
        f"--env expects K=V, got {wrong[:1]}": wrong,
        "--reference chooses among the images in --image": (
            args.reference is not None and args.image is None
        ),
        "--docker-dir needs --docker-uri, the name that the image gets": (
            args.docker_dir is not None and args.docker_uri is None
        ),
        "--signing-certificate and --private-key need one another": (
            (args.signing_certificate is None) != (args.private_key is None)
        ),
    }
    return next((text for text, is_so in found.items() if is_so), None)


def _build(args: argparse.Namespace, opened: ExitStack) -> int:
    from nitrosim import __version__  # noqa: PLC0415 - see nitrosim.cli.main
    from nitrosim.builder import Labels, architecture_of, build_eif  # noqa: PLC0415 - see main
    from nitrosim.builder.inputs import (  # noqa: PLC0415 - see main
        build_time,
        check_output,
        read_custom_metadata,
        read_signer,
    )

    check_output(args.output, outside=args.rootfs)
    built_at = build_time(os.environ, time.time_ns())
    custom = None if args.metadata is None else read_custom_metadata(args.metadata)
    signer = None
    if args.signing_certificate is not None:
        signer = read_signer(args.signing_certificate, args.private_key)
    root = opened.enter_context(_open_source(args))
    architecture = architecture_of(root.config, wanted=args.arch)
    blobs = _blobs(args.blobs, architecture)
    labels = Labels(
        name=args.name or _name(args, root),
        version=args.version or (root.config.id or _NO_VERSION).removeprefix("sha256:"),
        tool="nitrosim",
        tool_version=__version__,
        time=built_at,
        docker_info=root.inspect(),
        custom=custom,
    )
    notes = [*root.notes, *([blobs.note] if blobs.note else [])]
    for note in notes:
        _tell(f"note: {note}")
    measured = build_eif(args.output, root=root, blobs=blobs, labels=labels, signer=signer)
    facts: dict[str, Any] = {"Measurements": measured.as_json()}
    if args.json:
        facts |= {
            "output": args.output,
            "name": labels.name,
            "version": labels.version,
            "architecture": architecture,
            "missing_blobs": list(blobs.missing),
            "notes": notes,
        }
    print(json.dumps(facts, indent=2))
    return 0


def _open_source(args: argparse.Namespace) -> RootFilesystem:
    from nitrosim.images import open_directory, open_image  # noqa: PLC0415 - see main

    if args.rootfs is not None:
        return open_directory(
            args.rootfs,
            command=tuple(args.program),
            environment=tuple(args.env),
            architecture=args.arch,
            mtime=_FILE_TIME,
        )
    if args.image is not None:
        return open_image(args.image, architecture=args.arch, reference=args.reference)
    return _from_engine(args)


def _from_engine(args: argparse.Namespace) -> RootFilesystem:
    from nitrosim.builder import Engine  # noqa: PLC0415 - see main
    from nitrosim.images.config import go_architecture  # noqa: PLC0415 - see main

    wanted = None if args.arch is None else go_architecture(args.arch)
    with Engine.connect(os.environ) as engine:
        if args.docker_dir is not None:
            engine.build(args.docker_dir, args.docker_uri, architecture=wanted, tell=_tell)
        elif engine.inspect(args.docker_uri) is None:
            engine.pull(args.docker_uri, architecture=wanted, tell=_tell)
        return engine.open(args.docker_uri, architecture=wanted)


def _blobs(folder: Path | None, architecture: Architecture) -> Blobs:
    from nitrosim.builder import DEFAULT_BLOBS, find_blobs  # noqa: PLC0415 - see main

    if folder is not None:
        return find_blobs(folder, architecture, required=True)
    return find_blobs(Path(os.environ.get("NITRO_CLI_BLOBS") or DEFAULT_BLOBS), architecture)


def _name(args: argparse.Namespace, root: RootFilesystem) -> str:
    """Return the name that the image is known by; of the file, if it is known by none."""
    for reference in (args.docker_uri, args.reference, *root.names):
        if reference:
            return repository(reference)
    return Path(args.output).name.removesuffix(_SUFFIX)


def repository(reference: str) -> str:
    """Return the name of an image without its tag and digest."""
    name = reference.partition("@")[0]
    before, _, tag = name.rpartition(":")
    return name if not before or "/" in tag else before


def _tell(text: str) -> None:
    print(f"nitrosim build: {text}", file=sys.stderr)
