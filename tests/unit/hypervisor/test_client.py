"""Connecting to a hypervisor, without one."""

import socket
import subprocess
import sys

import pytest

from nitrosim.errors import InstanceError
from nitrosim.hypervisor.client import connect
from nitrosim.places import Places


@pytest.fixture
def places(tmp_path):
    return Places("test", tmp_path / "state", tmp_path)


@pytest.fixture
def listener(places):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.bind(str(places.runtime / "control.sock"))
        yield sock


def test_nobody_there_is_no_connection(places):
    assert connect(places) is None


@pytest.mark.usefixtures("listener")
def test_a_dead_socket_is_no_connection(places):
    assert connect(places) is None


def test_a_socket_of_this_user_is_used(places, listener):
    listener.listen()

    connection = connect(places)

    assert connection is not None
    connection.close()


@pytest.mark.needs("other-user")
def test_a_socket_of_somebody_else_is_refused(places, listener):
    """Whoever made the directory below /tmp first must not play the hypervisor."""
    nobody = 65534
    # The credentials of a listener are those of the process that called listen.
    listen = f"import os, socket; os.setuid({nobody}); socket.socket(fileno=0).listen()"
    subprocess.run([sys.executable, "-c", listen], stdin=listener, check=True)

    with pytest.raises(InstanceError, match=f"found one of user {nobody}") as caught:
        connect(places)

    assert "INSTANCE_DIRECTORY" == caught.value.code
