"""What a kernel makes of its command line for the init that it executes.

Facts (Linux init/main.c, kernel/params.c, lib/cmdline.c):

- The init of a ramdisk is ``/init``, or what ``rdinit=`` says.
- Words that are no parameter of the kernel go to init: ``NAME=VALUE`` becomes a variable, anything
  else an argument. Names with a dot are parameters of modules, known or not. ``rdinit=`` and
  ``init=`` drop the arguments before them.
- All behind ``--`` are arguments.
- The environment begins as ``HOME=/ TERM=linux``; a later value takes the place of an earlier one.
- A double quote keeps spaces together; at the beginning and end of a word or value it is removed.
- In the names of parameters, ``-`` and ``_`` are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

_SPACES: Final = " \t\n\v\f\r"
_FIRST_ENVIRONMENT: Final = {"HOME": "/", "TERM": "linux"}

# ASSUMPTION: Which words of its command line the kernel of an image knows, and so keeps from its
# init, is what the documentation of Linux lists as parameters of the kernel itself, whatever this
# kernel was built with. nomodules, which is among nitro-cli's words, is none: the parameter is
# called nomodule.
_PARAMETERS: Final = """
acpi acpi_osi acpi_rsdp apic apparmor audit boot_delay bootconfig cgroup_disable cgroup_enable
cgroup_no_v1 clk_ignore_unused clocksource cma coherent_pool console console_msg_format consoleblank
coredump_filter cpuidle crashkernel debug debug_pagealloc debugfs default_hugepagesz dhash_entries
dis_ucode_ldr disable_mtrr_cleanup early_ioremap_debug earlycon earlyprintk efi elevator enforcing
fips ftrace gbpages hardened_usercopy hashdist highres hpet hugepages hugepagesz hung_task_panic
ia32_emulation idle ignore_loglevel ihash_entries init init_on_alloc init_on_free initcall_debug
initrd initrdmem iomem iommu ip irqaffinity irqpoll isolcpus kasan kaslr keepinitrd
kexec_load_disabled kgdboc kpti kvm_nopiod l1tf lapic log_buf_len loglevel lpj lsm max_loop maxcpus
mce mds mem memblock memmap memory_hotplug memtest mhash_entries mitigations mminit_loglevel
module_blacklist mphash_entries netdev nfsroot nmi_watchdog no_console_suspend no_hash_pointers
no_timer_check noacpi noapic noapictimer nodelayacct nogbpages nohalt nohibernate nohpet nohz
nohz_full noinitrd nointremap noirqdebug nokaslr nolapic nolapic_timer nomce nomodeset nomodule
nopat nopcid nopti nopvspin norandmaps noreplace_smp noresume noretbleed nosgx nosmap nosmep nosmp
nosmt nosoftlockup nospec_store_bypass_disable nospectre_v1 nospectre_v2 notsc nowatchdog nox2apic
noxsave nr_cpus numa numa_balancing page_owner page_poison panic panic_on_oops panic_on_taint
panic_on_warn panic_print pause_on_oops pci pcie_aspm percpu_alloc pnp possible_cpus
print_fatal_signals printk profile psi pti quiet raid ramdisk_size ramdisk_start
random_kstack_offset randomize_kstack_offset rcu_nocbs rdinit reboot relax_domain_level reserve
resume retain_initrd retbleed ro rodata root rootdelay rootflags rootfstype rootwait rw security
selinux skew_tick slab_nomerge slub_debug slub_nomerge smp softlockup_panic
spec_store_bypass_disable spectre_bhi spectre_v2 spectre_v2_user srbds stack_depot_disable
swapaccount swiotlb sysrq_always_enabled thash_entries threadirqs trace_buf_size trace_event
trace_options traceoff_on_warning transparent_hugepage tsc tsx tsx_async_abort uhash_entries
unknown_nmi_panic vdso vdso32 vector vga vmalloc vsyscall watchdog_thresh x2apic_phys xsave
"""
_KNOWN: Final = frozenset(_PARAMETERS.split())


class InitCall(NamedTuple):
    """How a kernel executes an init: a path in its ramdisk, arguments behind it, variables."""

    program: str
    arguments: tuple[str, ...]
    environment: dict[str, str]


def init_call(command_line: str) -> InitCall:
    """Return how a kernel with this command line executes the init of its ramdisk."""
    program, arguments, environment = "/init", list[str](), dict(_FIRST_ENVIRONMENT)
    words = _words(command_line)
    for name, value in words:
        if name == "--" and value is None:
            break
        if name in ("init", "rdinit") and value is not None:
            arguments.clear()
            program = value if name == "rdinit" else program
        elif "." in name or name.replace("-", "_") in _KNOWN:
            continue
        elif value is None:
            arguments.append(name)
        else:
            environment[name] = value
    arguments += [name if value is None else f"{name}={value}" for name, value in words]
    return InitCall(program, tuple(arguments), environment)


def _words(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield the words as (name, value), without a value if there is no equals sign."""
    rest = text.partition("\0")[0].lstrip(_SPACES)
    while rest:
        quoted = rest.startswith('"')
        word = rest[quoted : _end_of_word(rest)]
        rest = rest[quoted + len(word) :].lstrip(_SPACES)
        # An equals sign at the beginning belongs to the name.
        equals = word.find("=", 1)
        name, value = (word, None) if equals < 0 else (word[:equals], word[equals + 1 :])
        if value is None:
            yield name.removesuffix('"') if quoted else name, None
            continue
        if value.startswith('"'):
            value = value[1:].removesuffix('"')
        elif quoted:
            value = value.removesuffix('"')
        yield name, value


def _end_of_word(text: str) -> int:
    quoted = False
    for at, character in enumerate(text):
        if character in _SPACES and not quoted:
            return at
        if character == '"':
            quoted = not quoted
    return len(text)
