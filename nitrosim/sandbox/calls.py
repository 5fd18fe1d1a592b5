"""The system calls that nitrosim answers: the tables behind everything that names them.

From these tables come the BPF program that the enclave runs under
(:mod:`nitrosim.sandbox.bpf`), the dispatcher of the hypervisor, the output of
``nitrosim compat`` and the compatibility page of the documentation. A call that
is not listed runs natively, at the cost of one pass through the filter.

``CALLS`` are answered for every program. ``OWN_INIT_CALLS`` are added to them in enclaves
that execute the init of their image, which prepares the machine as on hardware, and
``HOST_ROOT_CALLS`` in the other enclaves that root of this machine has started; nobody
else pays for them.

How sure a line is: FULL means that a program cannot tell the answer from that
of a real enclave; PARTIAL names what differs. ERRNO is a fixed error, and SUCCESS
is 0 without anything being done: both are answered by the filter itself, without
asking the hypervisor.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum

AF_VSOCK = 40
SOL_SOCKET = 1
SO_PROTOCOL = 38
SO_DOMAIN = 39

#: ``_IOWR(0x0A, 0, struct nsm_raw)``, Linux include/uapi/linux/nsm.h.
NSM_IOCTL_RAW = 0xC0200A00
#: ``IOCTL_VM_SOCKETS_GET_LOCAL_CID``, Linux include/uapi/linux/vm_sockets.h.
GET_LOCAL_CID = 0x7B9


class Support(StrEnum):
    """How faithful the answer to a system call is."""

    FULL = "FULL"
    PARTIAL = "PARTIAL"
    ERRNO = "ERRNO"
    SUCCESS = "SUCCESS"


@dataclass(frozen=True, slots=True)
class Argument:
    """A condition on one argument of a call.

    `values` are compared with the low 32 bits (the kernel takes these arguments
    as ``int``); an empty tuple means "not a null pointer", on all 64 bits.
    """

    index: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One line of the table: a system call under conditions, and what becomes of it.

    `when` holds conditions that must all be true; `numbers` maps a machine name
    (as ``os.uname().machine``) to the number of the call there. `error` is set
    for ERRNO lines only.
    """

    name: str
    numbers: dict[str, int]
    support: Support
    note: str
    when: tuple[Argument, ...] = ()
    subject: str = ""
    error: int = 0

    @property
    def is_handed_over(self) -> bool:
        """Whether the hypervisor is asked; otherwise the filter answers."""
        return self.support in (Support.FULL, Support.PARTIAL)


def _numbers(x86_64: int, aarch64: int) -> dict[str, int]:
    return {"x86_64": x86_64, "aarch64": aarch64}


# DEVIATION: io_uring gives ENOSYS on the parent side too, where a real parent instance has it.
_SOCKET = _numbers(41, 198)
_GETSOCKOPT = _numbers(55, 209)
_IOCTL = _numbers(16, 29)

