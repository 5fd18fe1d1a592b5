/* Socket calls that no library makes: wrong types, addresses, pointers, orders and options. */
#include "vsock.h"

#include <sys/time.h>

#define CID_NOBODY 4000000000u
#define PORT_NOBODY 5999u

static void types(void)
{
	int pair[2];

	say("datagram", vsock(SOCK_DGRAM, 0));
	say("sequenced", vsock(SOCK_SEQPACKET, 0));
	say("raw", vsock(SOCK_RAW, 0));
	say("no such type", vsock(11, 0));
	say("protocol 1", vsock(SOCK_STREAM, 1));
	say("protocol of the family", vsock(SOCK_STREAM, VSOCK) >= 0);
	say("unknown flag", vsock(SOCK_STREAM | 0x100, 0));
	say("pair", syscall(SYS_socketpair, VSOCK, SOCK_STREAM, 0, pair));
	say("pair nowhere", syscall(SYS_socketpair, VSOCK, SOCK_STREAM, 0, (void *)1));
}

static void flags(void)
{
	int plain = (int)must("socket", vsock(SOCK_STREAM, 0));
	int both = (int)must("socket", vsock(SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

	say("plain close-on-exec", syscall(SYS_fcntl, plain, F_GETFD));
	say("plain non-blocking", syscall(SYS_fcntl, plain, F_GETFL) & O_NONBLOCK);
	say("flagged close-on-exec", syscall(SYS_fcntl, both, F_GETFD));
	say("flagged non-blocking", (syscall(SYS_fcntl, both, F_GETFL) & O_NONBLOCK) != 0);
	must("close", close(plain));
	say("lowest free number again", must("socket", vsock(SOCK_STREAM, 0)) - plain);
}

static void bind_address(void)
{
	int fd = stream();
	struct vm_address address = at(CID_ANY, PORT);

	say("short", syscall(SYS_bind, fd, &address, 8));
	say("empty", syscall(SYS_bind, fd, &address, 0));
	say("negative length", syscall(SYS_bind, fd, &address, -1));
	say("too long", syscall(SYS_bind, fd, &address, 129));
	address.family = AF_INET;
	say("internet family", syscall(SYS_bind, fd, &address, sizeof(address)));
	address.family = AF_UNIX;
	say("unix family", syscall(SYS_bind, fd, &address, sizeof(address)));
	address = at(CID_ANY, PORT);
	address.zero[0] = 2;
	say("unknown flag", syscall(SYS_bind, fd, &address, sizeof(address)));
	say("wild pointer", syscall(SYS_bind, fd, (void *)1, sizeof(address)));
	say("protected pointer", syscall(SYS_bind, fd, guard_page(PROT_NONE), sizeof(address)));
	say("foreign cid", bind_to(fd, 77, PORT));
	say("closed fd", bind_to(1000, CID_ANY, PORT));
	say("still unbound", bind_to(fd, CID_ANY, PORT));
}

static void bind_conflicts(void)
{
	int first = stream(), second = stream(), third = stream();

	say("bind", bind_to(first, CID_ANY, PORT));
	say("twice", bind_to(first, CID_ANY, PORT + 1));
	say("in use", bind_to(second, CID_ANY, PORT));
	must("listen", syscall(SYS_listen, first, 1));
	say("in use by a listener", bind_to(second, CID_ANY, PORT));
	say("another port", bind_to(second, CID_ANY, PORT + 1));
	must("close", close(first));
	say("free again", bind_to(third, CID_ANY, PORT));
}

static void bind_any_port(void)
{
	int first = stream(), second = stream();
	struct vm_address one, two;
	uint32_t length = sizeof(one);

	must("bind", bind_to(first, CID_ANY, PORT_ANY));
	must("bind", bind_to(second, CID_ANY, PORT_ANY));
	must("name", syscall(SYS_getsockname, first, &one, &length));
	must("name", syscall(SYS_getsockname, second, &two, &length));
	say("real ports", one.port != PORT_ANY && two.port != PORT_ANY);
	say("unprivileged", one.port >= 1024 && two.port >= 1024);
	say("different", one.port != two.port);
}

static void wrong_order(void)
{
	int fd = stream();

	say("listen unbound", syscall(SYS_listen, fd, 1));
	say("accept unbound", accept_from(fd));
	must("bind", bind_to(fd, CID_ANY, PORT));
	say("accept before listen", accept_from(fd));
	say("listen", syscall(SYS_listen, fd, 0));
	say("listen again", syscall(SYS_listen, fd, 100));
	say("accept4 flags", syscall(SYS_accept4, fd, NULL, NULL, 0x4));
	say("connect a listener", connect_to(fd, CID_PARENT, PORT_NOBODY));
}

static void ordinary_sockets(void)
{
	struct vm_address address = at(CID_PARENT, PORT);
	int plain = (int)must("socket", syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0)), file = memfd_create("file", 0);

	say("vsock connect of a unix socket", syscall(SYS_connect, plain, &address, sizeof(address)));
	say("vsock bind of a unix socket", syscall(SYS_bind, plain, &address, sizeof(address)));
	say("accept of a file", accept_from(file));
	say("accept of a closed fd", accept_from(1000));
	say("name of a file", syscall(SYS_getsockname, file, &address, &(uint32_t){sizeof(address)}));
	say("option of a file", syscall(SYS_getsockopt, file, VSOCK, 0, &(uint64_t){0}, &(uint32_t){8}));
	say("vsock option of a unix socket", syscall(SYS_getsockopt, plain, VSOCK, 0, &(uint64_t){0}, &(uint32_t){8}));
}

static void connect_refused(void)
{
	int fd = stream();

	say("first", connect_to(fd, CID_PARENT, PORT_NOBODY));
	say("again", connect_to(fd, CID_PARENT, PORT_NOBODY));
	say_name("peer", SYS_getpeername, fd);
}

static void connect_nobody(void)
{
	int fd = stream();
	struct timeval limit = {0, 100000};

	must("timeout", syscall(SYS_setsockopt, fd, VSOCK, 6, &limit, sizeof(limit)));
	say("unknown cid", connect_to(fd, CID_NOBODY, PORT));
}

static void connect_address(void)
{
	int fd = stream();
	struct vm_address address = at(CID_PARENT, PORT_NOBODY);

	say("short", syscall(SYS_connect, fd, &address, 8));
	say("negative length", syscall(SYS_connect, fd, &address, -1));
	address.family = AF_UNIX;
	say("unix family", syscall(SYS_connect, fd, &address, sizeof(address)));
	say("wild pointer", syscall(SYS_connect, fd, (void *)1, sizeof(address)));
	say("kernel pointer", syscall(SYS_connect, fd, (void *)0xffffffffffff0000ul, sizeof(address)));
	say("closed fd", connect_to(1000, CID_PARENT, PORT_NOBODY));
}

static void names(void)
{
	int fd = stream();

	say_name("own, unbound", SYS_getsockname, fd);
	say_name("peer, unbound", SYS_getpeername, fd);
	must("bind", bind_to(fd, CID_ANY, PORT));
	say_name("own, bound", SYS_getsockname, fd);
	say_name("peer, bound", SYS_getpeername, fd);
}

static void name_pointers(void)
{
	int fd = stream();
	struct vm_address address;
	uint32_t length = 4;

	memset(&address, 0xee, sizeof(address));
	must("bind", bind_to(fd, CID_ANY, PORT));
	say("short buffer", syscall(SYS_getsockname, fd, &address, &length));
	say_value("full length", length);
	printf("family %u, rest untouched %d\n", address.family, address.port == 0xeeeeeeee);
	length = sizeof(address);
	say("wild buffer", syscall(SYS_getsockname, fd, (void *)1, &length));
	say("wild length", syscall(SYS_getsockname, fd, &address, (void *)1));
	length = (uint32_t)-1;
	say("negative length", syscall(SYS_getsockname, fd, &address, &length));
	length = sizeof(address);
	say("read-only buffer", syscall(SYS_getsockname, fd, guard_page(PROT_READ), &length));
}

static void say_option(const char *name, int fd, int level, int option, uint32_t length)
{
	uint64_t value[2] = {0, 0};
	long result = syscall(SYS_getsockopt, fd, level, option, value, &length);

	if (result == 0)
		printf("%s: value %lu length %u\n", name, (unsigned long)value[0], length);
	else
		say(name, result);
}

static void general_options(void)
{
	int fd = stream();

	say_option("domain", fd, SOL_SOCKET, SO_DOMAIN, 4);
	say_option("type", fd, SOL_SOCKET, SO_TYPE, 4);
	say_option("protocol", fd, SOL_SOCKET, SO_PROTOCOL, 4);
	say_option("domain in 8 bytes", fd, SOL_SOCKET, SO_DOMAIN, 8);
	say_option("error", fd, SOL_SOCKET, SO_ERROR, 4);
	say_option("listening", fd, SOL_SOCKET, SO_ACCEPTCONN, 4);
	say("reuse in 8 bytes", syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, &(uint64_t){1}, 8));
}

