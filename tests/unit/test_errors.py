"""The tree of errors: what catches what, and the codes that programs rely on."""

import pytest

from nitrosim.errors import (
    EnclaveError,
    EnclaveTimeoutError,
    HostNotSupportedError,
    InstanceError,
    NitroSimError,
    Requirement,
    one_line,
)
from nitrosim.hypervisor.client import _error


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (NitroSimError, "NITROSIM"),
        (InstanceError, "INSTANCE"),
        (EnclaveError, "ENCLAVE"),
        (EnclaveTimeoutError, "TIMEOUT"),
    ],
)
def test_every_error_has_a_code_of_its_own_unless_one_is_given(kind, code):
    assert (code, "what failed") == (kind("what failed").code, str(kind("what failed")))
    assert "OTHER" == kind("what failed", code="OTHER").code
    assert code == kind.code


def test_every_error_is_one_of_nitrosim():
    for kind in (InstanceError, EnclaveError, EnclaveTimeoutError, HostNotSupportedError):
        assert issubclass(kind, NitroSimError)


def test_a_timeout_is_an_enclaves_and_a_builtin_one():
    assert issubclass(EnclaveTimeoutError, EnclaveError)
    assert issubclass(EnclaveTimeoutError, TimeoutError)


def test_a_host_that_lacks_something_is_told_all_of_it_and_what_to_do():
    missing = [
        Requirement("userns", "they are forbidden", "sysctl -w x=0"),
        Requirement("launcher", "it was not built", "apt-get install gcc"),
    ]
    error = HostNotSupportedError(missing)

    assert "HOST" == error.code
    assert tuple(missing) == error.missing
    assert [
        "this machine cannot run enclaves:",
        "userns: they are forbidden. Fix: sysctl -w x=0",
        "launcher: it was not built. Fix: apt-get install gcc",
    ] == str(error).splitlines()


def test_requirements_are_equal_by_what_they_say():
    one, same, other = (Requirement("a", "b", fix) for fix in ("c", "c", "d"))

    assert one == same
    assert one != other
    assert one != ("a", "b", "c")
    assert {one, other} == {one, same, other}
    assert "Requirement(name='a', found='b', fix='c')" == repr(one)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("TIMEOUT", EnclaveTimeoutError),
        ("ENCLAVE_START", EnclaveError),
        ("ENCLAVE_ENDED", EnclaveError),
        ("ENCLAVE_CID", EnclaveError),
        ("NO_SUCH_ENCLAVE", EnclaveError),
        ("CONNECTION_RESET", EnclaveError),
        ("PORT_IN_USE", InstanceError),
        ("PROTOCOL", InstanceError),
    ],
)
def test_what_the_hypervisor_refuses_is_the_error_of_who_is_at_fault(code, kind):
    error = _error(code, "what failed")

    assert (kind, code, "what failed") == (type(error), error.code, str(error))


@pytest.mark.parametrize("text", ["", "as it is", "\x1b[2J\n", "ü" * 300, "\0" * 300, "\ud800"])
def test_a_strangers_text_becomes_one_bounded_line_and_stays_so(text):
    line = one_line(text)

    assert line.isprintable()
    assert len(line) <= 240
    assert line == one_line(line)
