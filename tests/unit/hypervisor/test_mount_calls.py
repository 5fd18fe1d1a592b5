"""The call mount, answered to this process: what is mounted on this machine is there already."""

import ctypes
import dataclasses
import errno
import os
import socket

import pytest

from nitrosim.hypervisor.answers import NATIVE, SUCCESS, Fail
from nitrosim.hypervisor.mount_calls import MountCalls
from nitrosim.hypervisor.notify import Listener, Notification
from nitrosim.hypervisor.programs import Program
from nitrosim.hypervisor.sockets import Side
from nitrosim.hypervisor.tracee import BadAddressError

MS_NOSUID, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC = 0x2, 0x20, 0x1000, 0x2000, 0x4000
MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20
MAGIC = 0xC0ED0000
REFUSED = Fail(errno.EPERM)


@dataclasses.dataclass
class Caller:
    """This process, as the init of an image, or another program, that makes mount calls."""

    own_init: bool = True
    remarks: list[str] = dataclasses.field(default_factory=list)
    of_host_root: bool = True

    def mount(self, kind, target, flags=0):
        """Return the answer to mount("x", target, kind, flags, NULL); None is a null pointer."""
        texts = [
            None if text is None else ctypes.create_string_buffer(text) for text in (kind, target)
        ]
        kind_at, target_at = (0 if text is None else ctypes.addressof(text) for text in texts)
        call = Notification(1, os.getpid(), 165, (0, target_at, kind_at, flags, 0, 0))
        side = Side(16, is_parent=False)
        with socket.socket() as listener:
            program = Program(
                Listener(listener.fileno(), killable=True),
                side,
                None,
                self.remarks.append,
                own_init=self.own_init,
            )
            return MountCalls(of_host_root=self.of_host_root).mount(program, call)


@pytest.fixture
def caller(monkeypatch):
    """Give a process that may mount, whoever runs the tests."""
    monkeypatch.setattr("nitrosim.hypervisor.mount_calls.may_mount", lambda _thread: True)
    return Caller()


@pytest.mark.parametrize(
    ("kind", "target"), [(b"proc", b"/proc"), (b"sysfs", b"/sys"), (b"devpts", b"/dev/pts")]
)
def test_what_is_mounted_there_already_is_a_success(caller, kind, target):
    if not os.path.ismount(target):
        pytest.skip(f"needs {os.fsdecode(target)}")

    assert SUCCESS == caller.mount(kind, target, MS_NOSUID)
    assert SUCCESS == caller.mount(kind, target + b"/./", MAGIC)
    assert [] == caller.remarks


def test_a_directory_in_a_file_system_is_not_the_file_system(caller):
    assert REFUSED == caller.mount(b"proc", b"/proc/sys")
    assert REFUSED == caller.mount(b"sysfs", b"/proc")


def test_the_place_is_where_links_and_the_working_directory_lead(caller, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to("/proc")
    assert SUCCESS == caller.mount(b"proc", os.fsencode(tmp_path / "link"))

    monkeypatch.chdir("/")
    assert SUCCESS == caller.mount(b"proc", b"proc")
    assert SUCCESS == caller.mount(b"proc", b"./proc/sys/..")


def test_a_path_that_leads_out_of_the_working_directory_is_left_to_the_kernel(
    caller, tmp_path, monkeypatch
):
    (tmp_path / "link").symlink_to("/proc")
    monkeypatch.chdir(tmp_path)

    assert NATIVE == caller.mount(b"proc", b"link")
    assert NATIVE == caller.mount(b"proc", b"../../proc")


@pytest.mark.parametrize("kind", [b"devtmpfs", b"sysfs", b"proc"])
def test_another_place_is_refused_and_the_console_says_why(caller, tmp_path, kind):
    place = os.fsencode(tmp_path)

    assert REFUSED == caller.mount(kind, place)
    (remark,) = caller.remarks
    assert remark.startswith(f"cannot mount {kind.decode()} at {tmp_path}: it is mounted at /")


def test_a_name_in_a_remark_cannot_take_over_the_terminal(caller, tmp_path):
    place = tmp_path / "\033[2J\n"
    place.mkdir()

    caller.mount(b"devtmpfs", os.fsencode(place))

    assert "/\\x1b[2J\\n: " in caller.remarks[0]


def test_a_file_named_nsm_does_not_make_a_devtmpfs(caller, tmp_path):
    (tmp_path / "nsm").touch()

    assert REFUSED == caller.mount(b"devtmpfs", os.fsencode(tmp_path))


def test_a_second_proc_is_the_kernels_where_it_does_no_harm(caller, tmp_path):
    caller.of_host_root = False

    assert NATIVE == caller.mount(b"proc", os.fsencode(tmp_path))
    assert NATIVE == caller.mount(b"devpts", os.fsencode(tmp_path))
    assert [] == caller.remarks


@pytest.mark.parametrize("kind", [b"cgroup", b"cgroup2"])
def test_a_cgroup_hierarchy_is_a_success_anywhere_that_is_a_directory(caller, tmp_path, kind):
    (tmp_path / "file").touch()

    assert SUCCESS == caller.mount(kind, os.fsencode(tmp_path))
    assert NATIVE == caller.mount(kind, os.fsencode(tmp_path / "missing"))
    assert NATIVE == caller.mount(kind, os.fsencode(tmp_path / "file"))


def test_another_program_of_an_enclave_is_kept_from_a_second_proc_and_nothing_else(
    caller, tmp_path
):
    caller.own_init = False
    place = os.fsencode(tmp_path)

    assert SUCCESS == caller.mount(b"proc", b"/proc")
    assert REFUSED == caller.mount(b"proc", place)
    assert 1 == len(caller.remarks)
    for kind in (b"devtmpfs", b"sysfs", b"devpts", b"cgroup2", b"tmpfs"):
        assert NATIVE == caller.mount(kind, place)


@pytest.mark.parametrize("kind", [b"tmpfs", b"overlay", b"", b"proc2", b"p" * 5000, None])
def test_other_types_are_the_kernels(caller, kind):
    assert NATIVE == caller.mount(kind, b"/proc")


@pytest.mark.parametrize(
    "flag",
    [MS_REMOUNT, MS_BIND, MS_MOVE, MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED],
    ids=hex,
)
def test_what_mounts_nothing_anew_is_the_kernels(caller, flag):
    for flags in (flag, flag | MS_REC | MS_NOSUID):
        assert NATIVE == caller.mount(b"proc", b"/proc", flags)


def test_of_flags_with_the_old_magic_number_the_lower_half_counts(caller):
    assert NATIVE == caller.mount(b"proc", b"/proc", MAGIC | MS_BIND)
    # These bits are part of the number.
    assert SUCCESS == caller.mount(b"proc", b"/proc", MAGIC | MS_PRIVATE)


def test_who_may_not_mount_is_told_so_by_the_kernel(caller, monkeypatch):
    monkeypatch.setattr("nitrosim.hypervisor.mount_calls.may_mount", lambda _thread: False)

    assert NATIVE == caller.mount(b"proc", b"/proc")


def test_a_target_that_cannot_be_read_is_a_bad_address(caller):
    with pytest.raises(BadAddressError):
        caller.mount(b"proc", None)


def test_a_target_of_more_than_a_page_is_the_kernels(caller):
    assert NATIVE == caller.mount(b"proc", b"/proc" + b"/" * 5000)
