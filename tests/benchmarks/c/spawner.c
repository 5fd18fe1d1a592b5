/*
 * Starts programs and measures until their first byte; one line per command on
 * standard input, one line with nanoseconds (the median of COUNT) on standard output.
 *
 *   spawner PROGRAM LAUNCHER FILTER_FD [OPERATION...]
 *
 *   bare COUNT       fork, execute PROGRAM
 *   enclave COUNT    fork, execute LAUNCHER with OPERATIONs and PROGRAM, as the hypervisor does
 *
 * Times end with the byte that PROGRAM writes into descriptor 6; what follows it (the end
 * of the processes, of their namespaces) happens before the next start, unmeasured.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "clock.h"

enum { CONTROL = 3, STARTED = 4, FILTER = 5, FIRST_BYTE = 6, MOST = 10000 };

static uint64_t times[MOST];
static char **launch;
static char *bare[2];

static void place(int fd, int number)
{
	must("dup2", dup2(fd, number));
}

static uint64_t start(int filter)
{
	int control[2], started[2], byte[2], status;
	char text[256];
	must("socketpair", socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control));
	must("pipe", pipe2(started, O_CLOEXEC));
	must("pipe", pipe2(byte, O_CLOEXEC));
	const uint64_t begin = now();
	pid_t child = (pid_t)must("fork", fork());
	if (child == 0) {
		char **words = filter < 0 ? bare : launch;
		if (filter >= 0) {
			place(control[1], CONTROL);
			place(started[1], STARTED);
			place(filter, FILTER);
		}
		place(byte[1], FIRST_BYTE);
		execv(words[0], words);
		_exit(127);
	}
	close(byte[1]);
	close(started[1]);
	close(control[1]);
	int got = read_all(byte[0], text, 1);
	const uint64_t taken = now() - begin;
	if (!got) {
		ssize_t length;
		while ((length = recv(control[0], text, sizeof text - 1, MSG_DONTWAIT)) > 0)
			dprintf(2, "benchmark: no first byte: %.*s\n", (int)length, text);
		while ((length = read(started[0], text, sizeof text - 1)) > 0)
			dprintf(2, "benchmark: no first byte: %.*s\n", (int)length, text);
		_exit(1);
	}
	close(control[0]);
	close(started[0]);
	close(byte[0]);
	while (waitpid(-1, &status, 0) > 0) /* the launcher, and init, which is our child too */
		;
	return taken;
}

int main(int count, char **arguments)
{
	char line[64], what[16];
	int number;
	if (count < 4)
		return 2;
	/* Out of the way of the numbers above. */
	int filter = (int)must("filter", fcntl(atoi(arguments[3]), F_DUPFD_CLOEXEC, 20));
	for (int n = CONTROL; n < 20; n++)
		close(n);
	for (int n = CONTROL; n < 20; n++) /* keep what we open above them, too */
		must("open", open("/dev/null", O_RDONLY | O_CLOEXEC));
	bare[0] = arguments[1];
	launch = calloc((size_t)count + 2, sizeof *launch);
	launch[0] = arguments[2];
	launch[1] = (char *)"enclave";
	for (int n = 4; n < count; n++)
		launch[n - 2] = arguments[n];
	launch[count - 2] = (char *)"--";
	launch[count - 1] = arguments[1];
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "%15s %d", what, &number) != 2 || number < 1 || number > MOST)
			return 2;
		for (int n = 0; n < number; n++)
			times[n] = start(strcmp(what, "bare") ? filter : -1);
		printf("%llu\n", (unsigned long long)median(times, number));
		fflush(stdout);
	}
	return 0;
}