CALLS: tuple[Call, ...] = (
    Call(
        "socket",
        _SOCKET,
        Support.PARTIAL,
        "SOCK_STREAM only: SOCK_SEQPACKET gives ESOCKTNOSUPPORT as on the 4.14 enclave kernel, "
        "SOCK_DGRAM gives ENODEV",
        (Argument(0, (AF_VSOCK,)),),
        "AF_VSOCK",
    ),
    Call(
        "socketpair",
        _numbers(53, 199),
        Support.ERRNO,
        "as on hardware",
        (Argument(0, (AF_VSOCK,)),),
        "AF_VSOCK",
        errno.EOPNOTSUPP,
    ),
    Call("bind", _numbers(49, 200), Support.FULL, "", subject="AF_VSOCK sockets"),
    Call(
        "connect",
        _numbers(42, 203),
        Support.PARTIAL,
        "a non-blocking connect is finished when it returns (hardware: EINPROGRESS)",
        subject="AF_VSOCK sockets",
    ),
    Call("listen", _numbers(50, 201), Support.FULL, "", subject="AF_VSOCK sockets"),
    Call("accept", _numbers(43, 202), Support.FULL, "", subject="AF_VSOCK sockets"),
    Call("accept4", _numbers(288, 242), Support.FULL, "", subject="AF_VSOCK sockets"),
    Call("getsockname", _numbers(51, 204), Support.FULL, "", subject="AF_VSOCK sockets"),
    Call("getpeername", _numbers(52, 205), Support.FULL, "", subject="AF_VSOCK sockets"),
    Call(
        "recvfrom",
        _numbers(45, 207),
        Support.FULL,
        "no name is returned, as on hardware (recvmsg with a name buffer runs natively and "
        "returns an AF_UNIX name)",
        (Argument(4, ()),),
        "AF_VSOCK sockets, with a name buffer",
    ),
    Call(
        "getsockopt",
        _GETSOCKOPT,
        Support.FULL,
        "",
        (Argument(1, (SOL_SOCKET,)), Argument(2, (SO_DOMAIN, SO_PROTOCOL))),
        "SO_DOMAIN, SO_PROTOCOL",
    ),
    Call(
        "getsockopt",
        _GETSOCKOPT,
        Support.FULL,
        "",
        (Argument(1, (AF_VSOCK,)),),
        "SO_VM_SOCKETS_*",
    ),
    Call(
        "setsockopt",
        _numbers(54, 208),
        Support.PARTIAL,
        "buffer sizes are kept and given back but do not change the flow of data",
        (Argument(1, (AF_VSOCK,)),),
        "SO_VM_SOCKETS_*",
    ),
    Call("ioctl", _IOCTL, Support.FULL, "", (Argument(1, (NSM_IOCTL_RAW,)),), "/dev/nsm"),
    Call(
        "ioctl",
        _IOCTL,
        Support.FULL,
        "in parent programs only where the host has a /dev/vsock or lets one be mounted",
        (Argument(1, (GET_LOCAL_CID,)),),
        "/dev/vsock",
    ),
    *(
        Call(
            name,
            _numbers(number, number),
            Support.ERRNO,
            "it would go round the filter; the enclave kernel has none",
            subject="any",
            error=errno.ENOSYS,
        )
        for name, number in (
            ("io_uring_setup", 425),
            ("io_uring_enter", 426),
            ("io_uring_register", 427),
        )
    ),
)


# DEVIATION: The kernel and the modules of an image are not executed. In an enclave with the init of
# its image, init_module and finit_module succeed without doing anything, whatever module they are
# given: the driver of the Nitro Secure Module is there already.
# DEVIATION: In an enclave with the init of its image, fsopen fails with ENOSYS, as on the 4.14
# enclave kernel and unlike on newer ones: programs then mount with mount(2), which is served.
def _fsopen(subject: str) -> Call:
    return Call(
        "fsopen",
        _numbers(430, 430),
        Support.ERRNO,
        "programs then use mount, as on the 4.14 enclave kernel",
        subject=subject,
        error=errno.ENOSYS,
    )


OWN_INIT_CALLS: tuple[Call, ...] = (
    Call(
        "mount",
        _numbers(165, 40),
        Support.PARTIAL,
        "devtmpfs, proc, sysfs and devpts succeed without options where they are mounted already; "
        "cgroup hierarchies succeed and are not mounted; other types run natively",
        subject="the init of an image: kernel file systems",
    ),
    *(
        Call(
            name,
            _numbers(x86_64, aarch64),
            Support.SUCCESS,
            "nothing is loaded; /dev/nsm is there from the beginning",
            subject="the init of an image",
        )
        for name, x86_64, aarch64 in (("init_module", 175, 105), ("finit_module", 313, 273))
    ),
    _fsopen("the init of an image"),
)

#: Root inside has the rights of root of the machine on the kernel's settings in a second proc.
HOST_ROOT_CALLS: tuple[Call, ...] = (
    Call(
        "mount",
        _numbers(165, 40),
        Support.PARTIAL,
        "proc succeeds without options where it is mounted already, and cannot be mounted "
        "elsewhere; other types run natively",
        subject="when root of this machine has started the enclave: proc",
    ),
    _fsopen("when root of this machine has started the enclave"),
)


def calls_of_enclave(*, own_init: bool, host_root: bool) -> tuple[Call, ...]:
    """Return what is answered in an enclave.

    `own_init`: it executes the init of its image. `host_root`: root of this machine starts it.
    """
    if own_init:
        return (*CALLS, *OWN_INIT_CALLS)
    return (*CALLS, *HOST_ROOT_CALLS) if host_root else CALLS
