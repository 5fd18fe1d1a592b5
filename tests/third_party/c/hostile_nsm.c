/* Requests to /dev/nsm that no client library sends. */
#include "raw.h"

#include <fcntl.h>

#define NSM_IOCTL 0xC0200A00ul
#define REQUEST_LIMIT 4096
#define RESPONSE_LIMIT 12288

struct nsm_raw {
	uint64_t request, request_length, response, response_length;
};

static const unsigned char get_random[] = "\x69GetRandom";
static const unsigned char describe_16[] = "\xa1\x6b" "DescribePCR" "\xa1\x65" "index" "\x10";
static const unsigned char extend_16[] = "\xa1\x69" "ExtendPCR" "\xa2\x65" "index" "\x10\x64" "data" "\x43\x01\x02\x03";

#define LENGTH(text) (sizeof(text) - 1)
#define ADDRESS(pointer) ((uint64_t)(uintptr_t)(pointer))

static unsigned char answer[RESPONSE_LIMIT];

static int device(void)
{
	return (int)must("open", syscall(SYS_openat, AT_FDCWD, "/dev/nsm", O_RDWR | O_CLOEXEC, 0));
}

static long nsm(int fd, const void *argument)
{
	return syscall(SYS_ioctl, fd, NSM_IOCTL, argument);
}

static struct nsm_raw message(const unsigned char *request, size_t length)
{
	return (struct nsm_raw){ADDRESS(request), length, ADDRESS(answer), sizeof(answer)};
}

static void say_bytes(const char *name, const unsigned char *bytes, size_t length)
{
	printf("%s: ", name);
	for (size_t at = 0; at < length; at++)
		printf("%02x", bytes[at]);
	printf("\n");
}

/* Print register 16 as the module itself reports it. */
static void say_register(int fd)
{
	struct nsm_raw raw = message(describe_16, LENGTH(describe_16));

	must("describe", nsm(fd, &raw));
	say_bytes("register", answer, raw.response_length);
}

static void struct_pointer(void)
{
	int fd = device();

	say("null", nsm(fd, NULL));
	say("low", nsm(fd, (void *)1));
	say("kernel", nsm(fd, (void *)0xffffffffffff0000ul));
	say("protected", nsm(fd, guard_page(PROT_NONE)));
	say("half", nsm(fd, guard_page(PROT_NONE) - 16));
}

static void struct_read_only(void)
{
	struct nsm_raw *raw = (struct nsm_raw *)page_before(PROT_NONE);

	*raw = message(get_random, LENGTH(get_random));
	must("mprotect", mprotect(raw, sizeof(*raw), PROT_READ));
	say("ioctl", nsm(device(), raw));
	say_value("length", raw->response_length);
}

static void request_length(void)
{
	int fd = device();
	struct nsm_raw raw = message(get_random, REQUEST_LIMIT + 1);

	say("limit + 1", nsm(fd, &raw));
	raw.request_length = 1ull << 63;
	say("huge", nsm(fd, &raw));
	raw.request_length = UINT64_MAX;
	say("maximum", nsm(fd, &raw));
	raw.request = 1;
	say("huge and unreadable", nsm(fd, &raw));
	say_value("room for the answer", raw.response_length);
}

static void request_empty(void)
{
	struct nsm_raw raw = message(get_random, 0);

	say("ioctl", nsm(device(), &raw));
	say_bytes("answer", answer, raw.response_length);
}

static void request_junk(void)
{
	static const unsigned char junk[] = "\xff\xff\xff";
	struct nsm_raw raw = message(junk, LENGTH(junk));

	say("ioctl", nsm(device(), &raw));
	say_bytes("answer", answer, raw.response_length);
}

static void request_pointer(void)
{
	int fd = device();
	struct nsm_raw raw = message((void *)1, 16);
	unsigned char *guard = guard_page(PROT_NONE);

	say("low", nsm(fd, &raw));
	raw = message((void *)0xffffffffffff0000ul, 16);
	say("kernel", nsm(fd, &raw));
	raw = message(guard, 16);
	say("protected", nsm(fd, &raw));
	memcpy(guard - 4, get_random, 4);
	raw = message(guard - 4, LENGTH(get_random));
	say("half", nsm(fd, &raw));
	memcpy(guard - LENGTH(get_random), get_random, LENGTH(get_random));
	raw = message(guard - LENGTH(get_random), LENGTH(get_random));
	say("just readable", nsm(fd, &raw));
}

