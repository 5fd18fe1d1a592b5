/*
 * The measuring program: runs in an enclave, or plainly as the parent's side.
 *
 *   inside serve          in an enclave: takes commands on vsock port 5000
 *   inside plain          outside: takes commands on standard input, no vsock
 *   inside peer           a program of the parent instance: the vsock peer
 *
 * A command is one line of words, the answer one line with a number: nanoseconds
 * of one repetition (the median of all, unless said otherwise). The first word:
 *
 *   pin CPU                      this program, to one CPU; -1: anywhere
 *   pin-peer FAMILY CPU          the peer of a family
 *   random COUNT                 GetRandom ioctls on /dev/nsm
 *   attest COUNT                 Attestation ioctls, with a nonce of 32 bytes
 *   rtt FAMILY SIZE COUNT        a message to the peer and back
 *   connect FAMILY COUNT         socket and connect
 *   short FAMILY COUNT           socket, connect, accept by the peer, close at both ends
 *   throughput FAMILY CHUNK TOTAL    TOTAL bytes until the peer has them (ns for all)
 *
 * FAMILY is unix, vsock or tcp.
 */
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "clock.h"
#include "peer.h"

enum { COMMAND_PORT = 5000, MOST = LARGEST, BATCH = 200 };
#define NSM_IOCTL_RAW 0xC0200A00u
struct nsm_raw { const void *request; uint64_t request_length; void *response; uint64_t response_room; };

static uint64_t times[MOST];
static char buffer[LARGEST];
/* A connection to each peer that has been used. */
static struct link { const char *name; int family, fd; } links[] = {
	{ "unix", AF_UNIX, -1 }, { "tcp", AF_INET, -1 }, { "vsock", VSOCK, -1 },
};

