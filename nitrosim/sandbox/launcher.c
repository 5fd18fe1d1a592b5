/*
 * nitrosim launcher: the first program of an enclave, and the door through
 * which a parent-side program enters the simulated instance. Linux only.
 *
 *   launcher enclave [OPERATION...] -- COMMAND [ARGUMENT...]
 *   launcher parent HYPERVISOR_PID CONTROL FILTER -- COMMAND [ARGUMENT...]
 *
 * File descriptors it is started with:
 *   3  control: a SOCK_SEQPACKET socket of the hypervisor. Each message is one
 *      line of text, with at most one file descriptor attached.
 *   4  started (enclave only): the writing end of a pipe. It closes when the
 *      command has been executed; an error is written to it before.
 *   5  filter: a file that holds the BPF program (array of struct sock_filter).
 * On the parent side 3 and 5 are made from the descriptors CONTROL and FILTER.
 * The environment of the launcher is the environment of the command.
 *
 * It is static and small because its run time is the start-up time of every
 * enclave, and because it must run in any container without help from it.
 * Operations are parsed into a list and then executed in order, so that the
 * program is a plan and a loop. Every failure is one line with strerror.
 *
 * Some facts the order of steps rests on:
 *
 * - A process that enters a new mount namespace together with a new user
 *   namespace gets a copy of the mounts in which each one is locked: a single
 *   mount cannot be taken out of its tree. So trees are cloned recursively
 *   (open_tree), made read-only recursively (mount_setattr), and attached
 *   (move_mount).
 * - The sources are opened before anything is mounted, because the new root is
 *   assembled on top of /tmp and would hide sources below it.
 * - Of a pid namespace only the first child is init, and with init everything
 *   in it dies. init is cloned with CLONE_PARENT, so the hypervisor is its
 *   parent: PR_SET_PDEATHSIG then ties the enclave to the hypervisor's life.
 * - A filter with a listener can be installed without no_new_privs by a process
 *   with CAP_SYS_ADMIN in its user namespace. init has it there, so a setuid
 *   bit or a capability in the enclave works as on hardware.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* Numbers and structures that older C libraries lack; the same on every architecture. */
#define NR_open_tree 428
#define NR_move_mount 429
#define NR_clone3 435
#define NR_mount_setattr 442
#define TREE_CLONE 1
#define TREE_CLOEXEC O_CLOEXEC
#define TREE_RECURSIVE 0x8000
#define EMPTY_PATH 0x1000
#define MOVE_FROM_EMPTY_PATH 0x4
#define ATTR_RDONLY 0x1
#define FILTER_NEW_LISTENER (1UL << 3)
#define FILTER_WAIT_KILLABLE_RECV (1UL << 5)
struct attr { uint64_t set, clear, propagation, userns_fd; };

enum { CONTROL = 3, STARTED = 4, FILTER = 5 };
enum { MAX_OPERATIONS = 256 };
#define NEW_ROOT "/tmp"

static int failure_fd = CONTROL;

static void __attribute__((format(printf, 1, 2), noreturn)) die(const char *format, ...)
{
	int error = errno;
	char line[512];
	va_list arguments;
	int length = snprintf(line, sizeof line, "error ");
	va_start(arguments, format);
	length += vsnprintf(line + length, sizeof line - length, format, arguments);
	va_end(arguments);
	if (length < (int)sizeof line)
		snprintf(line + length, sizeof line - length, ": %s", strerror(error));
	if (write(failure_fd, line, strlen(line)) < 0)
		dprintf(2, "nitrosim launcher: %s\n", line + 6);
	_exit(126);
}

/* ---- messages to the hypervisor ---- */

static void tell(const char *line, int attached)
{
	union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(int))]; } control = {0};
	struct iovec part = { (void *)line, strlen(line) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	if (attached >= 0) {
		message.msg_control = control.space;
		message.msg_controllen = sizeof control.space;
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &attached, sizeof attached);
	}
	if (sendmsg(CONTROL, &message, MSG_NOSIGNAL) < 0)
		_exit(125); /* the hypervisor is gone: nobody is left to tell */
}

