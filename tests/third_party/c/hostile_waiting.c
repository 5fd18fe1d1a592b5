/* Waiting, signals, shared descriptions and the end of a connection. */
#include "vsock.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#define TICK_MICROSECONDS 20000

static volatile sig_atomic_t ticks, broken_pipes;

static void on_tick(int number)
{
	(void)number;
	if (++ticks == 3 && write(STDOUT_FILENO, "ticking\n", 8) != 8)
		_exit(1);
}

static void on_broken_pipe(int number)
{
	(void)number;
	broken_pipes++;
}

static void start_ticking(int flags)
{
	struct sigaction action = {.sa_handler = on_tick, .sa_flags = flags};
	struct itimerval every = {{0, TICK_MICROSECONDS}, {0, TICK_MICROSECONDS}};

	must("sigaction", sigaction(SIGALRM, &action, NULL));
	must("timer", setitimer(ITIMER_REAL, &every, NULL));
}

static void stop_ticking(void)
{
	must("timer", setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL));
}

static void nonblocking(void)
{
	int fd = listener_with(SOCK_STREAM | SOCK_NONBLOCK);
	struct pollfd waiting = {fd, POLLIN, 0};

	say("nobody there", accept_from(fd));
	must("poll", poll(&waiting, 1, -1));
	int accepted = (int)must("accept", accept_from(fd));
	say("flag inherited", syscall(SYS_fcntl, accepted, F_GETFL) & O_NONBLOCK);
	say("nobody there again", accept_from(fd));
	say("nothing to read", syscall(SYS_recvfrom, accepted, (char[1]){0}, 1, MSG_DONTWAIT, NULL, NULL));
}

static void becomes_nonblocking(void)
{
	int fd = listener();

	must("fcntl", syscall(SYS_fcntl, fd, F_SETFL, O_NONBLOCK));
	say("after fcntl", accept_from(fd));
	must("ioctl", syscall(SYS_ioctl, fd, FIONBIO, &(int){0}));
	must("ioctl", syscall(SYS_ioctl, fd, FIONBIO, &(int){1}));
	say("after FIONBIO", accept_from(fd));
}

static void receive_timeout(void)
{
	int fd = listener();
	struct timeval limit = {0, 200000};
	struct timespec before, after;

	must("timeout", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	clock_gettime(CLOCK_MONOTONIC, &before);
	say("accept", accept_from(fd));
	clock_gettime(CLOCK_MONOTONIC, &after);
	long waited = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
	say("waited long enough", waited >= 190);
	say("gave up in time", waited < 2000);
}

static void interrupted(void)
{
	int fd = listener();

	start_ticking(0);
	say("accept", accept_from(fd));
	stop_ticking();
	say("works after", accept_from(fd) >= 0);
}

static void restarted(void)
{
	int fd = listener();

	start_ticking(SA_RESTART);
	say("accept", accept_from(fd) >= 0);
	say("was signalled", ticks >= 3);
}

static void accept_pointers(void)
{
	int fd = listener();
	struct vm_address address;
	uint32_t length = sizeof(address);

	say("accept", syscall(SYS_accept, fd, &address, &length) >= 0);
	printf("family %u length %u cid %u\n", address.family, length, address.cid);
	length = 4;
	memset(&address, 0xee, sizeof(address));
	say("short buffer", syscall(SYS_accept, fd, &address, &length) >= 0);
	printf("family %u length %u rest untouched %d\n", address.family, length, address.port == 0xeeeeeeee);
}

/* The connection is taken before anyone looks where its address should go, and is lost. */
static void accept_wild(void)
{
	int fd = listener();
	struct vm_address address;
	uint32_t length = sizeof(address);

	say("wild buffer", syscall(SYS_accept, fd, (void *)1, &length));
	say("wild length", syscall(SYS_accept, fd, &address, (void *)1));
	say("works after", accept_from(fd) >= 0);
}

static void duplicate(void)
{
	int fd = listener(), copy = (int)must("dup", dup(fd));

	must("close", close(fd));
	say("accept on the copy", accept_from(copy) >= 0);
	say_name("name of the copy", SYS_getsockname, copy);
	must("close", close(copy));
	say("port is free", bind_to(stream(), CID_ANY, PORT));
}

static void inherited(void)
{
	int fd = listener(), status;
	pid_t child = fork();

	if (child == 0) {
		int accepted = (int)must("accept", accept_from(fd));

		_exit(write(accepted, "child", 5) == 5 ? 42 : 1);
	}
	must("close", close(fd));
	must("wait", waitpid(child, &status, 0));
	say("child's status", WEXITSTATUS(status));
	say("port is free", bind_to(stream(), CID_ANY, PORT));
}

static void say_events(const char *name, int set)
{
	struct epoll_event event = {0, {0}};
	int count = epoll_wait(set, &event, 1, -1);

	printf("%s: %d %s%s\n", name, count, event.events & EPOLLIN ? "in" : "", event.events & EPOLLRDHUP ? " end" : "");
}

static void polled(void)
{
	int fd = listener_with(SOCK_STREAM | SOCK_NONBLOCK), set = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event interest = {.events = EPOLLIN | EPOLLRDHUP};
	char byte;

	must("epoll", epoll_ctl(set, EPOLL_CTL_ADD, fd, &interest));
	say_events("listener", set);
	int accepted = (int)must("accept", accept_from(fd));
	must("epoll", epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL));
	must("epoll", epoll_ctl(set, EPOLL_CTL_ADD, accepted, &interest));
	must("write", write(accepted, "?", 1));
	say_events("connection", set);
	say("read", read(accepted, &byte, 1));
	must("write", write(accepted, "?", 1));
	say_events("after the peer's end", set);
	say("read", read(accepted, &byte, 1));
}

