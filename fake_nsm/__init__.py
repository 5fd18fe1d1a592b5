"""The Nitro Secure Module in pure Python, with a test PKI of its own: bytes in, bytes out.

No system call, no file, no clock and no randomness of its own: whoever builds a `FakeNsm` gives it
all of them. Documents differ from real ones only in values, and can never be taken for real: the
root is made by each user, and every name in a chain says that it is a test.
"""

from fake_nsm.errors import ErrorName, FakeNsmError, InvalidValueError, PkiError
from fake_nsm.identity import EnclaveIdentity, random_instance_id
from fake_nsm.nsm import FakeNsm, NsmOptions
from fake_nsm.pcrs import Measurements, PcrBank
from fake_nsm.pki import InstancePki
from fake_nsm.root import RootAuthority
from fake_nsm.sources import Clock, Entropy, seeded_entropy

__all__ = [
    "Clock",
    "EnclaveIdentity",
    "Entropy",
    "ErrorName",
    "FakeNsm",
    "FakeNsmError",
    "InstancePki",
    "InvalidValueError",
    "Measurements",
    "NsmOptions",
    "PcrBank",
    "PkiError",
    "RootAuthority",
    "random_instance_id",
    "seeded_entropy",
]
