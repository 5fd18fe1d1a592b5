"""What every program here shares: the guard, the choice of a case, and its result.

A socket of family 40 that is opened outside of the simulator leads to the host of this machine.
"""

import errno
import json
import os
import struct
import sys
from fcntl import ioctl

GET_LOCAL_CID = 0x7B9
NSM_REQUEST = 0xC0200A00
ANY = 0xFFFFFFFF


def own_cid():
    """Return the CID of this machine, as /dev/vsock tells it."""
    with open("/dev/vsock", "rb") as device:  # noqa: PTH123 - pathlib is slow to import
        return struct.unpack("=I", ioctl(device, GET_LOCAL_CID, bytes(4)))[0]


def say(line):
    """Write a line that the test waits for."""
    print(line, flush=True)


def attempt(function, *arguments):
    """Return the name of the error that a call ends with, "" for none."""
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return ""


def main(cases):
    """Run the case named on the command line, with the other arguments; print what it returns."""
    if os.environ.get("NITROSIM_INSIDE") != "1":
        sys.exit("this program runs only inside the simulator")
    print(json.dumps(cases[sys.argv[1]](*sys.argv[2:])), flush=True)