static void __attribute__((format(printf, 3, 4))) format(char *text, size_t size, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text, size, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= size) {
		errno = ENAMETOOLONG;
		die("%.64s...", text);
	}
}

/* ---- the list of operations ---- */

enum kind { RO_BIND, OVERLAY, SYMLINK, DIRECTORY, TEMPORARY, CONTENT, INTERRUPTIBLE };
static const struct { const char *name; enum kind kind; int arguments; } kinds[] = {
	{ "--ro-bind", RO_BIND, 2 },    /* SOURCE TARGET */
	{ "--overlay", OVERLAY, 2 },    /* SOURCE TARGET: SOURCE below, writes stay in RAM */
	{ "--symlink", SYMLINK, 2 },    /* TEXT LINK */
	{ "--dir", DIRECTORY, 1 },      /* PATH */
	{ "--tmpfs", TEMPORARY, 1 },    /* PATH: noexec, nosuid, nodev */
	{ "--content", CONTENT, 2 },    /* TEXT FILE */
	{ "--interruptible", INTERRUPTIBLE, 0 }, /* for tests: wait as before Linux 5.19 */
};
static int wait_interruptible;
static struct operation { enum kind kind; const char *from, *to; int fd; } operations[MAX_OPERATIONS];
static int operation_count;

static char **parse_operations(char **argument)
{
	for (; *argument && strcmp(*argument, "--"); ) {
		size_t k = 0;
		while (k < sizeof kinds / sizeof *kinds && strcmp(kinds[k].name, *argument))
			k++;
		errno = EINVAL;
		if (k == sizeof kinds / sizeof *kinds)
			die("unknown operation %s", *argument);
		if (operation_count == MAX_OPERATIONS)
			die("more than %d operations", MAX_OPERATIONS);
		struct operation *operation = &operations[operation_count++];
		operation->kind = kinds[k].kind;
		operation->fd = -1;
		for (int n = 1; n <= kinds[k].arguments; n++)
			if (!argument[n])
				die("operation %s lacks an argument", *argument);
		operation->from = argument[1];
		operation->to = argument[kinds[k].arguments];
		wait_interruptible |= operation->kind == INTERRUPTIBLE;
		argument += 1 + kinds[k].arguments;
	}
	errno = EINVAL;
	if (!*argument || !argument[1])
		die("no command");
	return argument + 1;
}

/* ---- mounts ---- */

static int clone_tree(const char *source)
{
	int fd = syscall(NR_open_tree, AT_FDCWD, source, TREE_CLONE | TREE_CLOEXEC | TREE_RECURSIVE);
	if (fd < 0)
		die("cannot clone the mount of %s", source);
	return fd;
}

static void attach(int fd, const char *target)
{
	if (syscall(NR_move_mount, fd, "", AT_FDCWD, target, MOVE_FROM_EMPTY_PATH) < 0)
		die("cannot attach a mount at %s", target);
	close(fd);
}

static void protect(int fd, const char *source)
{
	struct attr attr = { .set = ATTR_RDONLY };
	if (syscall(NR_mount_setattr, fd, "", EMPTY_PATH | TREE_RECURSIVE, &attr, sizeof attr) < 0)
		die("cannot make %s read-only", source);
}

/* Create every missing directory above `path`; leave `path` itself alone. */
static void make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			die("cannot create directory %s", path);
		*slash = '/';
	}
}

static void make_directory(const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		die("cannot create directory %s", path);
}

static void make_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("cannot write %s", path);
	close(fd);
}

static void mount_new(const char *type, const char *target, unsigned long flags, const char *data)
{
	make_directory(target);
	if (mount(type, target, type, flags, data) < 0)
		die("cannot mount %s at %s", type, target);
}

static void bind_device(const char *device, const char *target)
{
	int fd = syscall(NR_open_tree, AT_FDCWD, device, TREE_CLONE | TREE_CLOEXEC);
	if (fd < 0)
		die("cannot clone the mount of %s", device);
	make_file(target, "");
	attach(fd, target);
}