static void names_of_connection(void)
{
	int fd = connection();

	say_name("own", SYS_getsockname, fd);
	struct vm_address address;
	uint32_t length = sizeof(address);
	say("peer", syscall(SYS_getpeername, fd, &address, &length));
	printf("family %u length %u cid %u\n", address.family, length, address.cid);
	say("connect again", connect_to(fd, CID_PARENT, 1));
	say("bind again", bind_to(fd, CID_ANY, PORT + 1));
	say("listen", syscall(SYS_listen, fd, 1));
}

static void readable_count(void)
{
	int fd = connection(), count = -1;
	struct pollfd waiting = {fd, POLLIN, 0};

	must("poll", poll(&waiting, 1, -1));
	say("ioctl", syscall(SYS_ioctl, fd, FIONREAD, &count));
	say("count", count);
}

/* A stream knows its peer: recvfrom reports no address. */
static void no_sender_name(void)
{
	int fd = connection();
	struct vm_address address;
	uint32_t length = sizeof(address);
	char bytes[5];

	memset(&address, 0xee, sizeof(address));
	say("recvfrom", syscall(SYS_recvfrom, fd, bytes, sizeof(bytes), MSG_WAITALL, &address, &length));
	say_value("length", length);
	say("address untouched", address.family == 0xeeee);
}

static void half_close(void)
{
	int fd = connection();
	char bytes[8];

	must("write", write(fd, "ours", 4));
	say("shutdown", shutdown(fd, SHUT_WR));
	say("write after it", syscall(SYS_sendto, fd, "x", 1, MSG_NOSIGNAL, NULL, 0));
	say("read after it", recv(fd, bytes, 6, MSG_WAITALL));
	say("end", read(fd, bytes, sizeof(bytes)));
}

static void peer_gone(void)
{
	struct sigaction action = {.sa_handler = on_broken_pipe};
	int fd = connection();

	must("sigaction", sigaction(SIGPIPE, &action, NULL));
	say("end", read(fd, (char[1]){0}, 1));
	say("write", write(fd, "x", 1));
	say("signals", broken_pipes);
	say("write without signal", syscall(SYS_sendto, fd, "x", 1, MSG_NOSIGNAL, NULL, 0));
	say("signals", broken_pipes);
}

static void killed_by_peer(void)
{
	int fd = connection();

	must("read", read(fd, (char[1]){0}, 1));
	say("survived a write", write(fd, "x", 1));
}

static const struct test_case cases[] = {
	{"nonblocking", nonblocking},
	{"becomes_nonblocking", becomes_nonblocking},
	{"receive_timeout", receive_timeout},
	{"interrupted", interrupted},
	{"restarted", restarted},
	{"accept_pointers", accept_pointers},
	{"accept_wild", accept_wild},
	{"duplicate", duplicate},
	{"inherited", inherited},
	{"polled", polled},
	{"names_of_connection", names_of_connection},
	{"readable_count", readable_count},
	{"no_sender_name", no_sender_name},
	{"half_close", half_close},
	{"peer_gone", peer_gone},
	{"killed_by_peer", killed_by_peer},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return run_case(cases, argc, argv);
}
