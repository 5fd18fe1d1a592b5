/* What every enclave has: devices, /proc, /sys, RAM disks, a console. */
#include "launcher.h"

static const unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;

/* Make the host's own switches below `proc` read-only: its root, mapped to ours, may write them by
 * their mode bits. */
static void protect_switches(const char *proc)
{
	static const char *const switches[] = { "sys", "sysrq-trigger", "irq", "bus", "fs" };
	char target[128];
	for (size_t n = 0; n < sizeof switches / sizeof *switches; n++) {
		compose(target, sizeof target, "%s/%s", proc, switches[n]);
		int fd = syscall(NR_open_tree, AT_FDCWD, target, TREE_CLONE | TREE_CLOEXEC | TREE_RECURSIVE);
		if (fd < 0)
			continue; /* not on this kernel */
		protect(fd, target);
		attach(fd, target);
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
void mount_system(int outer_root)
{
	static const char *const devices[][2] = {
		{ "/dev/null", "null" }, { "/dev/zero", "zero" }, { "/dev/full", "full" },
		{ "/dev/random", "random" }, { "/dev/urandom", "urandom" }, { "/dev/tty", "tty" },
		{ "/dev/urandom", "nsm" }, { "/dev/null", "vsock" },
	};
	static const char *const links[][2] = {
		{ "/proc/self/fd", "fd" }, { "fd/0", "stdin" }, { "fd/1", "stdout" },
		{ "fd/2", "stderr" }, { "pts/ptmx", "ptmx" }, { "pts/0", "console" },
	};
	char target[128];

	make_directory(NEW_ROOT "/dev");
	/* An init that changes its root directory takes /dev along as a whole: mount --move. */
	if (own_init)
		mount_new("tmpfs", NEW_ROOT "/dev", MS_NOSUID | MS_NODEV, "mode=0755");
	for (size_t n = 0; n < sizeof devices / sizeof *devices; n++) {
		compose(target, sizeof target, NEW_ROOT "/dev/%s", devices[n][1]);
		bind_device(devices[n][0], target);
	}
	for (size_t n = 0; n < sizeof links / sizeof *links; n++) {
		if (own_init && !strcmp(links[n][1], "console"))
			continue; /* bound in open_console */
		compose(target, sizeof target, NEW_ROOT "/dev/%s", links[n][1]);
		if (symlink(links[n][0], target) < 0)
			die("cannot create link %s", target);
	}
	mount_new("devpts", NEW_ROOT "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620");
	mount_new("tmpfs", NEW_ROOT "/dev/shm", plain, "mode=1777");
	if (!own_init) { /* it mounts what it wants there, and may have files there until then */
		mount_new("tmpfs", NEW_ROOT "/run", plain, "mode=0755");
		mount_new("tmpfs", NEW_ROOT "/tmp", plain, "mode=1777");
	}
	mount_new("proc", NEW_ROOT "/proc", plain, NULL);
	if (outer_root)
		protect_switches(NEW_ROOT "/proc");
	/* Refused inside containers that mask parts of /sys: then the enclave has an empty /sys. */
	make_directory(NEW_ROOT "/sys");
	if (mount("sysfs", NEW_ROOT "/sys", "sysfs", plain | MS_RDONLY, NULL) < 0 && errno != EPERM)
		die("cannot mount sysfs");
}

void enter_new_root(void)
{
	if (chdir(NEW_ROOT) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		die("cannot change the root directory");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		die("cannot leave the old root directory");
}

/* DEVIATION: The console is a pseudo-terminal (/dev/console leads to /dev/pts/0), where
 * hardware has a serial line (/dev/ttyS0). */
/* The console: a terminal of the enclave's own devpts. Returns its slave side. */
int open_console(void)
{
	int unlock = 0;
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		die("cannot open a terminal for the console");
	int slave = open("/dev/pts/0", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		die("cannot open the console");
	if (own_init)
		bind_device("/dev/pts/0", "/dev/console");
	tell("console", master);
	close(master);
	return slave;
}

/*
 * Called in the process namespace of an image's init: put a /proc of that namespace in the place of
 * ours. The kernel mounts one only for who sees one already, so ours goes afterwards. A file that
 * has been bound needs no name of its own any more.
 */
void show_own_processes(int outer_root)
{
	static const char cmdline[] = "/dev/.cmdline";
	if (mount("proc", "/proc", "proc", plain, NULL) < 0)
		die("cannot mount proc");
	int proc = syscall(NR_open_tree, AT_FDCWD, "/proc", TREE_CLONE | TREE_CLOEXEC);
	if (proc < 0 || umount2("/proc", MNT_DETACH) < 0 || umount2("/proc", MNT_DETACH) < 0)
		die("cannot replace the mount of /proc");
	attach(proc, "/proc");
	if (outer_root)
		protect_switches("/proc");
	make_file(cmdline, own_init);
	chmod(cmdline, 0444);
	int text = clone_tree(cmdline);
	protect(text, cmdline);
	attach(text, "/proc/cmdline");
	unlink(cmdline);
}
