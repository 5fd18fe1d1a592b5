/* The plan: operations on the command line, parsed into a list, executed in order. */
#include "launcher.h"

enum { MAX_OPERATIONS = 256 };

enum kind { RO_BIND, OVERLAY, SYMLINK, DIRECTORY, TEMPORARY, CONTENT, CPUS, OWN_INIT, INTERRUPTIBLE };
static const struct { const char *name; enum kind kind; int arguments; } kinds[] = {
	{ "--ro-bind", RO_BIND, 2 },    /* SOURCE TARGET */
	{ "--overlay", OVERLAY, 2 },    /* SOURCE TARGET: SOURCE below, writes stay in RAM; / is the root */
	{ "--symlink", SYMLINK, 2 },    /* TEXT LINK */
	{ "--dir", DIRECTORY, 1 },      /* PATH */
	{ "--tmpfs", TEMPORARY, 1 },    /* PATH: noexec, nosuid, nodev */
	{ "--content", CONTENT, 2 },    /* TEXT FILE */
	{ "--cpus", CPUS, 1 },          /* NUMBER,...: the processors to run on */
	{ "--own-init", OWN_INIT, 1 },  /* TEXT: COMMAND is the init of an image; /proc/cmdline is TEXT */
	{ "--interruptible", INTERRUPTIBLE, 0 }, /* for tests: wait as before Linux 5.19 */
};
int wait_interruptible;
const char *cpus, *own_init;
static struct operation { enum kind kind; const char *from, *to; int fd; } operations[MAX_OPERATIONS];
static int operation_count;

char **parse_operations(char **argument)
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
		if (operation->kind == CPUS)
			cpus = argument[1];
		if (operation->kind == OWN_INIT)
			own_init = argument[1];
		argument += 1 + kinds[k].arguments;
	}
	errno = EINVAL;
	if (!*argument || !argument[1])
		die("no command");
	return argument + 1;
}

static int make_layer(const char *target, const char *name)
{
	char path[4096];
	compose(path, sizeof path, "%s/%s", target, name);
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
	compose(data, sizeof data, "userxattr,lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d,"
		"workdir=/proc/self/fd/%d", operation->fd, upper, work);
	if (mount("overlay", target, "overlay", MS_NOSUID | MS_NODEV, data) < 0)
		die("cannot put a writable layer over %s", operation->from);
	close(upper);
	close(work);
}

void open_sources(void)
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

static int is_root(const struct operation *operation)
{
	return operation->kind == OVERLAY && !strcmp(operation->to, "/");
}

/*
 * A root directory comes before devices and RAM disks, which are mounted in it. Names in it are
 * resolved from outside until we enter: where it has a symbolic link in the place of /dev, /proc,
 * /sys, /run or /tmp, or files in /dev, whoever made the plan has removed them.
 */
void mount_root(void)
{
	for (const struct operation *o = operations; o < operations + operation_count; o++)
		if (is_root(o)) {
			mount_overlay(o, NEW_ROOT);
			close(o->fd);
		}
}

static void execute(const struct operation *operation)
{
	char target[4096];
	struct stat status;
	if (operation->kind >= CPUS || is_root(operation))
		return;
	compose(target, sizeof target, NEW_ROOT "%s", operation->to);
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
	case CPUS:
	case OWN_INIT:
	case INTERRUPTIBLE:
		break;
	}
}

void execute_operations(void)
{
	for (const struct operation *o = operations; o < operations + operation_count; o++)
		execute(o);
}
