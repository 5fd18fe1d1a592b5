/* The parent side: namespaces that change nothing a program would notice. */
#include "launcher.h"

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
		compose(path, sizeof path, "/dev/%s", d->d_name);
		if (lstat(path, &status) < 0)
			continue;
		compose(entries[count].name, sizeof entries[count].name, "%s", d->d_name);
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
		compose(path, sizeof path, "/dev/%s", entries[n].name);
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

void parent(char **arguments)
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