static int make_layer(const char *target, const char *name)
{
	char path[4096];
	format(path, sizeof path, "%s/%s", target, name);
	make_directory(path);
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die("cannot open %s", path);
	return fd;
}

/*
 * The layers are named by descriptor: the lower one's path may be hidden by now,
 * and a path may hold characters that separate mount options. The RAM they are
 * in is mounted at the target itself, where the overlay then covers it.
 */
static void mount_overlay(const struct operation *operation, const char *target)
{
	char data[256];
	mount_new("tmpfs", target, MS_NOSUID | MS_NODEV, "mode=0755");
	int upper = make_layer(target, "upper"), work = make_layer(target, "work");
	format(data, sizeof data, "userxattr,lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d,"
		"workdir=/proc/self/fd/%d", operation->fd, upper, work);
	if (mount("overlay", target, "overlay", MS_NOSUID | MS_NODEV, data) < 0)
		die("cannot put a writable layer over %s", operation->from);
	close(upper);
	close(work);
}

static void open_sources(void)
{
	for (struct operation *o = operations; o < operations + operation_count; o++) {
		if (o->kind == RO_BIND) {
			o->fd = clone_tree(o->from);
			protect(o->fd, o->from);
		} else if (o->kind == OVERLAY) {
			o->fd = open(o->from, O_PATH | O_DIRECTORY | O_CLOEXEC);
			if (o->fd < 0)
				die("cannot open directory %s", o->from);
		}
	}
}

