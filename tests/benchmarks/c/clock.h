/* What the benchmark programs share: time, whole reads and writes, pinning, failing. */
#ifndef CLOCK_H
#define CLOCK_H

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline long must(const char *what, long result)
{
	if (result < 0) {
		dprintf(2, "benchmark: %s: %s\n", what, strerror(errno));
		_exit(1);
	}
	return result;
}

/* Returns 0 at the end of the stream. */
static inline int read_all(int fd, void *buffer, size_t size)
{
	for (size_t done = 0; done < size; ) {
		ssize_t got = must("read", read(fd, (char *)buffer + done, size - done));
		if (got == 0)
			return 0;
		done += (size_t)got;
	}
	return 1;
}

static inline void write_all(int fd, const void *buffer, size_t size)
{
	for (size_t done = 0; done < size; )
		done += (size_t)must("write", write(fd, (const char *)buffer + done, size - done));
}

/* Stay on `cpu`; anywhere for -1. */
static inline void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	for (int n = 0; n < CPU_SETSIZE; n++)
		if (cpu < 0 || n == cpu)
			CPU_SET(n, &set);
	must("sched_setaffinity", sched_setaffinity(0, sizeof set, &set));
}

static inline int compare_times(const void *left, const void *right)
{
	const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
	return (a > b) - (a < b);
}

/* The median in ns. Sorts `times`. */
static inline uint64_t median(uint64_t *times, int count)
{
	qsort(times, (size_t)count, sizeof *times, compare_times);
	return times[count / 2];
}

#endif
