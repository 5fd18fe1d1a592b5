/* An enclave: namespaces, its init, and the order in which it is set up. */
#include "launcher.h"

/* DEVIATION: An enclave that nitro-cli has started is bound to as many processors of this machine as
 * it has CPUs, or fewer where there are not that many; /proc/cpuinfo and /sys show all of them. */
static void bind_to_cpus(void)
{
	cpu_set_t set;
	char *rest = NULL;
	CPU_ZERO(&set);
	for (const char *at = cpus; *at; at = *rest ? rest + 1 : rest) {
		unsigned long cpu = strtoul(at, &rest, 10);
		errno = EINVAL;
		if (rest == at || (*rest && *rest != ',') || cpu >= CPU_SETSIZE)
			die("not a list of processors: %s", cpus);
		CPU_SET(cpu, &set);
	}
	if (sched_setaffinity(0, sizeof set, &set) < 0)
		die("cannot run on the processors %s", cpus);
}

/* Pid 1 ignores signals that it has no handler for. On hardware, SIGTERM for the process that
 * nitro-cli calls ProcessID ends the enclave; but what programs inside send to init does nothing.
 * Who is not inside has no process id there: the kernel says 0. */
static void end_by_signal(int number, siginfo_t *from, void *context)
{
	(void)number;
	(void)context;
	if (from->si_pid == 0)
		_exit(0);
}

/*
 * The init of an image is pid 1, of a process namespace inside of ours. So it is what it expects to
 * be, orphans are its own, and reboot(2) ends it; and whatever it does with signals or with its
 * credentials, we can end the enclave, and the hypervisor's end ends us. Our session keeps signals
 * to its process group from the hypervisor.
 */
static void make_inner_namespace(void)
{
	if (setsid() < 0 || unshare(CLONE_NEWPID) < 0)
		die("cannot create the namespace of the init");
}

/* To pid 1 of a namespace, reboot(2) is a SIGHUP or SIGINT that kills it (reboot(2)); no other can. */
/* DEVIATION: An enclave with the init of its image ends when that has ended or calls reboot(2), with
 * the status of the init, or 0 after a reboot; hardware waits for 30 seconds after a panic. What
 * reboot(2) can do beside that, such as RB_DISABLE_CAD, fails with EINVAL. */
/* DEVIATION: systemd cannot be the init of an image, because it needs a cgroup hierarchy of its own. */
static int own_status(int status)
{
	int rebooted = WIFSIGNALED(status) && (WTERMSIG(status) == SIGHUP || WTERMSIG(status) == SIGINT);
	return rebooted ? 0 : status;
}

/* init: reap everything; when the command ends, say how, and end the enclave with it. */
static void __attribute__((noreturn)) run_init(char **command, int outer_root)
{
	char line[32];
	int status;
	int console = open_console();
	struct sigaction action = { .sa_sigaction = end_by_signal, .sa_flags = SA_SIGINFO | SA_RESTART };
	sigaction(SIGTERM, &action, NULL);
	if (own_init)
		make_inner_namespace();
	/* Nothing is copied for a process that only executes another program. Until it has, it works
	 * in our memory, and we stand still. */
	pid_t program = vfork();
	if (program < 0)
		die("cannot fork");
	if (program == 0) {
		fcntl(CONTROL, F_SETFD, FD_CLOEXEC);
		fcntl(STARTED, F_SETFD, FD_CLOEXEC);
		if (own_init)
			show_own_processes(outer_root);
		run_program(command, console);
	}
	failure_fd = CONTROL; /* the child had its own opinion */
	close(STARTED);
	close(FILTER);
	close(console);
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	for (;;) {
		pid_t ended = waitpid(-1, &status, 0);
		if (ended < 0 && errno != EINTR)
			die("cannot wait for the command");
		if (ended == program)
			break;
	}
	compose(line, sizeof line, "exit %d", own_init ? own_status(status) : status);
	tell(line, -1);
	_exit(0);
}

/* DEVIATION: The kernel inside is this machine's: system calls exist that the enclave kernel
 * (4.14 in the images of AWS) lacks, and others may be forbidden by a container that the
 * simulator runs in. */
/* DEVIATION: Root inside is root of a user namespace: setting the clock, creating device
 * nodes, loading modules, mounting block devices and writing the kernel's settings fail with
 * EPERM or EROFS, where root of a real enclave may do them. */
/* DEVIATION: When an ordinary user starts an enclave, only uid 0 and gid 0 exist inside, so
 * changing to another user fails with EINVAL, and files of other users appear as those of
 * nobody. */
/* DEVIATION: The setuid and setgid bits are ignored in the root directory and in the application
 * directory. */
void enclave(char **arguments)
{
	int ready[2];
	char byte;
	const int outer_root = geteuid() == 0;
	const unsigned user = geteuid(), group = getegid();
	char **command = parse_operations(arguments);
	if (cpus)
		bind_to_cpus();
	if (pipe2(ready, O_CLOEXEC) < 0)
		die("cannot create a pipe");

	int pidfd = -1;
	struct clone_args clone = {
		.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC
			| CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_PARENT | CLONE_PIDFD,
		.pidfd = (uintptr_t)&pidfd,
	};
	long init = syscall(NR_clone3, &clone, sizeof clone);
	if (init < 0)
		die("cannot create namespaces");
	if (init > 0) {
		char line[32];
		if (outer_root) {
			map_all(init, "uid_map");
			map_all(init, "gid_map");
		}
		compose(line, sizeof line, "init %ld", init);
		tell(line, pidfd);
		if (write(ready[1], "", 1) != 1)
			die("cannot release init");
		_exit(0);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(ready[0], &byte, 1) != 1)
		_exit(125);
	close(ready[0]);
	close(ready[1]);
	if (outer_root) {
		if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
			die("cannot become root of the enclave");
	} else {
		map_one(0, user, 0, group);
	}
	/* After the change of credentials: it clears the death signal. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("cannot make mounts private");
	open_sources();
	umask(022); /* the caller's says nothing about what is made inside */
	if (mount("tmpfs", NEW_ROOT, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
		die("cannot mount the root file system");
	mount_root();
	mount_system(outer_root);
	execute_operations();
	enter_new_root();
	sethostname("(none)", 6);
	run_init(command, outer_root);
}
