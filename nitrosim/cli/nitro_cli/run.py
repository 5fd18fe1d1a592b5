"""The sub-command run-enclave.

nitro-cli forks: its child becomes the process of the enclave, prints through a socket what goes
wrong there, and ends; nitro-cli then has no answer and ends with E39. So only what is wrong with
the command line, the settings and the directory of the sockets keeps a status of its own.
Things are looked at in the order of nitro-cli 1.5.0: the image can be opened, the CPUs are in the
pool, the memory is four times the image, CPUs are free, the signature of the image is good,
memory is free, the image boots.
"""

from __future__ import annotations

import os
import sys

from nitrosim.cli.nitro_cli.allocator import read_pool
from nitrosim.cli.nitro_cli.codes import ErrorCode
from nitrosim.cli.nitro_cli.console import show
from nitrosim.cli.nitro_cli.failure import CommandError
from nitrosim.cli.nitro_cli.image_to_run import image_to_run
from nitrosim.cli.nitro_cli.output import write_json
from nitrosim.cli.nitro_cli.processes import ask_all, failed_process
from nitrosim.cli.nitro_cli.settings import run_settings
from nitrosim.errors import EnclaveError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from nitrosim.cli.nitro_cli.allocator import Pool
    from nitrosim.cli.nitro_cli.clap import Parsed
    from nitrosim.cli.nitro_cli.context import Context
    from nitrosim.cli.nitro_cli.settings import RunSettings
    from nitrosim.hypervisor.client import Connection

_ACTION: Final = "Run Enclave"
_TIMES_THE_IMAGE: Final = 4
"""How much memory an enclave needs at least, compared with its image."""

_REASONS: Final = {
    "ENCLAVE_CPUS_TAKEN": ErrorCode.IOCTL,
    "ENCLAVE_MEMORY": ErrorCode.INSUFFICIENT_MEMORY_AVAILABLE,
    "ENCLAVE_MEMORY_MINIMUM": ErrorCode.IOCTL,
    "ENCLAVE_CPUS": ErrorCode.IOCTL,
    "ENCLAVE_HALF_CORE": ErrorCode.IOCTL,
    "ENCLAVE_CID": ErrorCode.IOCTL,
    "ENCLAVE_BOOT": ErrorCode.ENCLAVE_BOOT,
    "ENCLAVE_HEARTBEAT": ErrorCode.ENCLAVE_BOOT,
    "ENCLAVE_START": ErrorCode.ENCLAVE_BOOT,
    "ENCLAVE_SOCKET": ErrorCode.SOCKET,
}
"""What nitro-cli calls the reasons for which the hypervisor refuses."""


def run_enclave(parsed: Parsed, context: Context) -> None:
    """Start an enclave, say what it is, and show its console if asked to.

    Raises:
        CommandError: E01, E02, E03, E17, E19 for what is wrong with the settings; E07 if the
            directory of the sockets cannot be read; E39 for all else, after the error has been
            printed that would have been the better one.
        NitroSimError: the machine cannot run enclaves, or a setting of nitrosim is wrong.

    """
    settings = run_settings(parsed)
    for note in settings.notes:
        print(note, file=sys.stderr)
    others, _failed = ask_all(context, "name", action=_ACTION)
    taken_names = [other.text(1) for other in others]
    try:
        facts, console = _Launch(settings, context, taken_names).start()
    except CommandError as error:
        raise failed_process(error, context) from error
    context.log.write("INFO", f"Started {facts['EnclaveID']}")
    write_json(facts)
    if settings.attach_console:
        show(facts["EnclaveCID"], console)
    else:
        os.close(console)


