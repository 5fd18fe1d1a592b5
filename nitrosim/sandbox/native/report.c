/* What the launcher says: failures in one line, messages with a descriptor. */
#include "launcher.h"

int failure_fd = CONTROL;

void __attribute__((format(printf, 1, 2), noreturn)) die(const char *format, ...)
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
	if (failure_fd == 2)
		dprintf(2, "nitrosim parent: %s\n", line + 6);
	else if (write(failure_fd, line, strlen(line)) < 0)
		dprintf(2, "nitrosim launcher: %s\n", line + 6);
	_exit(126);
}

void tell(const char *line, int attached)
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

void __attribute__((format(printf, 3, 4))) compose(char *text, size_t size, const char *format, ...)
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