/* The request takes effect before the module notices where the answer should go. */
static void extend_into(void *response)
{
	int fd = device();
	struct nsm_raw raw = message(extend_16, LENGTH(extend_16));

	raw.response = ADDRESS(response);
	say("ioctl", nsm(fd, &raw));
	say_value("length", raw.response_length);
	say_register(fd);
}

static void response_wild(void)
{
	extend_into((void *)1);
}

static void response_read_only(void)
{
	unsigned char *page = guard_page(PROT_READ);

	extend_into(page);
	say_value("first byte", page[0]);
}

static void response_short(void)
{
	int fd = device();
	struct nsm_raw raw = message(get_random, LENGTH(get_random));

	memset(answer, 0xee, sizeof(answer));
	raw.response_length = 12;
	say("short", nsm(fd, &raw));
	say_value("length", raw.response_length);
	say_bytes("answer", answer, 14);
	raw.response_length = 0;
	raw.response = 1;
	say("none", nsm(fd, &raw));
	say_value("length", raw.response_length);
}

static void response_huge(void)
{
	struct nsm_raw raw = message(get_random, LENGTH(get_random));

	raw.response_length = UINT64_MAX;
	say("ioctl", nsm(device(), &raw));
	say_value("length", raw.response_length);
}

static void other_numbers(void)
{
	int fd = device();
	struct nsm_raw raw = message(get_random, LENGTH(get_random));

	say("32-bit size", syscall(SYS_ioctl, fd, 0xC0100A00ul, &raw));
	say("next number", syscall(SYS_ioctl, fd, 0xC0200A01ul, &raw));
	say("read only", syscall(SYS_ioctl, fd, 0x80200A00ul, &raw));
	say("no direction", syscall(SYS_ioctl, fd, 0x00000A00ul, &raw));
}

/* The kernel looks at 32 bits of the number; musl hands over a sign-extended int. */
static void sign_extended(void)
{
	struct nsm_raw raw = message(get_random, LENGTH(get_random));

	say("ioctl", syscall(SYS_ioctl, device(), 0xFFFFFFFF00000000ul | NSM_IOCTL, &raw));
	say_value("length", raw.response_length);
}

static void other_files(void)
{
	int ends[2], fd = device();
	struct nsm_raw raw = message(get_random, LENGTH(get_random));

	must("pipe", syscall(SYS_pipe2, ends, O_CLOEXEC));
	say("pipe", nsm(ends[0], &raw));
	say("null device", nsm((int)must("open", open("/dev/null", O_RDWR)), &raw));
	say("regular file", nsm((int)must("memfd", memfd_create("file", 0)), &raw));
	must("close", close(fd));
	say("closed", nsm(fd, &raw));
	say("negative", nsm(-1, &raw));
	say("never opened", nsm(1000, &raw));
}

static void open_modes(void)
{
	static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK};

	for (size_t at = 0; at < sizeof(modes) / sizeof(modes[0]); at++) {
		int fd = (int)must("open", open("/dev/nsm", modes[at]));
		struct nsm_raw raw = message(get_random, LENGTH(get_random));

		say("ioctl", nsm(fd, &raw));
		must("dup", fd = dup(fd));
		raw = message(get_random, LENGTH(get_random));
		say("dup", nsm(fd, &raw));
	}
}

static void not_a_file(void)
{
	int fd = device();

	say("mmap", syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
}

static const struct test_case cases[] = {
	{"struct_pointer", struct_pointer},
	{"struct_read_only", struct_read_only},
	{"request_length", request_length},
	{"request_empty", request_empty},
	{"request_junk", request_junk},
	{"request_pointer", request_pointer},
	{"response_wild", response_wild},
	{"response_read_only", response_read_only},
	{"response_short", response_short},
	{"response_huge", response_huge},
	{"other_numbers", other_numbers},
	{"sign_extended", sign_extended},
	{"other_files", other_files},
	{"open_modes", open_modes},
	{"not_a_file", not_a_file},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return run_case(cases, argc, argv);
}