static int connect_peer(int family)
{
	union address address;
	socklen_t size = peer_address(family, CID_PARENT, &address);
	int fd = (int)must("socket", socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	must("connect", connect(fd, &address.any, size));
	return fd;
}

static struct link *link_to(const char *name)
{
	for (struct link *link = links; link < links + sizeof links / sizeof *links; link++) {
		if (strcmp(link->name, name) != 0)
			continue;
		if (link->fd < 0)
			link->fd = connect_peer(link->family);
		return link;
	}
	errno = EAFNOSUPPORT;
	must(name, -1);
	return NULL;
}

static void ask(const struct link *link, enum todo todo, int32_t value, int64_t count)
{
	const struct ask ask = { (int32_t)todo, value, count };
	write_all(link->fd, &ask, sizeof ask);
}

static void await(const struct link *link)
{
	char done;
	read_all(link->fd, &done, 1);
}

static void start_peer(int family)
{
	int listener = peer_listen(family);
	if (must("fork", fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		peer_run(listener);
	}
	close(listener);
}

/* ---- measurements ---- */

static uint64_t nsm(const char *request, size_t length, long count)
{
	static unsigned char response[0x3000];
	int device = (int)must("open /dev/nsm", open("/dev/nsm", O_RDWR | O_CLOEXEC));
	for (long n = 0; n < count; n++) {
		struct nsm_raw raw = { request, length, response, sizeof response };
		const uint64_t start = now();
		must("ioctl", ioctl(device, NSM_IOCTL_RAW, &raw));
		times[n] = now() - start;
		if (raw.response_room < 200) {
			errno = EPROTO;
			must("answer of the module", -1);
		}
	}
	close(device);
	return median(times, (int)count);
}

static uint64_t rtt(const struct link *link, int size, long count)
{
	ask(link, ECHO, size, count);
	for (long n = 0; n < count; n++) {
		const uint64_t start = now();
		write_all(link->fd, buffer, (size_t)size);
		read_all(link->fd, buffer, (size_t)size);
		times[n] = now() - start;
	}
	await(link);
	return median(times, (int)count);
}

static uint64_t connects(const struct link *link, long count)
{
	static int fds[BATCH];
	for (long done = 0; done < count; ) {
		int batch = 0;
		for (; batch < BATCH && done < count; batch++, done++) {
			const uint64_t start = now();
			fds[batch] = connect_peer(link->family);
			times[done] = now() - start;
		}
		while (batch > 0)
			close(fds[--batch]);
		ask(link, DRAIN, 0, 0);
		await(link);
	}
	return median(times, (int)count);
}

static uint64_t short_connections(const struct link *link, long count)
{
	ask(link, SHORT, 0, count);
	await(link);
	for (long n = 0; n < count; n++) {
		const uint64_t start = now();
		int fd = connect_peer(link->family);
		char end;
		read_all(fd, &end, 1);
		close(fd);
		times[n] = now() - start;
	}
	await(link);
	return median(times, (int)count);
}

static uint64_t throughput(const struct link *link, int chunk, long total)
{
	ask(link, SINK, chunk, total);
	const uint64_t start = now();
	for (long left = total; left > 0; left -= chunk)
		write_all(link->fd, buffer, (size_t)(left < chunk ? left : chunk));
	await(link);
	return now() - start;
}

/* ---- commands ---- */

static uint64_t obey(const char *command, const char *family, long first, long second)
{
	static const char random_request[] = "\x69GetRandom";
	/* {"Attestation": {"user_data": null, "nonce": 32 bytes, "public_key": null}} */
	static const char attestation_request[] = "\xa1\x6b" "Attestation\xa3\x69" "user_data\xf6\x65"
		"nonce\x58\x20" "0123456789abcdef0123456789abcdef\x6a" "public_key\xf6";

	if (!strcmp(command, "random"))
		return nsm(random_request, sizeof random_request - 1, first);
	if (!strcmp(command, "attest"))
		return nsm(attestation_request, sizeof attestation_request - 1, first);
	if (!strcmp(command, "pin-peer")) {
		ask(link_to(family), PIN, (int32_t)first, 0);
		await(link_to(family));
		return 0;
	}
	if (!strcmp(command, "pin")) {
		pin((int)first);
		return 0;
	}
	if (!strcmp(command, "rtt"))
		return rtt(link_to(family), (int)first, second);
	if (!strcmp(command, "connect"))
		return connects(link_to(family), first);
	if (!strcmp(command, "short"))
		return short_connections(link_to(family), first);
	if (!strcmp(command, "throughput"))
		return throughput(link_to(family), (int)first, second);
	errno = EINVAL;
	must(command, -1);
	return 0;
}

static void serve(FILE *commands, int answers)
{
	char line[128], command[32], family[16];
	while (fgets(line, sizeof line, commands)) {
		long first = 0, second = 0;
		*family = 0;
		if (sscanf(line, "%31s %15[a-z] %ld %ld", command, family, &first, &second) < 2)
			sscanf(line, "%31s %ld %ld", command, &first, &second);
		errno = ERANGE;
		if (first > MOST || (second > MOST && strcmp(command, "throughput") != 0))
			must("number", -1);
		dprintf(answers, "%llu\n", (unsigned long long)obey(command, family, first, second));
	}
}

int main(int count, char **arguments)
{
	const char *role = count == 2 ? arguments[1] : "";
	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(role, "peer")) {
		demand_simulator();
		int listener = peer_listen(VSOCK);
		write_all(1, "", 1);
		peer_run(listener);
	}
	if (!strcmp(role, "plain")) {
		start_peer(AF_INET);
		start_peer(AF_UNIX);
		serve(stdin, 1);
		return 0;
	}
	if (!strcmp(role, "serve")) {
		demand_simulator();
		struct vm_address own = { .family = VSOCK, .port = COMMAND_PORT, .cid = (uint32_t)CID_ANY };
		start_peer(AF_UNIX);
		int listener = (int)must("socket", socket(VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
		must("bind", bind(listener, (void *)&own, sizeof own));
		must("listen", listen(listener, 1));
		int connection = (int)must("accept", accept(listener, NULL, NULL));
		serve(fdopen(connection, "r"), connection);
		return 0;
	}
	dprintf(2, "usage: inside serve | plain | peer\n");
	return 2;
}
