/*
 * nitrosim launcher: the first program of an enclave, and the door through
 * which a parent-side program enters the simulated instance. Linux only.
 *
 *   launcher enclave [OPERATION...] -- COMMAND [ARGUMENT...]
 *   launcher parent HYPERVISOR_PID CONTROL FILTER -- COMMAND [ARGUMENT...]
 *
 * File descriptors it is started with:
 *   3  control: a SOCK_SEQPACKET socket of the hypervisor. Each message is one
 *      line of text, with at most one file descriptor attached.
 *   4  started (enclave only): the writing end of a pipe. It closes when the
 *      command has been executed; an error is written to it before.
 *   5  filter: a file that holds the BPF program (array of struct sock_filter).
 * On the parent side 3 and 5 are made from the descriptors CONTROL and FILTER.
 * The environment of the launcher is the environment of the command.
 *
 * It is static and small because its run time is the start-up time of every
 * enclave, and because it must run in any container without help from it.
 * Operations are parsed into a list and then executed in order, so that the
 * program is a plan and a loop. Every failure is one line with strerror.
 *
 * Some facts the order of steps rests on:
 *
 * - A process that enters a new mount namespace together with a new user
 *   namespace gets a copy of the mounts in which each one is locked: a single
 *   mount cannot be taken out of its tree. So trees are cloned recursively
 *   (open_tree), made read-only recursively (mount_setattr), and attached
 *   (move_mount).
 * - The sources are opened before anything is mounted, because the new root is
 *   assembled on top of /tmp and would hide sources below it.
 * - Of a pid namespace only the first child is init, and with init everything
 *   in it dies. init is cloned with CLONE_PARENT, so the hypervisor is its
 *   parent: PR_SET_PDEATHSIG then ties the enclave to the hypervisor's life.
 * - A filter with a listener can be installed without no_new_privs by a process
 *   with CAP_SYS_ADMIN in its user namespace. init has it there, so a setuid
 *   bit or a capability in the enclave works as on hardware.
 */
#include "launcher.h"

int main(int count, char **arguments)
{
	if (count >= 3 && !strcmp(arguments[1], "enclave"))
		enclave(arguments + 2);
	else if (count >= 3 && !strcmp(arguments[1], "parent"))
		parent(arguments + 2);
	dprintf(2, "this program is started by nitrosim; see nitrosim --help\n");
	return 2;
}