static long set_size(int fd, int option, uint64_t value, uint32_t length)
{
	return syscall(SYS_setsockopt, fd, VSOCK, option, &value, length);
}

static void vsock_options(void)
{
	int fd = stream();

	say_option("size", fd, VSOCK, 0, 8);
	say_option("minimum", fd, VSOCK, 1, 8);
	say_option("maximum", fd, VSOCK, 2, 8);
	say_option("size in 4 bytes", fd, VSOCK, 0, 4);
	say_option("unknown", fd, VSOCK, 99, 8);
	say("set size", set_size(fd, 0, 65536, 8));
	say_option("size set", fd, VSOCK, 0, 8);
	say("set size in 4 bytes", set_size(fd, 0, 4096, 4));
	say("set size above maximum", set_size(fd, 0, 1 << 20, 8));
	say_option("size clamped", fd, VSOCK, 0, 8);
	say("set unknown", set_size(fd, 99, 1, 8));
	say("wild value", syscall(SYS_setsockopt, fd, VSOCK, 0, (void *)1, 8));
	say("wild buffer", syscall(SYS_getsockopt, fd, VSOCK, 0, (void *)1, &(uint32_t){8}));
	say("wild length", syscall(SYS_getsockopt, fd, VSOCK, 0, &(uint64_t){0}, (void *)1));
}

