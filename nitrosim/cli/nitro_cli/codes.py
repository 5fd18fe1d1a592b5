"""The errors of nitro-cli, E00 to E60, as data.

A code is an exit status, a headline on standard error and, for most, an explanation by the
sub-command ``explain``. Headlines that name what the user gave hold ``{}`` for each such detail;
where a caller has none, nitro-cli prints ``MISSING_INFO``, and so scripts see it. Numbers and
the texts of E01-E03, E20-E22, E26 and E27 are those of nitro-cli 1.5.0.
"""

from __future__ import annotations

from enum import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

MISSING_INFO: Final = "MISSING_INFO"
"""What nitro-cli prints for a detail that it forgot to fill in."""

_ALLOCATOR: Final = "/etc/nitro_enclaves/allocator.yaml"
_SERVICE: Final = "nitro-enclaves-allocator.service"


class ErrorCode(Enum):
    """Every error of nitro-cli: its number, its headline, and what more there is to say.

    Attributes:
        number: the exit status.
        title: how the headline and the explanation begin.
        template: the rest of the headline, with ``{}`` for what the user gave.
        meaning: the rest of the explanation; None if nitro-cli has no explanation for it.

    """

    def __init__(self, number: int, title: str, details: str, meaning: str | None = "") -> None:
        self.number = number
        self.title = title
        self.template = details
        self.meaning = details if meaning == "" else meaning

    @property
    def code(self) -> str:
        """The code as users see it, such as ``E19``."""
        return f"E{self.number:02}"

    @property
    def link(self) -> str:
        """The page of AWS's documentation about it."""
        return f"https://docs.aws.amazon.com/enclaves/latest/user/cli-errors.html#{self.code}"

    @property
    def explanation(self) -> str | None:
        """What ``explain`` prints, without the final line break; None if there is nothing."""
        return None if self.meaning is None else f"{self.title}. {self.meaning}"

    def headline(self, info: Sequence[str] = ()) -> str:
        """Return the first line or lines of an error, with `info` for the details in order."""
        details = self.template
        if self is ErrorCode.INSUFFICIENT_MEMORY_REQUESTED and len(info) == 2:
            details = "User provided `{}` is {} MB, and memory should be greater than 0 MB."
        wanted = details.count("{}")
        filled = (*info, *(MISSING_INFO,) * wanted)[:wanted]
        text = f"[ {self.code} ] {self.title}. {details.format(*filled)}"
        if self is ErrorCode.FILE_OPERATION and len(info) >= 2:
            text += f"\nFile: '{info[0]}', failing operation: '{info[1]}'."
        return text

    # ASSUMPTION: The headlines of nitro-cli's errors other than E01-E03, E20-E22, E26 and E27, and
    # its explanations, say the same here in words of our own; scripts compare codes and statuses.
    UNSPECIFIED = 0, "Unspecified error", "It stands for any error and nothing should raise it."
    MISSING_ARGUMENT = (
        1,
        "Missing mandatory argument",
        "User did not provide the `{}` argument.",
        (
            "An operation needs an argument that was not given.\n\tExample: `nitro-cli run-enclave "
            "--cpu-count 2 --eif-path app.eif` lacks `--memory`."
        ),
    )
    CONFLICTING_ARGUMENTS = (
        2,
        "Conflicting arguments",
        "User provided both `{}` and `{}`.",
        "Two arguments contradict each other, such as `--cpu-count` and `--cpu-ids`; give one.",
    )
    INVALID_ARGUMENT = (
        3,
        "Invalid argument provided",
        "The parameter `{}` is not a valid integer (`{}`)",
        (
            "An argument is not of the type that it must be.\n\tExample: `nitro-cli run-enclave "
            "--cpu-count 1z --memory 128 --eif-path app.eif`, where `cpu-count` is no integer."
        ),
    )
    SOCKET_PAIR = 4, "Socket pair creation failure", "No channel to the enclave process was made."
    PROCESS_SPAWN = 5, "Process spawn failure", "The enclave process could not be started."
    DAEMONIZE = 6, "Daemonize process failure", "The enclave process could not become a daemon."
    READ_FROM_DISK = (
        7,
        "Read from disk failure",
        (
            "The directory of enclave sockets, usually /run/nitro_enclaves, cannot be read. See "
            "that it exists and that this user may read it."
        ),
    )
    UNUSABLE_CONNECTION = 8, "Unusable connection error", "The connection is closed or never was."
    SOCKET_CLOSE = 9, "Socket close error", "A channel could not be closed."
    SOCKET_TIMEOUT = (
        10,
        "Socket connect set timeout error",
        "A time limit could not be set for a socket, for example that of a console.",
    )
    SOCKET = (
        11,
        "Socket error",
        (
            "An operation on a socket failed in a way that no other code is for; often there is no "
            "enclave with this identifier."
        ),
    )
    EPOLL = 12, "Epoll error", "An enclave could not be registered for events."
    INOTIFY = 13, "Inotify error", "A socket could not be watched."
    INVALID_COMMAND = 14, "Invalid command", "A command or its arguments are not known."
    LOCK = 15, "Lock acquire failure", "An object that several threads use could not be locked."
    THREAD_JOIN = 16, "Thread join failure", "A thread could not be joined when it had finished."
    SERDE = (
        17,
        "Serde error",
        "A command, an answer or a configuration cannot be written as or read from JSON.",
    )
    FILE_PERMISSIONS = (
        18,
        "File permissions error",
        (
            "The permissions of the log file, usually /var/log/nitro_enclaves/nitro_enclaves.log, "
            "could not be changed; only its owner may."
        ),
    )
    FILE_OPERATION = (
        19,
        "File operation failure",
        "A file could not be used as asked: opening an EIF, for example, or writing to the log.",
    )
    CPU_CONFIGURATION = (
        20,
        "Invalid CPU configuration",
        "User provided `{}` contains same CPU(s) (CPU(s) {}) multiple times.",
        (
            "A CPU was named more than once.\n\tExample: `nitro-cli run-enclave --cpu-ids 1 1 "
            "--memory 128 --eif-path app.eif` names CPU 1 twice."
        ),
    )
    CPU_NOT_IN_POOL = (
        21,
        "No such CPU available in the pool",
        (
            "User provided `{}` contains CPU {}, which is not available in the pool.\n"
            f"You can add a specific CPU to the CPU pool by editing the `cpu_pool` value from "
            f"'{_ALLOCATOR}' and then enable the {_SERVICE}."
        ),
        (
            "A CPU was named that is not in the CPU pool.\n\tExample: with the pool [1,9], "
            "`nitro-cli run-enclave --cpu-ids 1 2 --memory 128 --eif-path app.eif` names CPU 2."
        ),
    )
    INSUFFICIENT_CPUS = (
        22,
        "Insufficient CPUs available in the pool",
        (
            "User provided `{}` is {}, which is more than the configured CPU pool size.\n"
            f"You can increase the CPU pool size by editing the `cpu_count` value from "
            f"'{_ALLOCATOR}' and then enable the {_SERVICE}."
        ),
        (
            "More CPUs were asked for than the CPU pool has.\n\tExample: with the pool [1,9], "
            "`nitro-cli run-enclave --cpu-count 4 --memory 128 --eif-path app.eif` asks for 4 of 2."
        ),
    )
    MALFORMED_CPU_ID = 23, "Malformed CPU ID error", "The list of CPUs has an entry that is none."
    CPU = 24, "CPU error", "The list of CPUs has an interval that is none, such as 0-3-7."
    HUGEPAGE_FLAG = 25, "No such hugepage flag error", "There are no huge pages of this size."
    INSUFFICIENT_MEMORY_REQUESTED = (
        26,
        "Insufficient memory requested",
        (
            "User provided `{}` is {} MB, but based on the EIF file size, the minimum memory "
            "should be {} MB"
        ),
        (
            "Less memory was asked for than the EIF needs, which is four times its size.\n\t"
            "Example: with an EIF of 50 MB, `nitro-cli run-enclave --cpu-count 2 --memory 128 "
            "--eif-path app.eif` asks for less than 200 MB."
        ),
    )
    INSUFFICIENT_MEMORY_AVAILABLE = (
        27,
        "Insufficient memory available",
        (
            "User provided `{}` is {} MB, which is more than the available hugepage memory.\n"
            f"You can increase the available memory by editing the `memory_mib` value from "
            f"'{_ALLOCATOR}' and then enable the {_SERVICE}."
        ),
        (
            "More memory was asked for than there is in huge pages.\n\tExample: with 512 MB set "
            "aside, `nitro-cli run-enclave --cpu-count 2 --memory 1024 --eif-path app.eif`."
        ),
    )
    ENCLAVE_DESCRIPTOR = 28, "Invalid enclave descriptor", "The ioctl NE_CREATE_VM failed."
    IOCTL = 29, "Ioctl failure", "An ioctl of the enclave device failed; the backtrace says which."
    IOCTL_LOAD_INFO = 30, "Ioctl image get load info failure", "Where to load is not known."
    IOCTL_MEMORY = 31, "Ioctl set memory region failure", "The enclave did not get its memory."
    IOCTL_VCPU = 32, "Ioctl add vCPU failure", "The enclave did not get a CPU."
    IOCTL_START = 33, "Ioctl start enclave failure", "The enclave could not be started."
    MEMORY_OVERFLOW = 34, "Memory overflow", "The EIF would end beyond the last address there is."
    EIF_PARSING = (
        35,
        "EIF file parsing error",
        "An EIF cannot be read, or not all of it; the backtrace says why.",
    )
    ENCLAVE_BOOT = (
        36,
        "Enclave boot failure",
        "The enclave did not report that it has booted; often its EIF is not one that can.",
    )
    EVENT_WAIT = 37, "Enclave event wait error", "Waiting for events of an enclave failed."
    NOT_EXECUTED = (
        38,
        "Enclave process command not executed error",
        "At least one enclave process did not do what it was asked for.",
    )
    CONNECTION = (
        39,
        "Enclave process connection failure",
        "At least one enclave process cannot be reached, or ended without an answer.",
    )
    SOCKET_PATH = 40, "Socket path not found", "There is no path of a socket for the enclave."
    SEND_REPLY = 41, "Enclave process send reply failure", "An answer did not reach nitro-cli."
    MMAP = 42, "Enclave mmap error", "Memory for the enclave could not be mapped."
    MUNMAP = 43, "Enclave munmap error", "Memory of the enclave could not be given back."
    CONSOLE_CONNECTION = (
        44,
        "Enclave console connection failure",
        "The console cannot be reached; only enclaves in debug mode have one.",
    )
    CONSOLE_READ = 45, "Enclave console read error", "Reading a console failed."
    CONSOLE_WRITE = 46, "Enclave console write output error", "What was read cannot be written."
    INTEGER_PARSING = 47, "Integer parsing error", "The CID of an enclave is not one."
    EIF_BUILDING = 48, "EIF building error", "An EIF was not built; the backtrace says why."
    DOCKER_BUILD = (
        49,
        "Docker image build error",
        "The container image for an EIF was not built; the backtrace says why.",
    )
    DOCKER_PULL = (
        50,
        "Docker image pull error",
        "The container image for an EIF was not pulled; the backtrace says why.",
    )
    ARTIFACTS_PATH = (
        51,
        "Artifacts path environment variable not set",
        "There is no place for what is made on the way to an EIF: set NITRO_CLI_ARTIFACTS or HOME.",
    )
    BLOBS_PATH = (
        52,
        "Blobs path environment variable not set",
        "It is not known where kernel and init for an EIF are: set NITRO_CLI_BLOBS.",
    )
    CLOCK_SKEW = 53, "Clock skew error", "The time since the last read of a console is not known."
    SIGNAL_MASKING = 54, "Signal masking error", "Signals could not be blocked."
    SIGNAL_UNMASKING = 55, "Signal unmasking error", "Signals could not be let through again."
    LOGGER = 56, "Logger error", "The log could not be set up."
    HASHER = 57, "Hasher error", "What shall be measured cannot be read or hashed.", None
    NAMING = (
        58,
        "Naming error",
        "No enclave has this name, or more than one has it.",
        None,
    )
    SIGNATURE_CHECK = (
        59,
        "Signature checker error",
        "The signature of the EIF or its certificate is not valid.",
        None,
    )
    SIGNING = 60, "EIF signing error", "The EIF was not signed; the backtrace says why."
