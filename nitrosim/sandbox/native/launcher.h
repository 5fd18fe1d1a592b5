/* What the parts of the launcher share. */
#ifndef NITROSIM_LAUNCHER_H
#define NITROSIM_LAUNCHER_H

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* Numbers and structures that older C libraries lack; the same on every architecture. */
#define NR_open_tree 428
#define NR_move_mount 429
#define NR_clone3 435
#define NR_mount_setattr 442
#define TREE_CLONE 1
#define TREE_CLOEXEC O_CLOEXEC
#define TREE_RECURSIVE 0x8000
#define EMPTY_PATH 0x1000
#define MOVE_FROM_EMPTY_PATH 0x4
#define ATTR_RDONLY 0x1
#define FILTER_NEW_LISTENER (1UL << 3)
#define FILTER_WAIT_KILLABLE_RECV (1UL << 5)
struct attr { uint64_t set, clear, propagation, userns_fd; };

enum { CONTROL = 3, STARTED = 4, FILTER = 5 };
#define NEW_ROOT "/tmp"

/* launcher.c: the two ways in. Neither returns. */
void enclave(char **arguments);
void parent(char **arguments);

/* report.c */
extern int failure_fd; /* where die() writes: to the hypervisor, the started pipe, or the user */
void __attribute__((format(printf, 1, 2), noreturn)) die(const char *format, ...);
void tell(const char *line, int attached);
void __attribute__((format(printf, 3, 4))) compose(char *text, size_t size, const char *format, ...);

/* mounts.c */
int clone_tree(const char *source);
void attach(int fd, const char *target);
void protect(int fd, const char *source);
void make_parents(char *path);
void make_directory(const char *path);
void make_file(const char *path, const char *text);
void mount_new(const char *type, const char *target, unsigned long flags, const char *data);
void bind_device(const char *device, const char *target);

/* plan.c: parse returns the command; the others work on the list. */
extern int wait_interruptible;
extern const char *cpus; /* "0,2": the processors to run on; NULL for any */
extern const char *own_init; /* what /proc/cmdline says to the init of an image; NULL for others */
char **parse_operations(char **argument);
void open_sources(void);
void mount_root(void);
void execute_operations(void);

/* system.c */
void mount_system(int outer_root);
void enter_new_root(void);
int open_console(void);
void show_own_processes(int outer_root);

/* users.c */
void map_all(pid_t pid, const char *which);
void map_one(unsigned inside_user, unsigned user, unsigned inside_group, unsigned group);

/* program.c */
int install_filter(int *killable);
void __attribute__((noreturn)) run_program(char **command, int console);

#endif