static void execute(const struct operation *operation)
{
	char target[4096];
	struct stat status;
	if (operation->kind == INTERRUPTIBLE)
		return;
	format(target, sizeof target, NEW_ROOT "%s", operation->to);
	make_parents(target);
	switch (operation->kind) {
	case RO_BIND:
		if (fstat(operation->fd, &status) < 0)
			die("cannot look at %s", operation->from);
		if (S_ISDIR(status.st_mode))
			make_directory(target);
		else if (access(target, F_OK) < 0)
			make_file(target, "");
		attach(operation->fd, target);
		break;
	case OVERLAY:
		mount_overlay(operation, target);
		close(operation->fd);
		break;
	case SYMLINK:
		if (symlink(operation->from, target) < 0)
			die("cannot create link %s", target);
		break;
	case DIRECTORY:
		make_directory(target);
		break;
	case TEMPORARY:
		mount_new("tmpfs", target, MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777");
		break;
	case CONTENT:
		make_file(target, operation->from);
		break;
	case INTERRUPTIBLE:
		break;
	}
}

/*
 * /dev/nsm is /dev/urandom under another name, /dev/vsock is /dev/null: only
 * their ioctl is served. urandom answers an unknown ioctl with EINVAL and mmap
 * with ENODEV, as the NSM driver does; null answers ENOTTY, as vsock does.
 */
/* DEVIATION: /dev holds null, zero, full, random, urandom, tty, console, pts, shm, nsm, vsock
 * and the usual links; there is no /dev/kmsg, /dev/mem, /dev/hwrng or serial line, and /dev is
 * not writable by the kernel (devtmpfs). */
/* DEVIATION: /proc and /sys show the kernel, the processors and the memory of this machine;
 * /sys is read-only or, in some containers, empty, /proc/sys cannot be written, and there is
 * no /sys/fs/cgroup. */
static void mount_system(int outer_root)
{
	static const char *const devices[][2] = {
		{ "/dev/null", "null" }, { "/dev/zero", "zero" }, { "/dev/full", "full" },
		{ "/dev/random", "random" }, { "/dev/urandom", "urandom" }, { "/dev/tty", "tty" },
		{ "/dev/urandom", "nsm" }, { "/dev/null", "vsock" },
	};
	static const char *const links[][2] = {
		{ "/proc/self/fd", "fd" }, { "fd/0", "stdin" }, { "fd/1", "stdout" },
		{ "fd/2", "stderr" }, { "pts/ptmx", "ptmx" },
	};
	/* The host's own switches: its root, mapped to ours, may write them by their mode bits. */
	static const char *const switches[] = { "sys", "sysrq-trigger", "irq", "bus", "fs" };
	const unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	char target[128];

	make_directory(NEW_ROOT "/dev");
	for (size_t n = 0; n < sizeof devices / sizeof *devices; n++) {
		format(target, sizeof target, NEW_ROOT "/dev/%s", devices[n][1]);
		bind_device(devices[n][0], target);
	}
	for (size_t n = 0; n < sizeof links / sizeof *links; n++) {
		format(target, sizeof target, NEW_ROOT "/dev/%s", links[n][1]);
		if (symlink(links[n][0], target) < 0)
			die("cannot create link %s", target);
	}
	mount_new("devpts", NEW_ROOT "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620");
	mount_new("tmpfs", NEW_ROOT "/dev/shm", plain, "mode=1777");
	mount_new("tmpfs", NEW_ROOT "/run", plain, "mode=0755");
	mount_new("tmpfs", NEW_ROOT "/tmp", plain, "mode=1777");
	mount_new("proc", NEW_ROOT "/proc", plain, NULL);
	for (size_t n = 0; outer_root && n < sizeof switches / sizeof *switches; n++) {
		format(target, sizeof target, NEW_ROOT "/proc/%s", switches[n]);
		int fd = syscall(NR_open_tree, AT_FDCWD, target, TREE_CLONE | TREE_CLOEXEC | TREE_RECURSIVE);
		if (fd < 0)
			continue; /* not on this kernel */
		protect(fd, target);
		attach(fd, target);
	}
	/* Refused inside containers that mask parts of /sys: then the enclave has an empty /sys. */
	make_directory(NEW_ROOT "/sys");
	if (mount("sysfs", NEW_ROOT "/sys", "sysfs", plain | MS_RDONLY, NULL) < 0 && errno != EPERM)
		die("cannot mount sysfs");
}

static void enter_new_root(void)
{
	if (chdir(NEW_ROOT) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		die("cannot change the root directory");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		die("cannot leave the old root directory");
}

/* DEVIATION: The console is a pseudo-terminal (/dev/pts/0, bound over /dev/console), where
 * hardware has a serial line (/dev/ttyS0). */
/* The console: a terminal of the enclave's own devpts. Returns its slave side. */
static int open_console(void)
{
	int unlock = 0;
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		die("cannot open a terminal for the console");
	int slave = open("/dev/pts/0", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		die("cannot open the console");
	bind_device("/dev/pts/0", "/dev/console");
	tell("console", master);
	close(master);
	return slave;
}

/* ---- user namespace ---- */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("cannot write %s", path);
	close(fd);
}

/* Give `pid` every id that we have, under the same number: only root may. */
static void map_all(pid_t pid, const char *which)
{
	char path[64], line[128], text[4096] = "";
	unsigned inside, outside, count;
	format(path, sizeof path, "/proc/self/%s", which);
	FILE *own = fopen(path, "re");
	if (!own)
		die("cannot read %s", path);
	while (fscanf(own, "%u %u %u", &inside, &outside, &count) == 3) {
		format(line, sizeof line, "%u %u %u\n", inside, inside, count);
		strncat(text, line, sizeof text - strlen(text) - 1);
	}
	fclose(own);
	format(path, sizeof path, "/proc/%d/%s", pid, which);
	write_file(path, text);
}

static void map_one(unsigned inside_user, unsigned user, unsigned inside_group, unsigned group)
{
	char text[64];
	write_file("/proc/self/setgroups", "deny");
	format(text, sizeof text, "%u %u 1\n", inside_user, user);
	write_file("/proc/self/uid_map", text);
	format(text, sizeof text, "%u %u 1\n", inside_group, group);
	write_file("/proc/self/gid_map", text);
}

/* ---- filter and command ---- */

/* Install the filter; returns the listener. `*killable`: waits end only by fatal signals. */
static int install_filter(int *killable)
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
		format(path, sizeof path, "%s%s", count > 1 ? places[n] : "", *command);
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

static void __attribute__((noreturn)) run_program(char **command, int console)
{
	/* DEVIATION: Limits of the caller other than the number of open files are inherited, and
	 * memory and processors of the enclave are not limited. */
	const struct rlimit files = { 1024, 4096 }; /* what a kernel gives to its init */
	char line[32];
	int killable;
	failure_fd = STARTED;
	if (setsid() < 0 || dup2(console, 0) < 0 || dup2(console, 1) < 0 || dup2(console, 2) < 0)
		die("cannot attach the console");
	setrlimit(RLIMIT_NOFILE, &files);
	umask(022);
	restore_library_signals();
	int listener = install_filter(&killable);
	format(line, sizeof line, "filter %d", killable);
	tell(line, listener);
	close(listener);
	execute_command(command, environ);
	int error = errno;
	dprintf(2, "execvpe: %s: %s\n", *command, strerror(error));
	errno = error;
	die("cannot execute %s", *command);
}

/* init: reap everything; when the command ends, say how, and end the enclave with it. */
static void __attribute__((noreturn)) run_init(char **command)
{
	char line[32];
	int status;
	int console = open_console();
	pid_t program = fork();
	if (program < 0)
		die("cannot fork");
	if (program == 0) {
		fcntl(CONTROL, F_SETFD, FD_CLOEXEC);
		fcntl(STARTED, F_SETFD, FD_CLOEXEC);
		run_program(command, console);
	}
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
	format(line, sizeof line, "exit %d", status);
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
/* DEVIATION: setuid and setgid bits are ignored in the root directory and in the application
 * directory. */
static void enclave(char **arguments)
{
	int ready[2];
	char byte;
	const int outer_root = geteuid() == 0;
	const unsigned user = geteuid(), group = getegid();
	char **command = parse_operations(arguments);
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
		format(line, sizeof line, "init %ld", init);
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
	if (mount("tmpfs", NEW_ROOT, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
		die("cannot mount the root file system");
	mount_system(outer_root);
	for (int n = 0; n < operation_count; n++)
		execute(&operations[n]);
	enter_new_root();
	sethostname("(none)", 6);
	run_init(command);
}

/* ---- parent side ---- */

/*
 * Give the program a /dev/vsock where the host has none that it may open: programs
 * read their own CID there. /dev is assembled anew from the host's entries.
 */
static void provide_vsock_device(void)
{
	enum { MOST = 1024 };
	static struct { char name[256], link[256]; int fd, directory; } entries[MOST];
	int count = 0;
	if (access("/dev/vsock", R_OK) == 0)
		return;
	DIR *devices = opendir("/dev");
	if (!devices)
		die("cannot read /dev");
	for (struct dirent *d; (d = readdir(devices)) && count < MOST; ) {
		struct stat status;
		char path[300];
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..") || !strcmp(d->d_name, "vsock"))
			continue;
		format(path, sizeof path, "/dev/%s", d->d_name);
		if (lstat(path, &status) < 0)
			continue;
		format(entries[count].name, sizeof entries[count].name, "%s", d->d_name);
		entries[count].fd = -1;
		entries[count].directory = S_ISDIR(status.st_mode);
		if (S_ISLNK(status.st_mode)) {
			if (readlink(path, entries[count].link, sizeof entries[count].link - 1) < 0)
				continue;
		} else {
			entries[count].fd = syscall(NR_open_tree, AT_FDCWD, path,
				TREE_CLONE | TREE_CLOEXEC | TREE_RECURSIVE);
			if (entries[count].fd < 0)
				continue; /* gone in between, or not ours to clone */
		}
		count++;
	}
	closedir(devices);
	int null = syscall(NR_open_tree, AT_FDCWD, "/dev/null", TREE_CLONE | TREE_CLOEXEC);
	if (null < 0 || mount("tmpfs", "/dev", "tmpfs", MS_NOSUID, "mode=0755") < 0)
		die("cannot mount a /dev with a vsock device");
	for (int n = 0; n < count; n++) {
		char path[300];
		format(path, sizeof path, "/dev/%s", entries[n].name);
		if (entries[n].fd < 0) {
			if (symlink(entries[n].link, path) < 0)
				die("cannot create link %s", path);
			continue;
		}
		if (entries[n].directory)
			make_directory(path);
		else
			make_file(path, "");
		attach(entries[n].fd, path);
	}
	make_file("/dev/vsock", "");
	attach(null, "/dev/vsock");
}

/*
 * Enter namespaces that change nothing but two things: the hypervisor, as owner
 * of the user namespace, may look into the program and into its children whatever
 * the ptrace policy of the host; and /dev can have a vsock device. Where the host
 * forbids it the program runs without.
 */
/* DEVIATION: A program of the parent instance runs in a mount namespace of its own: what it
 * mounts is not seen outside. */
/* DEVIATION: A program of the parent instance that an ordinary user starts runs in a user
 * namespace where only that user exists: files of other users appear as those of nobody, and
 * because of no_new_privs setuid programs such as sudo gain nothing. */
static void enter_parent_namespaces(void)
{
	const unsigned user = geteuid(), group = getegid();
	char directory[4096];
	const char *here = getcwd(directory, sizeof directory);
	if (user == 0) {
		if (unshare(CLONE_NEWNS) < 0)
			return;
	} else {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
			return;
		map_one(user, user, group, group);
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		die("cannot make mounts follow the host's");
	provide_vsock_device();
	if (here && chdir(here) < 0)
		die("cannot return to %s", here);
}

/* Move two inherited descriptors to the places of CONTROL and FILTER, whatever numbers they have. */
static void take_descriptors(int control, int filter)
{
	int high_control = fcntl(control, F_DUPFD_CLOEXEC, 16), high_filter = fcntl(filter, F_DUPFD_CLOEXEC, 16);
	if (high_control < 0 || high_filter < 0)
		die("descriptors %d and %d were not inherited", control, filter);
	close(control);
	close(filter);
	if (dup3(high_control, CONTROL, O_CLOEXEC) < 0 || dup3(high_filter, FILTER, O_CLOEXEC) < 0)
		die("cannot place descriptors");
	close(high_control);
	close(high_filter);
}

static void parent(char **arguments)
{
	static const char accepted[] = "{\"ok\": true";
	char reply[256];
	int killable;
	failure_fd = 2;
	errno = EINVAL;
	for (int n = 0; n < 5; n++)
		if (!arguments[n] || (n == 3 && strcmp(arguments[n], "--")))
			die("usage: launcher parent HYPERVISOR_PID CONTROL FILTER -- COMMAND [ARGUMENT...]");
	take_descriptors(atoi(arguments[1]), atoi(arguments[2]));
	enter_parent_namespaces();
	prctl(PR_SET_PTRACER, strtoul(arguments[0], NULL, 10), 0, 0, 0);
	if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("cannot set no_new_privs");
	int listener = install_filter(&killable);
	tell(killable ? "{\"op\": \"attach-parent\", \"killable\": true}"
		: "{\"op\": \"attach-parent\", \"killable\": false}", listener);
	close(listener);
	ssize_t length = recv(CONTROL, reply, sizeof reply - 1, 0);
	if (length < (ssize_t)sizeof accepted - 1 || memcmp(reply, accepted, sizeof accepted - 1)) {
		reply[length > 0 ? length : 0] = 0;
		errno = ECONNREFUSED;
		die("the hypervisor did not accept this program (%s)", reply);
	}
	close(CONTROL);
	execvp(arguments[4], arguments + 4);
	dprintf(2, "nitrosim parent: %s: %s\n", arguments[4], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

int main(int count, char **arguments)
{
	if (count >= 3 && !strcmp(arguments[1], "enclave"))
		enclave(arguments + 2);
	else if (count >= 3 && !strcmp(arguments[1], "parent"))
		parent(arguments + 2);
	dprintf(2, "this program is started by nitrosim; see nitrosim --help\n");
	return 2;
}
