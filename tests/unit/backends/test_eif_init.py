"""Whether an init can be executed: what a kernel looks at, in a root directory of an image."""

import struct

import pytest

from nitrosim.backends.eif_init import resolved, why_not

X86_64, AARCH64, I386 = 62, 183, 3


def program(machine=X86_64, *, loader=None, bits=2):
    """Return the headers of an ELF program, with a loader if it has one."""
    text = b"" if loader is None else loader + b"\0"
    count = 0 if loader is None else 2
    identity = b"\x7fELF" + bytes([bits, 1, 1]) + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, count, 0, 0, 0)
    headers = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 0, 0, 0)
    headers += struct.pack("<IIQQQQQQ", 3, 4, 64 + 2 * 56, 0, 0, len(text), len(text), 1)
    return identity + header + (headers + text if count else b"")


@pytest.fixture
def tree(tmp_path):
    """Return a function that makes files of a root directory, and the directory."""

    class Tree:
        root = tmp_path / "root"

        def file(self, name, content, mode=0o755):
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(mode)
            return path

        def link(self, name, target):
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)

        def why_not(self, name="/init", machine="x86_64"):
            return why_not(self.root, name, machine=machine)

    tmp_path.joinpath("root").mkdir()
    return Tree()


@pytest.mark.parametrize("mode", [0o755, 0o111, 0o100, 0o001])
def test_a_static_program_can_be_executed(tree, mode):
    path = tree.file("init", program(), mode)

    assert "" == tree.why_not()
    assert mode == path.stat().st_mode & 0o777


@pytest.mark.parametrize(
    ("machine", "content"),
    [
        ("x86_64", program(AARCH64)),
        ("aarch64", program(X86_64)),
        ("x86_64", program(I386, bits=1)),
        ("x86_64", program()[:40]),
        ("x86_64", b"echo no interpreter\n"),
        ("x86_64", b"#!\n"),
        ("x86_64", b""),
    ],
)
def test_what_is_no_program_for_this_machine_cannot(tree, machine, content):
    tree.file("init", content)

    assert f"/init is no program for {machine} and no script (#!)" == tree.why_not(machine=machine)


def test_a_program_for_this_machine_can_wherever_it_is(tree):
    tree.file("init", program(AARCH64))

    assert "" == tree.why_not(machine="aarch64")


def test_what_is_missing_or_no_file_or_not_executable_cannot(tree):
    assert "/init does not exist" == tree.why_not()
    tree.file("init", program(), 0o644)
    assert "/init is not executable (-rw-r--r--)" == tree.why_not()
    (tree.root / "dir").mkdir(mode=0o755)
    assert "/dir is drwxr-xr-x, not a regular file" == tree.why_not("/dir")


def test_a_program_needs_its_loader(tree):
    tree.file("init", program(loader=b"/lib64/ld.so"))
    assert "/init needs its loader, and /lib64/ld.so does not exist" == tree.why_not()

    tree.file("lib64/ld.so", program())
    assert "" == tree.why_not()


def test_a_script_needs_its_interpreter_and_that_its_loader(tree):
    tree.file("init", b"#! /bin/sh -e\nexit\n")
    assert "/init needs its interpreter, and /bin/sh does not exist" == tree.why_not()

    tree.file("bin/sh", program(loader=b"/lib/ld.so"))
    assert (
        "/init needs its interpreter, and /bin/sh needs its loader, and /lib/ld.so does not exist"
    ) == tree.why_not()
    tree.file("lib/ld.so", program())
    assert "" == tree.why_not()


def test_scripts_that_interpret_each_other_cannot(tree):
    tree.file("init", b"#!/init\n")

    assert tree.why_not().endswith("and that is one more script")


def test_links_stay_in_the_root_directory(tree, tmp_path):
    tree.file("usr/bin/busybox", program())
    tree.link("init", "/bin/busybox")
    tree.link("bin", "../../usr/bin")

    assert "" == tree.why_not()
    (tmp_path / "outside").touch()
    assert resolved(tree.root, "/../../outside") is None


@pytest.mark.parametrize("target", ["init", "/other"])
def test_links_that_lead_nowhere_are_nothing(tree, target):
    tree.link("init", target)
    tree.link("other", "init")

    assert "/init does not exist" == tree.why_not()


def test_a_name_of_a_program_is_shown_without_control_characters(tree):
    assert "/\\x1b[2J does not exist" == tree.why_not("/\033[2J")
