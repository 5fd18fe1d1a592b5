/* Who is who in a user namespace. */
#include "launcher.h"

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("cannot write %s", path);
	close(fd);
}

/* Give `pid` every id that we have, under the same number: only root may. */
void map_all(pid_t pid, const char *which)
{
	char path[64], line[128], text[4096] = "";
	unsigned inside, outside, count;
	compose(path, sizeof path, "/proc/self/%s", which);
	FILE *own = fopen(path, "re");
	if (!own)
		die("cannot read %s", path);
	while (fscanf(own, "%u %u %u", &inside, &outside, &count) == 3) {
		compose(line, sizeof line, "%u %u %u\n", inside, inside, count);
		strncat(text, line, sizeof text - strlen(text) - 1);
	}
	fclose(own);
	compose(path, sizeof path, "/proc/%d/%s", pid, which);
	write_file(path, text);
}

void map_one(unsigned inside_user, unsigned user, unsigned inside_group, unsigned group)
{
	char text[64];
	write_file("/proc/self/setgroups", "deny");
	compose(text, sizeof text, "%u %u 1\n", inside_user, user);
	write_file("/proc/self/uid_map", text);
	compose(text, sizeof text, "%u %u 1\n", inside_group, group);
	write_file("/proc/self/gid_map", text);
}
