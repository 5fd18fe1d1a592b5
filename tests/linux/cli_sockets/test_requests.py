"""What enclaves answer at the sockets where nitro-cli finds them, and whom."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from nitrosim.backends.command import image_from_command

pytestmark = pytest.mark.needs("userns")

PATIENCE = 20
NOBODY = 65534
KILLED = 128 + signal.SIGKILL
ALGORITHM = b"Sha512_48 { .. }"
SILENT = 64
LONGEST_REQUEST = 4096


# ---- answers ----


def test_an_enclave_says_its_id_and_name(ask, boot, sleep):
    enclave = boot(sleep, name="nähe-🐢")

    assert ([b"ok", enclave.enclave_id.encode(), "nähe-🐢".encode()], None) == ask(enclave, b"name")


def test_an_enclave_is_described(described, boot, sleep):
    enclave = boot(sleep, name="nähe-🐢", cpu_ids=[7, 3], memory_mib=65)

    assert [
        ("EnclaveName", "nähe-🐢"),
        ("EnclaveID", enclave.enclave_id),
        ("ProcessID", enclave.pid),
        ("EnclaveCID", enclave.cid),
        ("NumberOfCPUs", 2),
        ("CPUIDs", [7, 3]),
        ("MemoryMiB", 66),
        ("State", "RUNNING"),
        ("Flags", "NONE"),
        (
            "Measurements",
            {"HashAlgorithm": ALGORITHM.decode()}
            | {f"PCR{n}": sleep.pcrs[n].hex() for n in range(3)},
        ),
    ] == list(json.loads(described(enclave)).items())
    assert '"nähe-🐢"' in described(enclave)


def test_who_starts_an_enclave_is_told_the_same(instance, sockets, sleep, described):
    with instance._asking() as client:
        client.request("reserve", cores=[(1, 5)], cpu_count=2)
        answer, console = client.run(
            sleep,
            name="told",
            memory_mib=64,
            memory_pool_mib=64,
            debug_mode=True,
            boot=True,
            sockets=str(sockets),
        )
        os.close(console)
        facts = list(answer["run_enclave"].items())

        found = json.loads(described(instance.enclave("told")))
        assert facts == list(found.items())[: len(facts)]


def test_debug_mode_shows_the_measurements_that_documents_do_not(described, boot, sleep):
    enclave = boot(sleep, debug_mode=True)
    facts = json.loads(described(enclave))

    assert "DEBUG_MODE" == facts["Flags"]
    assert sleep.pcrs[0].hex() == facts["Measurements"]["PCR0"]
    assert bytes(48) == enclave.pcrs[0]


METADATA = '{\n  "ImageName": "é",\n  "Metadata": {\n    "Number": 1.50e400\n  }\n}'


def test_metadata_are_shown_as_they_stand_in_the_image(described, boot, sleep):
    enclave = boot(sleep._replace(metadata=METADATA))

    assert described(enclave, b"metadata").endswith(METADATA.removeprefix("{"))
    assert "ImageName" not in described(enclave)


def test_much_metadata_comes_in_a_file(described, ask, boot, sleep):
    much = METADATA.replace("é", "é" * 200_000)
    enclave = boot(sleep._replace(metadata=much))

    assert described(enclave, b"metadata").endswith(much.removeprefix("{"))
    _fields, fd = ask(enclave, b"describe", b"", ALGORITHM)
    assert fd is None


def test_an_enclave_is_terminated_before_that_is_said(ask, path_of, instance, enclave):
    expected = [b"ok", enclave.enclave_id.encode(), b"sleep"], None

    assert expected == ask(enclave, b"terminate")
    assert not path_of(enclave).exists()
    assert KILLED == enclave.wait(timeout=0)
    assert [] == instance.enclaves()


def answer_of(sock):
    """Return the answer, b"" if there is none; an unread request resets the connection."""
    try:
        return sock.recv(1000)
    except ConnectionResetError:
        return b""


def test_everybody_who_ends_an_enclave_at_the_same_time_is_answered(dial, ask, enclave):
    expected = b"\0".join([b"ok", enclave.enclave_id.encode(), b"sleep"])
    waiting = [dial(enclave) for _ in range(5)]
    ask(enclave, b"name")  # by now all have been accepted
    for sock in waiting:
        with contextlib.suppress(BrokenPipeError):  # it has ended already
            sock.send(b"terminate")
    first, *others = [answer_of(sock) for sock in waiting]

    assert expected == first
    # Whose request comes after the end finds nobody.
    assert {expected, b""} >= set(others)


def test_who_terminates_may_leave_before_the_end(dial, enclave):
    with dial(enclave) as sock:
        sock.send(b"terminate")

    assert KILLED == enclave.wait(timeout=PATIENCE)


def test_who_terminates_and_will_not_ask_more_is_answered(dial, enclave):
    sock = dial(enclave)
    sock.send(b"terminate")
    sock.shutdown(socket.SHUT_WR)

    assert b"ok" == sock.recv(1000).partition(b"\0")[0]


def test_the_console_has_everything_since_the_start_and_ends_with_the_enclave(ask, boot):
    program = image_from_command(["sh", "-c", "echo before; exec sleep 600"])
    enclave = boot(program, debug_mode=True)
    enclave.console.wait_for(b"before", timeout=PATIENCE)

    for _ in range(2):
        fields, fd = ask(enclave, b"console")
        assert [b"ok", b"%d" % enclave.cid] == fields
        with os.fdopen(fd, "rb") as console:
            assert b"before\r\n" == console.readline()
    _fields, fd = ask(enclave, b"console")
    enclave.terminate()
    with os.fdopen(fd, "rb") as console:
        assert b"before\r\n" == console.read()


def test_there_is_no_console_outside_of_debug_mode(ask, enclave):
    fields, fd = ask(enclave, b"console")

    assert (b"NO_CONSOLE", None) == (fields[0], fd)


# ---- who may ask ----


def as_nobody(path, request):
    """Return what another user is answered at a socket."""
    program = (
        "import os, socket, sys\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "sock.connect(sys.argv[1])\n"
        "sock.send(sys.argv[2].encode())\n"
        "sys.stdout.buffer.write(sock.recv(1 << 17))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program, path, request], stdout=subprocess.PIPE, check=True
    ).stdout.split(b"\0")


@pytest.mark.needs("other-user")
def test_another_user_may_look_and_not_touch(described, path_of, enclave):
    path = path_of(enclave)

    assert [b"ok", enclave.enclave_id.encode(), b"sleep"] == as_nobody(path, "name")
    assert [b"ok", described(enclave).replace(ALGORITHM.decode(), "").encode()] == (
        as_nobody(path, "describe")
    )
    assert [
        b"NOT_OWNER",
        b"user %d may not end the enclave of %d" % (NOBODY, os.getuid()),
    ] == as_nobody(path, "terminate")
    assert "RUNNING" == json.loads(described(enclave))["State"]


# ---- requests that are none ----


@pytest.mark.parametrize(
    "packet",
    [
        b"no-such-request",
        b"\0",
        b"\0describe",
        b"NAME",
        b"name ",
        bytes(range(128, 256)),
        b"x" * (LONGEST_REQUEST + 1),
        b"describe\0\0".ljust(LONGEST_REQUEST + 1, b"x"),
        b"describe\0\0".ljust(100_000, b"x"),
    ],
    ids=lambda packet: f"{packet[:12]}-{len(packet)}",
)
def test_what_is_no_request_is_refused(dial, ask, enclave, packet):
    sock = dial(enclave)
    sock.send(packet)

    assert b"PROTOCOL" == sock.recv(1000).partition(b"\0")[0]
    assert b"" == sock.recv(1)
    assert b"ok" == ask(enclave, b"name")[0][0]


@pytest.mark.parametrize(
    ("fields", "algorithm"),
    [
        ((), ""),
        ((b"",), ""),
        ((b"", b""), ""),
        ((b"", b"a", b"more"), "a"),
        ((b"", b"\xff\xfe"), "\ufffd\ufffd"),
        ((b"", b'"\n'), '"\n'),
    ],
    ids=str,
)
def test_a_description_needs_no_more_than_its_name(ask, enclave, fields, algorithm):
    (status, text), _fd = ask(enclave, b"describe", *fields)

    assert b"ok" == status
    assert algorithm == json.loads(text)["Measurements"]["HashAlgorithm"]


@pytest.mark.parametrize("packets", [[], [b""], [b"name"], [b"describe"], [b"console"], [b"?"] * 9])
def test_who_leaves_at_once_harms_nobody(dial, ask, enclave, packets):
    for _ in range(5):
        with dial(enclave) as sock:
            for packet in packets:
                with contextlib.suppress(OSError):  # answered and closed meanwhile
                    sock.send(packet)

    assert b"ok" == ask(enclave, b"name")[0][0]


def test_a_connection_that_ends_without_a_request_is_no_request(dial, enclave):
    sock = dial(enclave)
    sock.shutdown(socket.SHUT_WR)

    assert b"" == sock.recv(1)


def test_descriptors_that_come_along_are_not_taken(dial, enclave, tmp_path):
    (tmp_path / "file").touch()
    reader, writer = os.pipe()
    sock = dial(enclave)
    socket.send_fds(sock, [b"name"], [writer])
    os.close(writer)
    assert b"ok" == sock.recv(1000).partition(b"\0")[0]

    with os.fdopen(reader, "rb") as pipe:
        assert b"" == pipe.read()


def test_who_says_nothing_holds_nobody_up(dial, ask, enclave):
    first, *others = [dial(enclave) for _ in range(SILENT + 1)]
    # The oldest has made room; the others may still ask.
    assert b"" == first.recv(1)
    for sock in others:
        sock.send(b"name")
        assert b"ok" == sock.recv(1000).partition(b"\0")[0]

    assert b"ok" == ask(enclave, b"name")[0][0]


def test_who_says_nothing_before_the_end_is_told_nothing(dial, ask, enclave):
    sock = dial(enclave)
    ask(enclave, b"name")  # by now the connection has been accepted
    enclave.terminate()

    assert b"" == sock.recv(1)
