/* Raw socket calls, for the programs about sockets. */
#ifndef VSOCK_H
#define VSOCK_H

#include "raw.h"

#include <fcntl.h>
#include <sys/socket.h>

static inline struct vm_address at(uint32_t cid, uint32_t port)
{
	return (struct vm_address){.family = VSOCK, .port = port, .cid = cid};
}

static inline long vsock(int type, int protocol)
{
	return syscall(SYS_socket, VSOCK, type, protocol);
}

static inline int stream(void)
{
	return (int)must("socket", vsock(SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static inline long bind_to(int fd, uint32_t cid, uint32_t port)
{
	struct vm_address address = at(cid, port);

	return syscall(SYS_bind, fd, &address, sizeof(address));
}

static inline long connect_to(int fd, uint32_t cid, uint32_t port)
{
	struct vm_address address = at(cid, port);

	return syscall(SYS_connect, fd, &address, sizeof(address));
}

static inline int listener_with(int type)
{
	int fd = (int)must("socket", vsock(type, 0));

	must("bind", bind_to(fd, CID_ANY, PORT));
	must("listen", syscall(SYS_listen, fd, 8));
	return fd;
}

static inline int listener(void)
{
	return listener_with(SOCK_STREAM | SOCK_CLOEXEC);
}

static inline long accept_from(int fd)
{
	return syscall(SYS_accept4, fd, NULL, NULL, SOCK_CLOEXEC);
}

/* The connection that the test opens to this enclave's port. */
static inline int connection(void)
{
	int fd = listener(), accepted = (int)must("accept", accept_from(fd));

	must("close", close(fd));
	return accepted;
}

/* Print the outcome of getsockname or getpeername as family, length, port and CID. */
static inline void say_name(const char *name, long number, int fd)
{
	struct vm_address address;
	uint32_t length = sizeof(address);
	long result;

	memset(&address, 0xee, sizeof(address));
	result = syscall(number, fd, &address, &length);
	if (result == 0)
		printf("%s: family %u length %u port %u cid %u\n", name, address.family, length, address.port, address.cid);
	else
		say(name, result);
}

#endif
