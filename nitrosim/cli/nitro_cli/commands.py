"""The sub-commands of nitro-cli 1.5.0 and their options.

Source: the documentation and the behaviour of nitro-cli 1.5.0.
"""

from __future__ import annotations

from nitrosim.cli.nitro_cli.clap import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# ASSUMPTION: The lines of nitro-cli's help about sub-commands and options say the same here in
# words of our own; names, order and layout are nitro-cli's.
ABOUT: Final = "Build, run and look after enclaves"

_BY_ID: Final = "Identifier of the enclave"
_BY_NAME: Final = "Name of the enclave"
_CERTIFICATE: Final = "X.509 certificate to sign with, a PEM file"
_KEY: Final = "Private key of the certificate, a PEM file, or the ARN of a key in AWS KMS"


def _signing() -> tuple[Option, Option]:
    return (
        Option(
            name="signing-certificate",
            value="signing-certificate",
            help=_CERTIFICATE,
            requires=("private-key",),
        ),
        Option(
            name="private-key",
            value="private-key",
            help=_KEY,
            requires=("signing-certificate",),
        ),
    )


_RUN = Command(
    name="run-enclave",
    about="Start an enclave",
    options=(
        # ASSUMPTION: --cpu-ids cannot be repeated, like every other option of nitro-cli; nobody
        # has tried, and the list is documented as one option with several values.
        Option(
            name="cpu-ids",
            value="cpu-ids",
            several=True,
            help="CPUs of the pool that the enclave gets",
            required_unless=("cpu-count", "config"),
            conflicts=("cpu-count", "config"),
        ),
        Option(
            name="cpu-count",
            value="cpu-count",
            help="Number of CPUs that the enclave gets",
            required_unless=("cpu-ids", "config"),
            conflicts=("cpu-ids", "config"),
        ),
        Option(
            name="memory",
            value="memory",
            help="Memory of the enclave in MiB, or with a unit: M, G or T",
            required_unless=("config",),
            conflicts=("config",),
        ),
        Option(
            name="eif-path",
            value="eif-path",
            help="Enclave Image File to start",
            required_unless=("config",),
            conflicts=("config",),
        ),
        Option(
            name="enclave-cid",
            value="enclave-cid",
            help="CID of the enclave; 0 for any that is free",
            conflicts=("config",),
        ),
        Option(
            name="debug-mode",
            help="Give the enclave a console, and zeros as PCRs in attestation documents",
            conflicts=("config",),
        ),
        Option(
            name="attach-console",
            help="Show the console as soon as the enclave runs; implies debug mode",
        ),
        Option(
            name="enclave-name",
            value="enclave-name",
            help="Name of the enclave; otherwise that of the Enclave Image File",
            conflicts=("config",),
        ),
        Option(name="config", value="json-config", help="JSON file with all of these settings"),
    ),
)
_TERMINATE = Command(
    name="terminate-enclave",
    about="End an enclave",
    options=(
        Option(
            name="enclave-id",
            value="enclave-id",
            help=_BY_ID,
            required_unless=("all", "enclave-name"),
            conflicts=("all", "enclave-name"),
        ),
        Option(
            name="all",
            help="End all enclaves of this user",
            required_unless=("enclave-id", "enclave-name"),
            conflicts=("enclave-id", "enclave-name"),
        ),
        Option(
            name="enclave-name",
            value="enclave-name",
            help=_BY_NAME,
            required_unless=("enclave-id", "all"),
            conflicts=("enclave-id", "all"),
        ),
    ),
)
_BUILD = Command(
    name="build-enclave",
    about="Make an Enclave Image File of a container image",
    options=(
        Option(
            name="docker-uri",
            value="docker-uri",
            required=True,
            help="Name of the container image; with --docker-dir, of the one to build",
        ),
        Option(
            name="docker-dir",
            value="docker-dir",
            help="Directory with a Dockerfile to build the container image from",
        ),
        Option(
            name="output-file",
            value="output-file",
            required=True,
            help="Enclave Image File to write",
        ),
        *_signing(),
        Option(name="name", value="name", help="Name of the image; otherwise that of --docker-uri"),
        Option(
            name="version",
            value="version",
            help="Version of the image; otherwise the identifier of the container image",
        ),
        Option(
            name="metadata",
            value="metadata",
            help="JSON file with metadata of your own, 4096 bytes at most",
        ),
    ),
)
_DESCRIBE_EIF = Command(
    name="describe-eif",
    about="Describe an Enclave Image File",
    options=(
        Option(
            name="eif-path",
            value="eif-path",
            required=True,
            help="Enclave Image File to describe",
        ),
    ),
)
_DESCRIBE_ENCLAVES = Command(
    name="describe-enclaves",
    about="List the enclaves that run",
    options=(Option(name="metadata", help="Add the metadata of their Enclave Image Files"),),
)
_CONSOLE = Command(
    name="console",
    about="Show the console of an enclave in debug mode",
    options=(
        Option(
            name="enclave-id",
            value="enclave-id",
            help=_BY_ID,
            required_unless=("enclave-name",),
            conflicts=("enclave-name",),
        ),
        Option(
            name="disconnect-timeout",
            value="disconnect-timeout",
            help="Seconds after which to disconnect",
        ),
        Option(
            name="enclave-name",
            value="enclave-name",
            help=_BY_NAME,
            required_unless=("enclave-id",),
            conflicts=("enclave-id",),
        ),
    ),
)
_PCR = Command(
    name="pcr",
    about="Measure a file or a signing certificate as a PCR",
    options=(
        Option(
            name="signing-certificate",
            value="signing-certificate",
            help="X.509 certificate in a PEM file, to measure as PCR8",
            required_unless=("input",),
            conflicts=("input",),
        ),
        Option(
            name="input",
            value="input",
            help="File to measure",
            required_unless=("signing-certificate",),
            conflicts=("signing-certificate",),
        ),
    ),
)
_EXPLAIN = Command(
    name="explain",
    about="Explain an error code of nitro-cli",
    options=(
        Option(name="error-code", value="error-code", required=True, help="The code, as E19"),
    ),
)
_SIGN = Command(
    name="sign-eif",
    about="Sign an Enclave Image File",
    options=(
        Option(name="eif-path", value="eif-path", help="Enclave Image File to sign"),
        *_signing(),
    ),
)
COMMANDS: Final = (
    _RUN,
    _TERMINATE,
    _BUILD,
    _DESCRIBE_EIF,
    _DESCRIBE_ENCLAVES,
    _CONSOLE,
    _PCR,
    _EXPLAIN,
    _SIGN,
)
