"""Ports: who may have which, how many may wait, and when one is free again."""

import json
import os
import subprocess

import pytest

from nitrosim.errors import EnclaveError, InstanceError

pytestmark = pytest.mark.needs("userns")

PORT = 5000


def test_a_closed_listener_resets_and_its_port_can_be_listened_on_anew(run_program, result):
    assert {"lost": "ECONNRESET", "closed": "ECONNRESET", "heard": "second"} == result(
        run_program("sockets", "listen_again")
    )


def test_a_port_is_free_as_soon_as_its_socket_is_closed(run_program, result):
    assert [""] == result(run_program("sockets", "forget_a_listener"))


@pytest.mark.parametrize("backlog", [0, 1, 5])
def test_as_many_connections_wait_as_the_program_allows(run_program, result, backlog):
    waiting, refused, after = result(run_program("sockets", "fill_a_backlog", backlog))

    # Linux lets one more wait than the number says.
    assert (backlog + 1, "ECONNRESET", "") == (waiting, refused, after)


def test_a_full_backlog_resets_connections_of_the_parent_too(run_program):
    enclave = run_program("sockets", "listen_without_accepting", PORT)
    enclave.console.wait_for(b"listening", timeout=20)
    waiting = [enclave.connect(PORT) for _ in range(9)]

    with pytest.raises(EnclaveError) as caught:
        enclave.connect(PORT)
    assert caught.value.code == "CONNECTION_RESET"
    for connection in waiting:
        connection.close()


def test_any_port_is_a_free_one_that_is_not_reserved(run_program, result):
    assert [50, True, True] == result(run_program("sockets", "bind_any_port"))


def test_port_zero_is_a_port(run_program, result):
    assert [0xFFFFFFFF, 0] == result(run_program("sockets", "bind_port_zero"))


def test_a_socket_bound_to_its_own_cid_is_reached(run_program, result):
    name, cid = result(run_program("sockets", "bind_own_cid"))

    assert [cid, PORT] == name


def test_reserved_ports_need_a_capability_in_an_enclave(run_program, result):
    assert [0, "", "EACCES"] == result(run_program("sockets", "bind_reserved"))


def test_reserved_ports_of_the_parent_are_for_root(run_parent):
    program = run_parent("sockets", "bind_reserved", stdout=subprocess.PIPE)
    user, as_it_is, without = json.loads(program.communicate(timeout=20)[0])

    assert os.geteuid() == user
    assert ["" if user == 0 else "EACCES", "EACCES"] == [as_it_is, without]


def test_a_port_of_the_parent_is_taken_once(instance):
    with instance.listen(9000), pytest.raises(InstanceError) as caught:
        instance.listen(9000)
    assert caught.value.code == "PORT_IN_USE"

    with instance.listen(9000) as listener:
        assert 9000 == listener.port


def test_the_parent_gets_a_free_port_when_it_names_none(instance):
    with instance.listen() as one, instance.listen() as two:
        assert one.port != two.port
        assert min(one.port, two.port) > 1023


def test_a_process_that_is_killed_in_accept_leaves_its_port(run_program, result):
    assert ["EADDRINUSE", ""] == result(run_program("sockets", "killed_in_accept"))


def test_every_connection_goes_to_one_of_the_threads_that_accept(run_program, result):
    enclave = run_program("sockets", "many_threads_accept", 8)
    enclave.console.wait_for(b"listening", timeout=20)
    connections = [enclave.connect(PORT) for _ in range(8)]
    for number, connection in enumerate(connections):
        connection.sendall(b"%d" % number)
    for connection in connections:
        assert connection.recv(5) == b"taken"
        connection.close()

    assert list("01234567") == result(enclave)
