/* Another time of day for one process: preloaded, it answers instead of the C library.
 *
 * The process sets the time itself, through set_clock. Other clocks stay what they are.
 */

#define _GNU_SOURCE
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms;

void set_clock(int64_t milliseconds)
{
	now_ms = milliseconds;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
	if (clock != CLOCK_REALTIME || now_ms == 0)
		return (int)syscall(SYS_clock_gettime, clock, time);
	time->tv_sec = now_ms / 1000;
	time->tv_nsec = now_ms % 1000 * 1000000;
	return 0;
}
