"""vsock addresses and the numbers around them.

An address is a context identifier (CID, which machine) and a port, both unsigned
32-bit. In memory it is ``struct sockaddr_vm``, 16 bytes in host byte order:
family u16 = 40, reserved u16, port u32, cid u32, flags u8, zero[3].
Source: vsock(7), Linux include/uapi/linux/vm_sockets.h.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

AF_VSOCK = 40
CID_ANY = 0xFFFFFFFF
PORT_ANY = 0xFFFFFFFF
CID_HYPERVISOR = 0
CID_LOCAL = 1
CID_HOST = 2
#: The parent instance, as its enclaves and the instance itself see it.
CID_PARENT = 3
#: Observed: the hypervisor numbers enclaves from here, one up per launch.
FIRST_ENCLAVE_CID = 16
#: Ports up to this one need CAP_NET_BIND_SERVICE.
LAST_RESERVED_PORT = 1023

#: The one flag an address may carry; it changes nothing between an enclave and its parent.
FLAG_TO_HOST = 1

SOCKADDR_SIZE = 16
_SOCKADDR = struct.Struct("=HHIIB3x")


class Address(NamedTuple):
    """A vsock address."""

    cid: int
    port: int

    def pack(self) -> bytes:
        """Return the address as ``struct sockaddr_vm``, 16 bytes."""
        return _SOCKADDR.pack(AF_VSOCK, 0, self.port, self.cid, 0)


def unpack_sockaddr(data: bytes) -> tuple[int, Address, int]:
    """Return family, address and flags of a ``struct sockaddr_vm``, 16 bytes."""
    family, _reserved, port, cid, flags = _SOCKADDR.unpack(data)
    return family, Address(cid, port), flags


def address_in_name(name: str | bytes) -> Address:
    """Return the vsock address that the AF_UNIX name of an emulated socket stands for.

    The last part of such a name is ``CID.PORT.SERIAL``.
    """
    text = os.fsdecode(name)
    cid, port, _serial = text[text.rfind("/") + 1 :].split(".")
    return Address(int(cid), int(port))
