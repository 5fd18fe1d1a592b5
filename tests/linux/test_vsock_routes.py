"""Who reaches whom over vsock, and under which addresses."""

import json
import socket
import subprocess

import pytest

from nitrosim.instance import Instance
from nitrosim.vsock.addresses import Address, address_in_name

pytestmark = pytest.mark.needs("userns")

PORT = 5000
ANY = 0xFFFFFFFF


def read_result(program):
    output, _errors = program.communicate(timeout=20)
    assert program.returncode == 0, output
    return json.loads(output.splitlines()[-1])


def test_a_parent_connection_reaches_the_program(run_program, result):
    enclave = run_program("sockets", "serve", PORT)
    with enclave.connect(PORT, timeout=20) as connection:
        ours = address_in_name(connection.getsockname())
        assert b"hello" == connection.recv(5, socket.MSG_WAITALL)
        connection.sendall(b"thanks")
        found = result(enclave)

    assert {
        "accepted": [3, ours.port],
        "own": [enclave.cid, PORT],
        "peer": [3, ours.port],
        "heard": "thanks",
    } == found


def test_the_program_reaches_a_listener_of_the_parent(instance, run_program, result):
    with instance.listen(9000) as listener:
        assert Address(3, 9000) == listener.address
        enclave = run_program("sockets", "dial", 3, 9000)
        connection, peer = listener.accept(timeout=20)
        with connection:
            connection.sendall(b"hello")
            assert b"thanks" == connection.recv(6, socket.MSG_WAITALL)

    found = result(enclave)
    assert (enclave.cid, peer.port) == peer
    # What connect has bound is bound to any CID, as on Linux.
    assert {"own": [ANY, peer.port], "peer": [3, 9000], "heard": "hello"} == found


def test_a_parent_program_reaches_a_program_in_an_enclave(run_program, run_parent, result):
    enclave = run_program("sockets", "serve", PORT)
    enclave.console.wait_for(b"listening", timeout=20)
    client = read_result(run_parent("sockets", "dial", enclave.cid, PORT, stdout=subprocess.PIPE))

    server = result(enclave)
    assert ["hello", [enclave.cid, PORT]] == [client["heard"], client["peer"]]
    assert ["thanks", [3, client["own"][1]]] == [server["heard"], server["accepted"]]


def test_a_program_in_an_enclave_reaches_a_parent_program(run_program, run_parent, result):
    server = run_parent("sockets", "serve", 9001, stdout=subprocess.PIPE)
    assert server.stdout.readline() == "listening\n"
    enclave = run_program("sockets", "dial", 3, 9001)
    client = result(enclave)

    found = read_result(server)
    assert [[enclave.cid, client["own"][1]], [3, 9001]] == [found["peer"], found["own"]]
    assert ["thanks", "hello"] == [found["heard"], client["heard"]]


def test_parent_programs_reach_each_other(run_parent):
    server = run_parent("sockets", "serve", 9002, stdout=subprocess.PIPE)
    assert server.stdout.readline() == "listening\n"
    client = read_result(run_parent("sockets", "dial", 3, 9002, stdout=subprocess.PIPE))

    assert [3, client["own"][1]] == read_result(server)["accepted"]


def test_a_program_reaches_itself_under_its_own_cid(run_program, result):
    enclave = run_program("sockets", "talk_to_itself")
    found = result(enclave)

    port = found["accepted"][1]
    assert {
        "heard": "to myself",
        "client": [[ANY, port], [enclave.cid, PORT]],
        "server": [[enclave.cid, PORT], [enclave.cid, port]],
        "accepted": [enclave.cid, port],
        "cid": enclave.cid,
    } == found


def test_enclaves_do_not_reach_each_other(run_program, result):
    other = run_program("sockets", "listen_without_accepting", PORT)
    other.console.wait_for(b"listening", timeout=20)

    found = result(run_program("sockets", "fail_to_dial", other.cid, PORT, 0.05))

    assert ["ETIMEDOUT", "ETIMEDOUT"] == found


def test_a_port_where_nobody_listens_resets(run_program, result):
    found = result(run_program("sockets", "fail_to_dial", 3, 9999, 5))

    assert ["ECONNRESET", "ECONNRESET"] == found


def test_two_enclaves_listen_on_the_same_port(run_program):
    for greeting, enclave in [
        (greeting, run_program("sockets", "serve", PORT, greeting)) for greeting in ("one", "two")
    ]:
        with enclave.connect(PORT, timeout=20) as connection:
            assert greeting.encode() == connection.recv(3, socket.MSG_WAITALL)


def test_an_enclave_may_have_the_cid_it_asks_for(run_program, result):
    enclave = run_program("sockets", "talk_to_itself", cid=4242)

    assert 4242 == enclave.cid == result(enclave)["cid"]


def test_two_instances_do_not_see_each_other(instance, run_program):
    with Instance() as other, other.listen(9003) as elsewhere, instance.listen(9003) as here:
        enclave = run_program("sockets", "hold_a_connection", 3, 9003, cid=77)
        twin = other.run_enclave(["sleep", "60"], cid=77)
        connection, peer = here.accept(timeout=20)
        with connection, pytest.raises(TimeoutError):
            elsewhere.accept(timeout=0)

        assert 77 == enclave.cid == twin.cid == peer.cid
        assert instance.root_certificate != other.root_certificate
        assert instance.instance_id != other.instance_id
        assert [twin.name] == [one.name for one in other.enclaves()]
