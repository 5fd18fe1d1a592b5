"""The vsock calls that are answered at once: socket, bind, listen, names, options.

Each method answers one line of the table of :mod:`nitrosim.sandbox.calls`. Errors
and their order follow Linux net/socket.c and net/vmw_vsock/af_vsock.c.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from dataclasses import replace

from nitrosim.hypervisor.answers import NATIVE, SUCCESS, Answer, Fail, Install
from nitrosim.hypervisor.arguments import (
    CallError,
    as_int,
    read_name,
    read_room,
    write_name,
    write_option,
)
from nitrosim.hypervisor.network import Network
from nitrosim.hypervisor.notify import Notification
from nitrosim.hypervisor.programs import Program, SocketLender
from nitrosim.hypervisor.sockets import DEFAULT_CONNECT_TIMEOUT, EmulatedSocket
from nitrosim.hypervisor.tracee import read_memory, read_status
from nitrosim.sandbox.calls import SO_DOMAIN, SOL_SOCKET
from nitrosim.vsock.addresses import AF_VSOCK, CID_ANY, LAST_RESERVED_PORT, PORT_ANY, Address

_TYPE_MASK = 0xF
_FIRST_UNKNOWN_TYPE = 11  # SOCK_MAX
_TYPE_FLAGS = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_CAP_NET_BIND_SERVICE = 10

_BUFFER_SIZE, _BUFFER_MIN, _BUFFER_MAX = 0, 1, 2
_CONNECT_TIMEOUT_OLD, _CONNECT_TIMEOUT_NEW = 6, 8
_U64 = struct.Struct("=Q")
_TIMEVAL = struct.Struct("=qq")
_INT = struct.Struct("=i")
_MOST_SECONDS = (1 << 63) // 1000
_UNBOUND = Address(CID_ANY, PORT_ANY)


# DEVIATION: An emulated socket is an AF_UNIX stream socket, and calls that are not in the table of
# served calls show it: SO_PEERCRED answers, descriptors can be sent with SCM_RIGHTS, MSG_OOB and
# FIONREAD work, fstat and /proc/net/unix show its kind.
# DEVIATION: On a socket that is not connected, read and recv give EINVAL and shutdown succeeds,
# where vsock gives ENOTCONN for both.
# DEVIATION: A socket that is not connected polls as hung up (POLLHUP), so a program that registers
# it with epoll before connect can see one event that a vsock socket would not have.
class VsockCalls:
    """Answers to the calls that set a socket up or ask about it."""

    def __init__(self, network: Network, lender: SocketLender) -> None:
        self._network = network
        self._lender = lender

    def socket(self, program: Program, notification: Notification) -> Answer:
        """Answer ``socket``: AF_VSOCK, type, protocol."""
        kind, protocol = as_int(notification.args[1]), as_int(notification.args[2])
        if kind & ~(_TYPE_MASK | _TYPE_FLAGS) or kind & _TYPE_MASK >= _FIRST_UNKNOWN_TYPE:
            return Fail(errno.EINVAL)
        if protocol not in (0, AF_VSOCK):
            return Fail(errno.EPROTONOSUPPORT)
        if kind & _TYPE_MASK == socket.SOCK_DGRAM:
            # ASSUMPTION: a datagram socket fails at socket() with ENODEV, as on kernels since 5.6;
            # the 4.14 enclave kernel would create it and refuse to bind it.
            return Fail(errno.ENODEV)
        if kind & _TYPE_MASK != socket.SOCK_STREAM:
            return Fail(errno.ESOCKTNOSUPPORT)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if kind & socket.SOCK_NONBLOCK:
            os.set_blocking(sock.fileno(), False)
        self._network.table.add(sock, program.side)
        return Install(sock, os.O_CLOEXEC if kind & socket.SOCK_CLOEXEC else 0)

    def bind(self, _program: Program, notification: Notification) -> Answer:
        """Answer ``bind``: fd, name, length."""
        with self._lender.borrow(notification) as borrowed:
            if borrowed is None:
                return NATIVE
            wanted = read_name(notification.thread, notification.args[1], notification.args[2])
            if wanted.port <= LAST_RESERVED_PORT and not _may_bind_reserved(notification.thread):
                return Fail(errno.EACCES)
            return _result(self._network.bind(borrowed.sock, borrowed.state, wanted))

    def listen(self, _program: Program, notification: Notification) -> Answer:
        """Answer ``listen``: fd, backlog."""
        with self._lender.borrow(notification) as borrowed:
            if borrowed is None:
                return NATIVE
            backlog = as_int(notification.args[1])
            return _result(self._network.listen(borrowed.sock, borrowed.state, backlog))

    def getsockname(self, _program: Program, notification: Notification) -> Answer:
        """Answer ``getsockname``: fd, name, length."""
        with self._lender.borrow(notification) as borrowed:
            if borrowed is None:
                return NATIVE
            return _give_name(notification, borrowed.state.local or _UNBOUND)

    def getpeername(self, _program: Program, notification: Notification) -> Answer:
        """Answer ``getpeername``: fd, name, length."""
        with self._lender.borrow(notification) as borrowed:
            if borrowed is None:
                return NATIVE
            if borrowed.state.peer is None:
                return Fail(errno.ENOTCONN)
            return _give_name(notification, borrowed.state.peer)

    def getsockopt(self, _program: Program, notification: Notification) -> Answer:
        """Answer ``getsockopt`` at level AF_VSOCK, and of SO_DOMAIN and SO_PROTOCOL."""
        with self._lender.borrow(notification) as borrowed:
            if borrowed is None:
                return NATIVE
            thread, args = notification.thread, notification.args
            option = as_int(args[2])
            if as_int(args[1]) == SOL_SOCKET:
                value = _INT.pack(AF_VSOCK if option == SO_DOMAIN else 0)
            else:
                value = _vsock_option(borrowed.state, option)
                if read_room(thread, args[4]) < len(value):
                    return Fail(errno.EINVAL)
            write_option(thread, args[3], args[4], value)
            return SUCCESS

    # DEVIATION: The buffer sizes of SO_VM_SOCKETS_* are kept and given back but have no effect: how
    # much a connection holds is the AF_UNIX limit of this machine (some 200 KB, less when it is
    # written in many small pieces), where vsock holds the buffer size in bytes.
    def setsockopt(self, _program: Program, notification: Notification) -> Answer:
        """Answer ``setsockopt``: fd, AF_VSOCK, option, value, length."""
        with self._lender.borrow(notification) as borrowed:
            if borrowed is None:
                return NATIVE
            thread, args = notification.thread, notification.args
            state = borrowed.state
            option, length = as_int(args[2]), as_int(args[4])
            if option in (_CONNECT_TIMEOUT_OLD, _CONNECT_TIMEOUT_NEW):
                seconds, micro = _TIMEVAL.unpack(
                    _read_value(thread, args[3], length, _TIMEVAL.size)
                )
                if not (0 <= seconds < _MOST_SECONDS and 0 <= micro < 1_000_000):
                    return Fail(errno.ERANGE)
                timeout = seconds + micro / 1e6 or DEFAULT_CONNECT_TIMEOUT
                state.options = replace(state.options, connect_timeout=timeout)
                return SUCCESS
            if option not in (_BUFFER_SIZE, _BUFFER_MIN, _BUFFER_MAX):
                return Fail(errno.ENOPROTOOPT)
            (value,) = _U64.unpack(_read_value(thread, args[3], length, _U64.size))
            size, least, most = (
                state.options.buffer_size,
                state.options.buffer_min,
                state.options.buffer_max,
            )
            if option == _BUFFER_MIN:
                least = value
            elif option == _BUFFER_MAX:
                most = value
            else:
                size = value
            state.options = replace(
                state.options,
                buffer_size=max(min(size, most), least),
                buffer_min=least,
                buffer_max=most,
            )
            return SUCCESS


def _result(error: int) -> Answer:
    return Fail(error) if error else SUCCESS


def _give_name(notification: Notification, name: Address) -> Answer:
    write_name(notification.thread, notification.args[1], notification.args[2], name)
    return SUCCESS


def _may_bind_reserved(thread: int) -> bool:
    return bool(int(read_status(thread)["CapEff"], 16) >> _CAP_NET_BIND_SERVICE & 1)


def _read_value(thread: int, address: int, length: int, size: int) -> bytes:
    if length < size:
        raise CallError(errno.EINVAL)
    return read_memory(thread, address, size)


def _vsock_option(state: EmulatedSocket, option: int) -> bytes:
    options = state.options
    sizes = {
        _BUFFER_SIZE: options.buffer_size,
        _BUFFER_MIN: options.buffer_min,
        _BUFFER_MAX: options.buffer_max,
    }
    if option in sizes:
        return _U64.pack(sizes[option])
    if option in (_CONNECT_TIMEOUT_OLD, _CONNECT_TIMEOUT_NEW):
        seconds, part = divmod(options.connect_timeout, 1)
        return _TIMEVAL.pack(int(seconds), round(part * 1e6))
    raise CallError(errno.ENOPROTOOPT)
