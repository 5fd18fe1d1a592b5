"""How many calls reach the hypervisor: each costs two switches, all others run natively."""

import socket

import pytest

pytestmark = pytest.mark.needs("userns")

PORT = 5000


@pytest.fixture
def counted(glass, program_image):
    """Run a case to its end, with something to do meanwhile; return the calls by name."""

    def counted(*case, meanwhile=lambda _enclave: None):
        enclave = glass.instance.run_image(program_image("costs", *case))
        meanwhile(enclave)
        status = enclave.wait(timeout=20)
        assert status == 0, enclave.console.read_all(timeout=20)
        enclave.console.close()
        return glass.calls()

    return counted


@pytest.mark.parametrize("messages", [0, 100])
def test_a_connection_costs_two_calls_and_its_data_none(glass, counted, messages):
    with glass.instance.listen(9000) as listener:

        def echo(_enclave):
            connection, _peer = listener.accept(timeout=20)
            with connection:
                for _ in range(messages):
                    connection.sendall(connection.recv(1, socket.MSG_WAITALL))

        calls = counted("connect_and_transfer", 3, 9000, messages, meanwhile=echo)

    assert {"socket": 1, "connect": 1} == calls


@pytest.mark.parametrize("count", [1, 10])
def test_accepting_costs_one_call_for_each_connection(counted, count):
    def connect(enclave):
        for _ in range(count):
            with enclave.connect(PORT, timeout=20) as connection:
                assert connection.recv(1) == b"x"

    calls = counted("accept_many", PORT, count, meanwhile=connect)

    assert {"socket": 1, "bind": 1, "listen": 1, "accept4": count} == calls


@pytest.mark.parametrize("count", [1, 50])
def test_a_request_to_the_module_costs_one_call(counted, count):
    assert {"ioctl": count} == counted("ask_random", count)


def test_other_calls_cost_nothing(counted):
    # Python asks a socket that it is given for its name: they are ordinary ones, all the same.
    calls = counted("ordinary", 50)

    assert {} == {name: count for name, count in calls.items() if name != "getsockname"}
