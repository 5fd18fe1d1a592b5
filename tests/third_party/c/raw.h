/*
 * Helpers for programs that hand the kernel what no library would.
 *
 * Every call goes through syscall(2), so that nothing between the program and
 * the kernel repairs an argument. A result is printed as "name: VALUE", where a
 * negative value is an error number with its sign turned, as the kernel returns
 * it. One program is many cases; each runs alone, in an enclave of its own.
 */
#ifndef RAW_H
#define RAW_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VSOCK 40 /* the address family, and the level of its socket options */
#define CID_ANY 0xffffffffu
#define PORT_ANY 0xffffffffu
#define CID_PARENT 3u
#define PORT 5000u /* the listener that the test connects to */

struct vm_address {
	uint16_t family, reserved;
	uint32_t port, cid;
	uint8_t zero[4];
};

struct test_case {
	const char *name;
	void (*run)(void);
};

static inline void say(const char *name, long result)
{
	printf("%s: %ld\n", name, result == -1 ? -(long)errno : result);
}

static inline void say_value(const char *name, unsigned long value)
{
	printf("%s: %lu\n", name, value);
}

/* For the steps that lead to a case: they are not what it is about. */
static inline long must(const char *name, long result)
{
	if (result == -1) {
		printf("%s failed: %s\n", name, strerror(errno));
		exit(1);
	}
	return result;
}

/* Two pages of which only the first is usable; the second has `protection`. */
static inline unsigned char *page_before(int protection)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *area = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED || mprotect(area + page, page, protection) != 0)
		must("mmap", -1);
	return area;
}

static inline unsigned char *guard_page(int protection)
{
	return page_before(protection) + sysconf(_SC_PAGESIZE);
}

/*
 * Outside the simulator these calls would reach the machine's own vsock, which
 * on a virtual machine leads to its host: refuse to run there.
 */
static inline int run_case(const struct test_case *cases, int argc, char **argv)
{
	const char *inside = getenv("NITROSIM_INSIDE");

	if (inside == NULL || strcmp(inside, "1") != 0) {
		fprintf(stderr, "%s: runs only inside the simulator (NITROSIM_INSIDE is not 1)\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (; argc == 2 && cases->name != NULL; cases++) {
		if (strcmp(cases->name, argv[1]) == 0) {
			cases->run();
			printf("done\n");
			return 0;
		}
	}
	fprintf(stderr, "%s: no such case\n", argv[0]);
	return 2;
}

#endif