static void connect_timeout_option(void)
{
	int fd = stream();
	struct timeval limit = {0, 0};
	uint32_t length = sizeof(limit);

	must("get", syscall(SYS_getsockopt, fd, VSOCK, 6, &limit, &length));
	printf("default: %ld s %ld us length %u\n", (long)limit.tv_sec, (long)limit.tv_usec, length);
	limit = (struct timeval){1, 500000};
	say("set", syscall(SYS_setsockopt, fd, VSOCK, 6, &limit, sizeof(limit)));
	must("get", syscall(SYS_getsockopt, fd, VSOCK, 6, &limit, &length));
	printf("changed: %ld s %ld us\n", (long)limit.tv_sec, (long)limit.tv_usec);
	limit = (struct timeval){0, 1000000};
	say("too many microseconds", syscall(SYS_setsockopt, fd, VSOCK, 6, &limit, sizeof(limit)));
	say("short", syscall(SYS_setsockopt, fd, VSOCK, 6, &limit, 8));
}

static void unconnected_data(void)
{
	say("write", syscall(SYS_sendto, stream(), "x", 1, MSG_NOSIGNAL, NULL, 0));
	say("read", syscall(SYS_read, stream(), (char[1]){0}, 1));
	say("shutdown", syscall(SYS_shutdown, stream(), SHUT_WR));
}

static void io_uring(void)
{
	say("setup", syscall(SYS_io_uring_setup, 1, calloc(1, 120)));
}

/* Harmless calls by the other numberings: a filter that lets these through is blind to all. */
#ifdef __x86_64__
static void foreign_x32(void)
{
	say("getpid", syscall(0x40000000 | SYS_getpid));
}

static void foreign_i386(void)
{
	long answer;

	__asm__ volatile("int $0x80" : "=a"(answer) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
	printf("getpid: %d\n", (int)answer);
}
#endif

static const struct test_case cases[] = {
	{"types", types},
	{"flags", flags},
	{"bind_address", bind_address},
	{"bind_conflicts", bind_conflicts},
	{"bind_any_port", bind_any_port},
	{"wrong_order", wrong_order},
	{"ordinary_sockets", ordinary_sockets},
	{"connect_refused", connect_refused},
	{"connect_nobody", connect_nobody},
	{"connect_address", connect_address},
	{"names", names},
	{"name_pointers", name_pointers},
	{"general_options", general_options},
	{"vsock_options", vsock_options},
	{"connect_timeout_option", connect_timeout_option},
	{"unconnected_data", unconnected_data},
	{"io_uring", io_uring},
#ifdef __x86_64__
	{"foreign_x32", foreign_x32},
	{"foreign_i386", foreign_i386},
#endif
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return run_case(cases, argc, argv);
}
