/*
 * The init of an image: does what the words on its command line say, and says what came of it.
 * Refuses to run outside of the simulator, because of what a vsock socket and a reboot are there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FSOPEN = 430, NSM = 0xC0200A00, MODULE = 0x80, PLAIN = MS_NOSUID | MS_NODEV | MS_NOEXEC };

static char **word;

static const char *next(void)
{
	return *word ? *word++ : "";
}

static void say(const char *what, long result)
{
	printf("%s: %s\n", what, result < 0 ? strerror(errno) : "done");
}

static int vsock(void)
{
	return socket(AF_VSOCK, SOCK_STREAM, 0);
}

/* 256 stands for a connection without a byte, 257 for one that is kept without a byte. */
static void heartbeat(int value)
{
	struct sockaddr_vm to = { .svm_family = AF_VSOCK, .svm_cid = 3, .svm_port = 9000 };
	unsigned char byte = value, answer = 0;
	int fd = vsock();
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		say("heartbeat", -1);
	} else if (value < 256) {
		if (write(fd, &byte, 1) != 1)
			say("heartbeat", -1);
		else
			printf("heartbeat: %s\n", read(fd, &answer, 1) == 1 && answer == byte ? "echoed" : "refused");
	}
	if (value != 257)
		close(fd);
}

static void echo(int port)
{
	struct sockaddr_vm any = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port };
	char text[256];
	ssize_t size;
	int listener = vsock(), fd;
	if (bind(listener, (struct sockaddr *)&any, sizeof any) < 0 || listen(listener, 1) < 0) {
		say("listen", -1);
		return;
	}
	puts("listening");
	fd = accept(listener, NULL, NULL);
	while ((size = read(fd, text, sizeof text)) > 0)
		if (write(fd, text, size) < 0)
			break;
	close(fd);
	close(listener);
}

static void local_cid(void)
{
	unsigned cid = 0;
	int fd = open("/dev/vsock", O_RDONLY);
	if (ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0)
		say("cid", -1);
	else
		printf("cid: %u\n", cid);
}

/* DescribeNSM, a text in CBOR. */
static void ask_nsm(const char *path)
{
	char request[] = "\x6b" "DescribeNSM", answer[4096];
	uint64_t message[] = { (uintptr_t)request, 12, (uintptr_t)answer, sizeof answer };
	int fd = open(path, O_RDWR);
	int result = fd < 0 ? -1 : ioctl(fd, NSM, message);
	say(path, result);
	if (result == 0 && !memmem(answer, message[3], "DescribeNSM", 11))
		puts("that was no description");
}

static void make_orphan(void)
{
	int status, pipes[2];
	pid_t child;
	if (pipe(pipes) < 0)
		return;
	child = fork();
	if (child == 0) {
		if (fork() == 0) {
			char byte;
			close(pipes[1]);
			_exit(read(pipes[0], &byte, 1) == 0 && getppid() == 1 ? 7 : 8);
		}
		_exit(0);
	}
	waitpid(child, &status, 0);
	close(pipes[1]);
	/* The only child left is the one that we did not make. */
	printf("orphan: %s\n", wait(&status) > 0 && WEXITSTATUS(status) == 7 ? "adopted" : "lost");
}

static void show(const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY);
	ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text);
	if (size < 0)
		say(path, -1);
	else
		printf("%s: %.*s\n", path, (int)size, text);
	close(fd);
}

static void reopen_console(void)
{
	if (!freopen("/dev/console", "r", stdin) || !freopen("/dev/console", "w", stdout)
	    || !freopen("/dev/console", "w", stderr))
		_exit(99);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("console reopened");
}

int main(int count, char **words)
{
	char what[512];
	(void)count;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!getenv("NITROSIM_INSIDE"))
		return 98;
	for (word = words + 1; *word;) {
		const char *verb = next();
		if (!strcmp(verb, "mount")) {
			const char *type = next(), *target = next();
			int plain = strcmp(type, "devtmpfs") && strcmp(type, "devpts") ? PLAIN : MS_NOSUID;
			snprintf(what, sizeof what, "mount %s %s", type, target);
			say(what, mount("none", target, type, plain, strcmp(type, "proc") ? "" : "hidepid=2"));
		} else if (!strcmp(verb, "bind")) {
			const char *source = next(), *target = next();
			snprintf(what, sizeof what, "bind %s %s", source, target);
			say(what, mount(source, target, NULL, MS_BIND | MS_REC, NULL));
		} else if (!strcmp(verb, "move")) {
			const char *source = next(), *target = next();
			snprintf(what, sizeof what, "move %s %s", source, target);
			say(what, mount(source, target, NULL, MS_MOVE, NULL));
		} else if (!strcmp(verb, "fsopen")) {
			say("fsopen", syscall(FSOPEN, "tmpfs", 0));
		} else if (!strcmp(verb, "insmod")) {
			say("finit_module", syscall(SYS_finit_module, open(next(), O_RDONLY), "", 0));
			say("init_module", syscall(SYS_init_module, "x", 1, ""));
		} else if (!strcmp(verb, "mkdir")) {
			mkdir(next(), 0755);
		} else if (!strcmp(verb, "chroot")) {
			if (chdir(next()) < 0 || chroot(".") < 0)
				say("chroot", -1);
		} else if (!strcmp(verb, "console")) {
			reopen_console();
		} else if (!strcmp(verb, "heartbeat")) {
			heartbeat(strtol(next(), NULL, 0));
		} else if (!strcmp(verb, "echo")) {
			echo(atoi(next()));
		} else if (!strcmp(verb, "cid")) {
			local_cid();
		} else if (!strcmp(verb, "nsm")) {
			ask_nsm(next());
		} else if (!strcmp(verb, "ids")) {
			printf("pid %d parent %d session %d\n", getpid(), getppid(), getsid(0));
			say("setsid", setsid());
		} else if (!strcmp(verb, "orphan")) {
			make_orphan();
		} else if (!strcmp(verb, "show")) {
			show(next());
		} else if (!strcmp(verb, "write")) {
			const char *path = next();
			snprintf(what, sizeof what, "write %s", path);
			say(what, open(path, O_WRONLY));
		} else if (!strcmp(verb, "say")) {
			puts(next());
		} else if (!strcmp(verb, "defy")) {
			/* Whatever a program can do to outlive its masters. */
			prctl(PR_SET_PDEATHSIG, 0);
			for (int number = 1; number < 32; number++)
				signal(number, SIG_IGN);
			puts("defiant");
		} else if (!strcmp(verb, "background")) {
			if (fork() == 0)
				for (;;)
					pause();
		} else if (!strcmp(verb, "signal-all")) {
			kill(0, SIGKILL);
			kill(-1, SIGKILL);
			puts("alive");
		} else if (!strcmp(verb, "crash")) {
			raise(SIGSEGV); /* pid 1 ignores that one, unlike the real thing: */
			*(volatile int *)8 = 0;
		} else if (!strcmp(verb, "reboot")) {
			const char *how = next();
			say("reboot", reboot(!strcmp(how, "off") ? RB_POWER_OFF : !strcmp(how, "halt") ? RB_HALT_SYSTEM : RB_AUTOBOOT));
		} else if (!strcmp(verb, "exit")) {
			return atoi(next());
		} else if (!strcmp(verb, "wait")) {
			for (;;)
				pause();
		} else {
			printf("unknown word %s\n", verb);
			return 97;
		}
	}
	return 0;
}