class _Launch:
    """What the process of an enclave does until its enclave runs."""

    def __init__(self, settings: RunSettings, context: Context, taken_names: list[str]) -> None:
        """`taken_names` are those of the enclaves that run already."""
        self._settings = settings
        self._context = context
        self._taken_names = taken_names

    def start(self) -> tuple[dict[str, Any], int]:
        """Start the enclave; return what is printed of it, and its console.

        Raises:
            CommandError: for what is wrong with image, CPUs and memory.
            NitroSimError: the machine cannot run enclaves, or a setting of nitrosim is wrong.

        """
        settings, environment = self._settings, self._context.environment
        size = _size(settings.eif_path)
        # DEVIATION: Each user, and each NITROSIM_INSTANCE, is a parent instance of its own: CIDs,
        # CPUs and memory of one's enclaves are apart from those of others, also where all share
        # a folder of sockets and so see each other's; on hardware they share one parent instance.
        pool = read_pool(environment.variables.get("NITROSIM_ALLOCATOR"))
        _check_cpus(settings, pool)
        _check_memory(settings, size)
        # Who gives wrong settings need not wait for this.
        from nitrosim.hypervisor.client import connect_or_start  # noqa: PLC0415 - see above
        from nitrosim.places import named_places  # noqa: PLC0415 - see above

        connection = connect_or_start(named_places(environment.instance))
        try:
            return self._ask(connection, pool, size)
        except EnclaveError as error:
            raise _named_as_by_nitro_cli(error, settings) from error
        finally:
            connection.close()

    def _ask(self, connection: Connection, pool: Pool, size: int) -> tuple[dict[str, Any], int]:
        """Ask the hypervisor for CPUs, look at the image of `size` bytes, ask for the enclave."""
        settings, context = self._settings, self._context
        # DEVIATION: run-enclave says E29 for CPUs that other enclaves have before it looks at the
        # image and the memory; nitro-cli does so if no CPU of the pool is free, and else after
        # E59 and E27.
        # DEVIATION: run-enclave says E35 or E36 for an image that does not boot even if memory is
        # short or a core is not whole; nitro-cli says E27 or E29 then.
        connection.request(
            "reserve",
            cores=pool.cores,
            cpu_count=settings.cpu_count,
            cpu_ids=settings.cpu_ids,
        )
        image = image_to_run(
            settings.eif_path,
            on_signature_checked=lambda: print("Start allocating memory...", file=sys.stderr),
        )
        answer, console = connection.run(
            image,
            name=settings.enclave_name or image.name,
            taken_names=self._taken_names,
            # For the driver 0 stands for any; that in a file of settings has come as far as this.
            cid=settings.enclave_cid or None,
            memory_mib=settings.memory_mib,
            memory_pool_mib=pool.memory_mib,
            debug_mode=settings.debug_mode,
            detach=True,
            boot=True,
            boot_seconds=_boot_seconds(size, settings.memory_mib),
            sockets=os.path.abspath(context.environment.sockets()),
            log=os.path.abspath(context.log.path),
        )
        facts: dict[str, Any] = answer["run_enclave"]
        print(
            f"Started enclave with enclave-cid: {facts['EnclaveCID']}, memory: "
            f"{facts['MemoryMiB']} MiB, cpu-ids: {facts['CPUIDs']}",
            file=sys.stderr,
        )
        if "booting" in answer:
            self._wait_for_init(connection, console)
        return facts, console

    def _wait_for_init(self, connection: Connection, console: int) -> None:
        """Return when the init of an image has reported; it is the one that nobody plays."""
        try:
            connection.request("booted")
        except EnclaveError as error:
            os.close(console)
            path = self._settings.eif_path
            print(f"nitrosim: {path} does not boot: {error.code}: {error}", file=sys.stderr)
            raise


def _boot_seconds(size: int, memory_mib: int) -> int:
    """Return how long the init of an image of `size` bytes may take to report."""
    return 90 * -(-size // (6 << 30)) + 90 * -(-memory_mib // (100 << 10))


def _named_as_by_nitro_cli(
    error: EnclaveError, settings: RunSettings
) -> EnclaveError | CommandError:
    """Return what nitro-cli calls a refusal of the hypervisor; `error` if it knows no such one."""
    reason = _REASONS.get(error.code)
    if reason is None:
        return error
    memory = reason is ErrorCode.INSUFFICIENT_MEMORY_AVAILABLE
    info = ("memory", str(settings.memory_mib)) if memory else ()
    return CommandError(reason, str(error), action=_ACTION, info=info)


def _size(path: str) -> int:
    """Return the size of the image in bytes."""
    try:
        with open(path, "rb") as file:
            return os.fstat(file.fileno()).st_size
    except OSError as error:
        raise CommandError(
            ErrorCode.FILE_OPERATION,
            f"Failed to open the EIF file: {error.strerror}",
            action=_ACTION,
            info=(path, "Open"),
        ) from error


def _check_cpus(settings: RunSettings, pool: Pool) -> None:
    """Refuse CPUs that the pool does not have; whether they are free is another question."""
    if settings.cpu_ids is None:
        if (settings.cpu_count or 0) > len(pool.cpu_ids):
            raise CommandError(
                ErrorCode.INSUFFICIENT_CPUS,
                f"The CPU pool is {pool.cpu_ids}",
                action=_ACTION,
                info=("cpu-count", str(settings.cpu_count)),
            )
        return
    seen: set[int] = set()
    repeated: dict[int, None] = {}
    for cpu in settings.cpu_ids:
        if cpu in seen:
            repeated[cpu] = None
        seen.add(cpu)
    if repeated:
        # nitro-cli puts nothing between the numbers.
        raise CommandError(
            ErrorCode.CPU_CONFIGURATION,
            "CPUs are named more than once",
            action=_ACTION,
            info=("cpu-ids", "".join(map(str, repeated))),
        )
    for cpu in settings.cpu_ids:
        if cpu not in pool.cpu_ids:
            raise CommandError(
                ErrorCode.CPU_NOT_IN_POOL,
                f"The CPU pool is {pool.cpu_ids}",
                action=_ACTION,
                info=("cpu-ids", str(cpu)),
            )


def _check_memory(settings: RunSettings, size: int) -> None:
    """Refuse less memory than four times the image, counted in whole MiB."""
    least = _TIMES_THE_IMAGE * ((size + (1 << 20) - 1) >> 20)
    given = settings.memory_mib
    if given == 0 or given < least:
        info = ("memory", str(given)) + ((str(least),) if given else ())
        raise CommandError(
            ErrorCode.INSUFFICIENT_MEMORY_REQUESTED,
            f"The image has {size} bytes",
            action=_ACTION,
            info=info,
        )
