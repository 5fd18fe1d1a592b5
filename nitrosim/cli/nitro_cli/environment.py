"""The environment variables that nitro-cli heeds, and ours.

=============================== ===============================================================
``NITRO_CLI_LOGS_PATH``         folder of the logs; ``/var/log/nitro_enclaves``
``NITRO_CLI_SOCKETS_PATH``      folder of the enclaves' sockets; ``/run/nitro_enclaves``
``NITRO_CLI_BLOBS``             folder of kernel, init, ...; ``/usr/share/nitro_enclaves/blobs/``
``NITRO_CLI_ARTIFACTS``         folder for what is made during a build; ``$HOME/.nitro_cli/``
``BACKTRACE``                   1 for backtraces on standard error
``RUST_LOG``                    error, warn, info, debug or trace: what goes into the log; info
``NITROSIM_NITRO_CLI_VERSION``  the nitro-cli that is imitated; 1.5.0
``NITROSIM_INSTANCE``           the simulated instance
=============================== ===============================================================

A folder that a variable names is used as it is; one that does not exist is an error, as with
nitro-cli. Folders are text.
"""

from __future__ import annotations

import os

from nitrosim.cli.nitro_cli.failure import CommandError
from nitrosim.cli.nitro_cli.record import Record
from nitrosim.directories import (
    DEFAULT_INSTANCE,
    make_private_directory,
    runtime_directory,
    state_directory,
)
from nitrosim.errors import NitroSimError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

DEFAULT_VERSION: Final = "1.5.0"
"""The nitro-cli that is imitated unless another one is asked for."""

DEFAULT_BLOBS: Final = "/usr/share/nitro_enclaves/blobs/"

LEVELS: Final = ("ERROR", "WARN", "INFO", "DEBUG", "TRACE")
"""Levels of log lines; each of them is in the log if a later one is asked for."""

_FOLDER: Final = "nitro-cli"
"""What the user's own folders are called, in those of the instance."""

_DEFAULT_LEVEL: Final = "INFO"
_FEWEST_PARTS: Final = 2


class Environment(Record):
    """What the environment variables say.

    Attributes:
        variables: all of them.
        system_logs: the folder of the logs that an installation of nitro-cli has.
        system_sockets: the folder of the sockets that it has.

    """

    __slots__ = ("system_logs", "system_sockets", "variables")

    def __init__(
        self,
        *,
        variables: Mapping[str, str],
        system_logs: str = "/var/log/nitro_enclaves",
        system_sockets: str = "/run/nitro_enclaves",
    ) -> None:
        self.variables: Final = variables
        self.system_logs: Final = system_logs
        self.system_sockets: Final = system_sockets

    @property
    def version(self) -> str:
        """The version of the nitro-cli that is imitated.

        Raises:
            NitroSimError: `ENVIRONMENT` if it is none.

        """
        version = self.variables.get("NITROSIM_NITRO_CLI_VERSION") or DEFAULT_VERSION
        parts = version.split(".")
        if len(parts) < _FEWEST_PARTS or not all(p.isascii() and p.isdigit() for p in parts):
            raise NitroSimError(
                f"NITROSIM_NITRO_CLI_VERSION is {version!r}: expected a version such as "
                f"{DEFAULT_VERSION}",
                code="ENVIRONMENT",
            )
        return version

    @property
    def wants_backtrace(self) -> bool:
        """Whether errors are printed with their backtrace."""
        return self.variables.get("BACKTRACE") == "1"

    @property
    def log_level(self) -> str:
        """The least important level that goes into the log, one of `LEVELS`."""
        level = self.variables.get("RUST_LOG", _DEFAULT_LEVEL).upper()
        return level if level in LEVELS else _DEFAULT_LEVEL

    @property
    def blobs(self) -> str:
        """The folder of kernel, command line, init and nsm.ko; it need not exist."""
        return self.variables.get("NITRO_CLI_BLOBS", DEFAULT_BLOBS)

    def logs(self) -> str:
        """Return the folder of the logs; makes a default one where there is none.

        Raises:
            NitroSimError: there is no default one and none can be made.

        """
        named = self.variables.get("NITRO_CLI_LOGS_PATH")
        if named is not None:
            return named
        # DEVIATION: Without NITRO_CLI_LOGS_PATH and NITRO_CLI_SOCKETS_PATH, the folders in /var/log
        # and /run are made if they do not exist, and where the user may not do that, or not write
        # to them, folders of the user's own take their place; nitro-cli fails, because its
        # installation should have made them. They are for the instance called default; those of
        # another NITROSIM_INSTANCE are always the user's own and apart from all others.
        if self._may_use(self.system_logs):
            return self.system_logs
        return make_private_directory(os.path.join(state_directory(self.instance), _FOLDER))

    def sockets(self) -> str:
        """Return the folder of the enclaves' sockets; makes a default one where there is none.

        Raises:
            NitroSimError: there is no default one and none can be made.

        """
        named = self.variables.get("NITRO_CLI_SOCKETS_PATH")
        if named is not None:
            return named
        if self._may_use(self.system_sockets):
            return self.system_sockets
        return make_private_directory(os.path.join(runtime_directory(self.instance), _FOLDER))

    def artifacts(self) -> str:
        """Return the folder for what is made during a build; makes it if it does not exist.

        Raises:
            CommandError: E51 if no variable says where it is, E19 if it cannot be made.

        """
        from nitrosim.cli.nitro_cli.codes import ErrorCode  # noqa: PLC0415 - see the package

        action = "Build Enclave"
        named, home = (self.variables.get(name) for name in ("NITRO_CLI_ARTIFACTS", "HOME"))
        if named is None and home is None:
            raise CommandError(
                ErrorCode.ARTIFACTS_PATH, "neither NITRO_CLI_ARTIFACTS nor HOME", action=action
            )
        folder = f"{home}/.nitro_cli/" if named is None else named
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise CommandError(
                ErrorCode.FILE_OPERATION,
                f"Could not create the folder for artifacts: {error.strerror}",
                action=action,
                info=(folder, "Create"),
            ) from error
        return folder

    @property
    def instance(self) -> str:
        """The name of the simulated instance."""
        return self.variables.get("NITROSIM_INSTANCE") or DEFAULT_INSTANCE

    def _may_use(self, folder: str) -> bool:
        """Tell whether a folder of the system is for us; makes it where that is possible."""
        if self.instance != DEFAULT_INSTANCE:
            return False
        try:
            os.mkdir(folder)
        except OSError:
            # It is there, or this is an ordinary user, for whom the caller has another folder.
            if not os.path.isdir(folder):
                return False
        return os.access(folder, os.W_OK | os.X_OK)
