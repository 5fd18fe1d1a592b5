"""What an init of an image calls at its start, in real enclaves.

The order is that of the init of tkhq/qos, as other static inits in one ramdisk have it too.
"""

import os

import pytest
from own_init_images import file, folder

pytestmark = [
    pytest.mark.needs("userns", "cc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86_64: so are the images"),
]

PATIENCE = 20
PORT = 3


def lines_of(enclave):
    return enclave.console.read_all(timeout=PATIENCE).decode().splitlines()


MOUNTS = (
    *(
        "devtmpfs /dev",
        "devpts /dev/pts",
        "tmpfs /dev/shm",
        "proc /proc",
        "tmpfs /run",
        "tmpfs /tmp",
    ),
    *("sysfs /sys", "tmpfs /sys/fs/cgroup"),
)


def test_an_init_boots_and_serves_and_reboots(run_probe):
    mounts = [word for mount in MOUNTS for word in ("mount", *mount.split())]
    directories = [word for name in ("/run", "/tmp", "/sys") for word in ("mkdir", name)]
    enclave = run_probe(
        *directories,
        *mounts,
        *("console", "heartbeat", "0xb7", "insmod", "/init", "cid", "nsm", "/dev/nsm"),
        *("echo", str(PORT), "reboot", "now"),
    )

    with enclave.connect(PORT, timeout=PATIENCE) as connection:
        connection.sendall(b"hello")
        assert b"hello" == connection.recv(16)
    assert [
        *(f"mount {mount}: done" for mount in MOUNTS),
        *("console reopened", "heartbeat: echoed", "finit_module: done", "init_module: done"),
        *(f"cid: {enclave.cid}", "/dev/nsm: done", "listening"),
    ] == lines_of(enclave)
    assert 0 == enclave.wait(timeout=PATIENCE)


def test_an_init_is_pid_1_and_leads_no_session_yet(run_probe):
    assert ["pid 1 parent 0 session 0", "setsid: done"] == lines_of(run_probe("ids"))


def test_an_init_adopts_orphans(run_probe):
    assert ["orphan: adopted"] == lines_of(run_probe("orphan"))


def test_an_init_gets_the_command_line_of_its_kernel(run_probe):
    line = "console=ttyS0 NITROSIM_INSIDE=1 -- show /proc/cmdline write /proc/cmdline"

    assert [f"/proc/cmdline: {line}", "", "write /proc/cmdline: Read-only file system"] == lines_of(
        run_probe("show", "/proc/cmdline", "write", "/proc/cmdline")
    )


def test_an_init_finds_no_ram_disks_and_what_its_image_has_there(run_probe):
    entries = (folder("run"), file("run/kept", b"yes"))

    assert ["/run/kept: yes", "mount tmpfs /run: done", "/run/kept: No such file or directory"] == (
        lines_of(
            run_probe(
                "show", "/run/kept", "mount", "tmpfs", "/run", "show", "/run/kept", entries=entries
            )
        )
    )


# ---- mounts ----


def test_a_second_devpts_does_not_take_the_console_away(run_probe):
    said = lines_of(run_probe("mount", "devpts", "/dev/pts", "console", "say", "there"))

    assert ["mount devpts /dev/pts: done", "console reopened", "there"] == said


@pytest.mark.needs("root")
def test_the_switches_of_the_machine_stay_read_only_for_its_root(run_probe):
    switch = "/proc/sys/kernel/printk"
    refusal = "it is mounted at /proc and nowhere else; bind or move it"
    said = lines_of(
        run_probe(
            *("mount", "proc", "/proc", "write", switch),
            *("mkdir", "/other", "mount", "proc", "/other", "write", f"/other{switch[5:]}"),
        )
    )

    # The terminal may hand over what was written before a remark after it.
    remark = f"[nitrosim: cannot mount proc at /other: {refusal}]"
    assert remark in said
    assert [
        "mount proc /proc: done",
        f"write {switch}: Read-only file system",
        "mount proc /other: Operation not permitted",
        f"write /other{switch[5:]}: No such file or directory",
    ] == [line for line in said if line != remark]


@pytest.mark.skipif(os.geteuid() == 0, reason="needs an ordinary user: for root it is refused")
def test_a_second_proc_is_mounted_for_who_has_no_rights_on_the_switches(run_probe):
    switch = "/other/sys/kernel/printk"
    said = lines_of(run_probe("mkdir", "/other", "mount", "proc", "/other", "write", switch))

    assert ["mount proc /other: done", f"write {switch}: Permission denied"] == said


@pytest.mark.parametrize("kind", ["devtmpfs", "sysfs"])
def test_what_cannot_be_mounted_elsewhere_is_said_on_the_console(run_probe, kind):
    said = lines_of(run_probe("mkdir", "/rootfs", "mount", kind, "/rootfs"))

    assert said[0].startswith(f"[nitrosim: cannot mount {kind} at /rootfs: it is mounted at /")
    assert [f"mount {kind} /rootfs: Operation not permitted"] == said[1:]


def test_what_is_bound_into_another_root_directory_works_there(run_probe):
    """As scripts do that prepare a root directory and change to it."""
    made = [word for name in ("/r", "/r/dev", "/r/proc") for word in ("mkdir", name)]
    said = lines_of(
        run_probe(
            *made,
            *("bind", "/dev", "/r/dev", "move", "/proc", "/r/proc", "chroot", "/r"),
            *("mount", "devtmpfs", "/dev", "mount", "proc", "/proc", "console", "nsm", "/dev/nsm"),
            "cid",
        )
    )

    assert [
        *("bind /dev /r/dev: done", "move /proc /r/proc: done"),
        *("mount devtmpfs /dev: done", "mount proc /proc: done", "console reopened"),
        "/dev/nsm: done",
    ] == said[:-1]
    assert said[-1].startswith("cid: ")


def test_cgroups_are_not_mounted_and_nobody_minds(run_probe):
    said = lines_of(run_probe("mkdir", "/cg", "mount", "cgroup", "/cg", "mount", "cgroup2", "/cg"))

    assert ["mount cgroup /cg: done", "mount cgroup2 /cg: done"] == said


def test_mount_fails_as_the_kernel_says_where_there_is_no_directory(run_probe):
    said = lines_of(run_probe("mount", "proc", "/missing"))

    assert ["mount proc /missing: No such file or directory"] == said


def test_the_new_calls_for_mounting_do_not_exist(run_probe):
    assert ["fsopen: Function not implemented"] == lines_of(run_probe("fsopen"))


# ---- what others pay ----


def test_an_init_costs_a_call_for_each_mount(glass, probe_image):
    enclave = glass.instance.run_image(probe_image("mount", "proc", "/proc", "insmod", "/init"))
    assert 0 == enclave.wait(timeout=PATIENCE)
    enclave.console.close()

    assert {"mount": 1} == glass.calls()


def test_others_are_not_served_the_calls_of_an_init(run_enclave):
    enclave = run_enclave(
        "sh", "-c", "mount -t tmpfs none /tmp; mount -t devtmpfs none /tmp; exit 3"
    )

    assert 3 == enclave.wait(timeout=PATIENCE)
    assert b"nitrosim" not in enclave.console.read_all(timeout=PATIENCE)
