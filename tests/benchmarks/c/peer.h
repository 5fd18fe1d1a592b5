/*
 * The other end of a measured connection: the same code over every family.
 *
 * It serves one connection after the other. A connection is a series of requests,
 * struct ask, until its end.
 */
#ifndef PEER_H
#define PEER_H

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "clock.h"

enum { VSOCK = 40, CID_ANY = -1, CID_PARENT = 3, PEER_PORT = 7000, LARGEST = 1 << 20 };
#define PEER_PATH "peer" /* in the working directory */

struct vm_address {
	uint16_t family, reserved;
	uint32_t port, cid;
	uint8_t zero[4];
};

enum todo {
	PIN,   /* to CPU `value` */
	ECHO,  /* `count` messages of `value` bytes */
	SINK,  /* read `count` bytes, at most `value` at a time */
	DRAIN, /* close every connection that waits to be accepted */
	SHORT, /* until the end: accept and close `count` connections */
};
struct ask { int32_t todo, value; int64_t count; };

/*
 * Outside the simulator a vsock call would reach the machine's own vsock, which
 * on a virtual machine leads to its host: refuse to run there.
 */
static inline void demand_simulator(void)
{
	const char *inside = getenv("NITROSIM_INSIDE");
	if (!inside || strcmp(inside, "1") != 0) {
		dprintf(2, "benchmark: uses vsock only inside the simulator (NITROSIM_INSIDE is not 1)\n");
		_exit(2);
	}
}

union address {
	struct sockaddr any;
	struct vm_address vm;
	struct sockaddr_un un;
	struct sockaddr_in in;
};

/* Where the peer of `family` listens; `cid` is for vsock. */
static inline socklen_t peer_address(int family, uint32_t cid, union address *address)
{
	memset(address, 0, sizeof *address);
	address->any.sa_family = (sa_family_t)family;
	switch (family) {
	case VSOCK:
		demand_simulator();
		address->vm.port = PEER_PORT;
		address->vm.cid = cid;
		return sizeof address->vm;
	case AF_UNIX:
		strcpy(address->un.sun_path, PEER_PATH);
		return sizeof address->un;
	default:
		address->in.sin_port = htons(PEER_PORT);
		address->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof address->in;
	}
}

static inline int peer_listen(int family)
{
	union address address;
	const int on = 1;
	socklen_t size = peer_address(family, (uint32_t)CID_ANY, &address);
	int listener = (int)must("socket", socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (family == AF_INET)
		setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (family == AF_UNIX)
		unlink(PEER_PATH);
	must("bind", bind(listener, &address.any, size));
	must("listen", listen(listener, 4096));
	return listener;
}

static inline void peer_drain(int listener)
{
	int connection;
	fcntl(listener, F_SETFL, O_NONBLOCK);
	while ((connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(connection);
	fcntl(listener, F_SETFL, 0);
}

static inline void peer_serve(int listener, int connection)
{
	static char buffer[LARGEST];
	struct ask ask;
	while (read_all(connection, &ask, sizeof ask)) {
		switch ((enum todo)ask.todo) {
		case PIN:
			pin(ask.value);
			break;
		case ECHO:
			for (int64_t n = 0; n < ask.count; n++) {
				read_all(connection, buffer, (size_t)ask.value);
				write_all(connection, buffer, (size_t)ask.value);
			}
			break;
		case SINK:
			for (int64_t left = ask.count; left > 0; ) {
				const size_t most = (size_t)(left < ask.value ? left : ask.value);
				left -= must("read", read(connection, buffer, most));
			}
			break;
		case DRAIN:
			peer_drain(listener);
			break;
		case SHORT:
			write_all(connection, "", 1);
			for (int64_t n = 0; n < ask.count; n++)
				close((int)must("accept", accept4(listener, NULL, NULL, SOCK_CLOEXEC)));
			break;
		}
		write_all(connection, "", 1);
	}
}

static inline void __attribute__((noreturn)) peer_run(int listener)
{
	for (;;) {
		int connection = (int)must("accept", accept4(listener, NULL, NULL, SOCK_CLOEXEC));
		peer_serve(listener, connection);
		close(connection);
	}
}

#endif
