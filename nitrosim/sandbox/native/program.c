/* The filter, and the command under it. */
#include "launcher.h"

/* Install the filter; returns the listener. `*killable`: waits end only by fatal signals. */
int install_filter(int *killable)
{
	static struct sock_filter program[512];
	ssize_t size = pread(FILTER, program, sizeof program, 0);
	if (size <= 0 || size % sizeof *program)
		die("cannot read the filter program");
	close(FILTER);
	struct sock_fprog whole = { size / sizeof *program, program };
	unsigned long flags = FILTER_NEW_LISTENER | FILTER_WAIT_KILLABLE_RECV;
	if (wait_interruptible)
		flags = FILTER_NEW_LISTENER;
	int listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &whole);
	if (listener < 0 && errno == EINVAL && flags != FILTER_NEW_LISTENER) {
		flags = FILTER_NEW_LISTENER;
		listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &whole);
	}
	if (listener < 0)
		die("cannot install the system call filter");
	*killable = flags != FILTER_NEW_LISTENER;
	return listener;
}

/*
 * execvpe as the init of a real enclave does it: a name without a slash is looked
 * up on a fixed path, and a script without "#!" is handed to /bin/sh.
 */
static void execute_command(char **command, char **environment)
{
	static const char *const places[] = { "/sbin/", "/usr/sbin/", "/bin/", "/usr/bin/" };
	char path[4096];
	size_t count = strchr(*command, '/') ? 1 : sizeof places / sizeof *places;
	int error = ENOENT;
	for (size_t n = 0; n < count; n++) {
		compose(path, sizeof path, "%s%s", count > 1 ? places[n] : "", *command);
		execve(path, command, environment);
		if (errno == ENOEXEC) {
			size_t length = 0;
			while (command[length])
				length++;
			char **script = calloc(length + 2, sizeof *script);
			if (!script)
				break;
			script[0] = "/bin/sh";
			script[1] = path;
			memcpy(script + 2, command + 1, length * sizeof *script);
			execve(script[0], script, environment);
		}
		if (errno != ENOENT && errno != ENOTDIR)
			error = errno;
	}
	errno = error;
}

/*
 * glibc's posix_spawn, by which the launcher was started, leaves the two signals
 * ignored that the library keeps to itself, and its sigaction refuses them. Other
 * libraries use them as they like.
 */
static void restore_library_signals(void)
{
	static const uint64_t default_action[4];
	for (int number = 32; number < SIGRTMIN; number++)
		syscall(SYS_rt_sigaction, number, default_action, NULL, 8);
}

void __attribute__((noreturn)) run_program(char **command, int console)
{
	/* DEVIATION: Limits of the caller other than the number of open files are inherited, and the
	 * memory of the enclave is not limited, nor its processors unless nitro-cli started it. */
	const struct rlimit files = { 1024, 4096 }; /* what a kernel gives to its init */
	char line[32];
	int killable;
	failure_fd = STARTED;
	/* The init of an image leads no session, as on hardware: its own setsid() succeeds. */
	if ((!own_init && setsid() < 0) || dup2(console, 0) < 0 || dup2(console, 1) < 0 || dup2(console, 2) < 0)
		die("cannot attach the console");
	setrlimit(RLIMIT_NOFILE, &files);
	umask(022);
	restore_library_signals();
	int listener = install_filter(&killable);
	compose(line, sizeof line, "filter %d", killable);
	tell(line, listener);
	close(listener);
	execute_command(command, environ);
	int error = errno;
	dprintf(2, "execvpe: %s: %s\n", *command, strerror(error));
	errno = error;
	die("cannot execute %s", *command);
}
