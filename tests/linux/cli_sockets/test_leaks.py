"""Enclaves with sockets leave nothing in the hypervisor, whatever is asked, however they end."""

import contextlib
import itertools
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from nitrosim.backends.command import image_from_command
from nitrosim.errors import NitroSimError

pytestmark = pytest.mark.needs("userns")

PATIENCE = 20
MANY = 20


def held_by(pid):
    """Return how many descriptors of each kind and watches of directories a process has."""
    held = Counter()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        held[re.sub(r"\d+", "N", str(entry.readlink()))] += 1
        with contextlib.suppress(FileNotFoundError):
            facts = Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text("ascii")
            held["watches"] += facts.count("inotify wd")
    # Kept for the next call of a thread, up to a limit.
    del held["anon_inode:[pidfd]"], held["/proc/N/fd"]
    return held


@pytest.fixture
def left(instance, lent):
    """Do something once, then many times; return what the hypervisor has more than in between."""

    def left(do):
        do()
        assert {"cpu_ids": [], "memory_mib": 0} == lent()
        before = held_by(instance._pid)
        for _ in range(MANY):
            do()
        assert {"cpu_ids": [], "memory_mib": 0} == lent()
        return held_by(instance._pid) - before

    return left


def test_answers_leave_nothing(boot, ask, dial, sleep, left):
    image = sleep._replace(metadata='{\n  "ImageName": "%s"\n}' % ("x" * 100_000))

    def answered():
        enclave = boot(image, debug_mode=True)
        silent = dial(enclave)
        dial(enclave).close()
        for fields in ((b"name",), (b"describe", b"metadata"), (b"console",), (b"no request",)):
            _fields, fd = ask(enclave, *fields)
            if fd is not None:
                os.close(fd)
        ask(enclave, b"terminate")
        assert b"" == silent.recv(1)
        enclave.console.close()

    assert Counter() == left(answered)


def test_ends_of_any_kind_leave_nothing(boot, sleep, left, sockets, path_of):
    numbers = itertools.count()

    def ended():
        for how in ("by itself", "without its file", "without its directory"):
            directory = sockets / str(next(numbers))
            directory.mkdir()
            image = image_from_command(["true"]) if how == "by itself" else sleep
            enclave = boot(image, sockets=str(directory))
            if how != "by itself":
                (directory / path_of(enclave).name).unlink()
            if how == "without its directory":
                directory.rmdir()
            enclave.wait(timeout=PATIENCE)
            enclave.console.close()

    assert Counter() == left(ended)


def test_refusals_leave_nothing(boot, sleep, left, instance, sockets):
    def refuse(image, **fields):
        with pytest.raises(NitroSimError):
            boot(image, **fields)

    def refused():
        refuse(sleep, cpu_count=1)
        refuse(sleep, memory_mib=5000)
        refuse(sleep, cid=3)
        refuse(sleep._replace(command=("/no/such/program",)), boot=False)
        refuse(sleep._replace(environment={"LONG": "x" * 200_000}))
        refuse(sleep._replace(command=("sleep\0",)))
        refuse(sleep, sockets=str(sockets / "missing"))
        for enclave in instance.enclaves():
            enclave.wait(timeout=PATIENCE)
            enclave.console.close()
        with instance._asking() as client:
            client.request("reserve", cores=[(1, 5)], cpu_count=2)

    assert Counter() == left(refused)
