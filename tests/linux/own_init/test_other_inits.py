"""Programs of others as the init of an image or for it: busybox, tini, mount of util-linux."""

import os

import own_init_images
import pytest
from own_init_images import file, folder, link, with_libraries

from nitrosim.backends.eif import image_from_file

pytestmark = [
    pytest.mark.needs("userns"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86_64: so are the images"),
]

PATIENCE = 20

# Of the kind that is found in the ramdisks of many images.
SCRIPT = b"""\
#!/bin/sh
set -e
mkdir -p /proc /sys /dev /dev/pts /dev/shm /run /tmp /sys/fs/cgroup
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=0755 run /run
exec </dev/console >/dev/console 2>&1
insmod /nsm.ko
echo "pid $$ args $* MODE $MODE"
cat /proc/cmdline
ps > /run/processes
grep -c '[0-9]' < /run/processes
echo ended > /run/state
cat /run/state
reboot -f
"""

SWITCHING = b"""\
#!/bin/sh
mount -t tmpfs root /newroot
mkdir /newroot/dev /newroot/proc /newroot/sys
for place in dev proc sys; do mount --move /$place /newroot/$place; done
for place in bin lib lib64 usr; do
    [ -d /$place ] && mkdir /newroot/$place && mount --bind /$place /newroot/$place
done
cd /newroot
mount --move . /
exec chroot . /bin/sh -c '
    echo "second $$"
    mount -t proc proc /proc && mount -t devtmpfs dev /dev && ls /dev
    exit 6'
"""

INITTAB = b"""\
::sysinit:/bin/mount -t proc proc /proc
::once:/start
::shutdown:/bin/echo going down
"""
START = b"""\
#!/bin/sh
echo started by $PPID
sh -c 'sleep 0 & exit'
kill -USR2 1
"""


@pytest.fixture
def run(instance, keep_enclave, tmp_path):
    """Start an enclave from the entries of its ramdisk."""

    def run(*entries, command_line="console=ttyS0"):
        path = own_init_images.write_image(
            tmp_path / "own.eif", *entries, command_line=command_line
        )
        return keep_enclave(instance.run_image(image_from_file(path)))

    return run


@pytest.fixture(scope="session")
def busybox():
    return own_init_images.busybox()


def lines_of(enclave):
    return enclave.console.read_all(timeout=PATIENCE).decode().splitlines()


@pytest.mark.needs("busybox")
def test_a_shell_script_prepares_the_machine_and_reboots_it(run, busybox):
    line = "console=ttyS0 nomodules MODE=fast -- last"
    enclave = run(*busybox, file("init", SCRIPT, 0o755), file("nsm.ko", b"x"), command_line=line)

    # The shell and ps.
    assert ["pid 1 args nomodules last MODE fast", line, "2", "ended"] == lines_of(enclave)
    assert 0 == enclave.wait(timeout=PATIENCE)


@pytest.mark.needs("busybox")
def test_an_init_may_switch_to_another_root_directory(run, busybox):
    enclave = run(*busybox, folder("newroot"), file("init", SWITCHING, 0o755))

    said = lines_of(enclave)
    assert ["second 1"] == said[:1]
    assert {"console", "nsm", "vsock", "pts"} <= {*" ".join(said[1:]).split()}
    assert 6 == enclave.wait(timeout=PATIENCE)


@pytest.mark.needs("busybox")
def test_the_init_of_busybox_runs_and_powers_off(run, busybox):
    enclave = run(
        *busybox,
        *(link("init", "bin/busybox"), folder("etc"), folder("proc")),
        *(file("etc/inittab", INITTAB), file("start", START, 0o755)),
    )

    said = [line for line in lines_of(enclave) if line]
    assert ["started by 1", "going down", "Requesting system poweroff"] == [*said[:2], said[-1]]
    assert 0 == enclave.wait(timeout=PATIENCE)


@pytest.mark.needs("tini", "busybox")
def test_tini_passes_its_arguments_on_and_reaps(run, busybox):
    enclave = run(
        *busybox,
        *with_libraries("tini"),
        file("status", b"sleep 0 & exit 4"),
        command_line="console=ttyS0 rdinit=/bin/tini -- -v -- /bin/sh /status",
    )

    assert 4 == enclave.wait(timeout=PATIENCE), lines_of(enclave)


@pytest.mark.needs("busybox", "mount")
def test_mount_of_util_linux_mounts_what_it_is_told(run, busybox):
    script = (
        b"#!/bin/sh\n/bin/mount -t proc proc /proc && /bin/mount -t devtmpfs d /dev && echo both\n"
    )
    entries = [entry for entry in busybox if entry.name != b"bin/mount"]
    enclave = run(*entries, *with_libraries("mount"), folder("proc"), file("init", script, 0o755))

    assert ["both"] == lines_of(enclave)
