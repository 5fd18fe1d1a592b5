/* Mounts and files, one step each; a step that fails ends the launcher. */
#include "launcher.h"

int clone_tree(const char *source)
{
	int fd = syscall(NR_open_tree, AT_FDCWD, source, TREE_CLONE | TREE_CLOEXEC | TREE_RECURSIVE);
	if (fd < 0)
		die("cannot clone the mount of %s", source);
	return fd;
}

void attach(int fd, const char *target)
{
	if (syscall(NR_move_mount, fd, "", AT_FDCWD, target, MOVE_FROM_EMPTY_PATH) < 0)
		die("cannot attach a mount at %s", target);
	close(fd);
}

void protect(int fd, const char *source)
{
	struct attr attr = { .set = ATTR_RDONLY };
	if (syscall(NR_mount_setattr, fd, "", EMPTY_PATH | TREE_RECURSIVE, &attr, sizeof attr) < 0)
		die("cannot make %s read-only", source);
}

/* Create every missing directory above `path`; leave `path` itself alone. */
void make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			die("cannot create directory %s", path);
		*slash = '/';
	}
}

void make_directory(const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		die("cannot create directory %s", path);
}

void make_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("cannot write %s", path);
	close(fd);
}

void mount_new(const char *type, const char *target, unsigned long flags, const char *data)
{
	make_directory(target);
	if (mount(type, target, type, flags, data) < 0)
		die("cannot mount %s at %s", type, target);
}

void bind_device(const char *device, const char *target)
{
	int fd = syscall(NR_open_tree, AT_FDCWD, device, TREE_CLONE | TREE_CLOEXEC);
	if (fd < 0)
		die("cannot clone the mount of %s", device);
	make_file(target, "");
	attach(fd, target);
}
