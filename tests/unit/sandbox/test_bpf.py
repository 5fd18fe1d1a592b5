"""The filter, run by an interpreter of its own: what becomes of every call, on both machines."""

import dataclasses
import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrosim.sandbox.bpf import filter_program, supported_machine
from nitrosim.sandbox.calls import CALLS, HOST_ROOT_CALLS, OWN_INIT_CALLS, calls_of_enclave

ALLOW, NOTIFY = "allow", "notify"
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
I386, ARM, RISCV64 = 0x40000003, 0x40000028, 0xC00000F3
SOCKET = {"x86_64": 41, "aarch64": 198}
SOCKETPAIR = {"x86_64": 53, "aarch64": 199}
AF_VSOCK = 40
X32 = 0x40000000
# An array in the launcher has room for this many.
LAUNCHER_ROOM = 512

machines = st.sampled_from(sorted(ARCHITECTURES))
u64 = st.integers(0, 2**64 - 1)
# The interesting values of arguments, now and then with something in the upper half.
words = st.sampled_from(
    [0, 1, 2, 38, 39, 40, 0x7B9, 0xC0200A00, 0xC0100A00, 2**31, 2**32 - 1]
) | st.integers(0, 2**32 - 1)
arguments = st.tuples(
    *[st.builds(lambda low, high: high << 32 | low, words, st.just(0) | words)] * 6
)


@dataclasses.dataclass
class SystemCall:
    """``struct seccomp_data``."""

    number: int
    architecture: int
    arguments: tuple[int, ...]

    def pack(self):
        return struct.pack("=iIQ6Q", _signed(self.number), self.architecture, 0, *self.arguments)


def _signed(number):
    return number - 2**32 if number >= 2**31 else number


def run(program, data):
    """Interpret classic BPF as seccomp restricts it; return the 32-bit verdict."""
    instructions = list(struct.iter_unpack("=HBBI", program))
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, constant = instructions[at]
        at += 1
        if code == 0x20:  # load a word
            assert constant % 4 == 0
            (accumulator,) = struct.unpack_from("=I", data, constant)
        elif code == 0x15:  # jump if equal
            at += if_true if accumulator == constant else if_false
        elif code == 0x35:  # jump if greater or equal
            at += if_true if accumulator >= constant else if_false
        elif code == 0x06:  # return
            return constant
        else:
            pytest.fail(f"instruction {at - 1} has the unknown code {code:#x}")


def verdict(machine, number, *args, architecture=None, own_init=False):
    """Return what becomes of a call: ALLOW, NOTIFY or an error number.

    `own_init`: under the filter for the init of an image.
    """
    programs = OWN_INIT_PROGRAMS if own_init else PROGRAMS
    return verdict_of(programs, machine, number, *args, architecture=architecture)


def verdict_of(programs, machine, number, *args, architecture=None):
    """Return what becomes of a call under the filter of a machine."""
    call = SystemCall(
        number,
        ARCHITECTURES[machine] if architecture is None else architecture,
        (*args, *[0] * (6 - len(args))),
    )
    returned = run(programs[machine], call.pack())
    if returned == 0x7FFF0000:
        return ALLOW
    if returned == 0x7FC00000:
        return NOTIFY
    assert returned >> 16 == 5, f"verdict {returned:#x}"
    return returned & 0xFFFF


PROGRAMS = {machine: filter_program(machine) for machine in ARCHITECTURES}
OWN_INIT_PROGRAMS = {
    machine: filter_program(machine, (*CALLS, *OWN_INIT_CALLS)) for machine in ARCHITECTURES
}
HOST_ROOT_PROGRAMS = {
    machine: filter_program(machine, calls_of_enclave(own_init=False, host_root=True))
    for machine in ARCHITECTURES
}


def expected_of(line):
    # An error of 0 is success.
    return NOTIFY if line.is_handed_over else line.error


def matching(line):
    """Return arguments that fulfil every condition of a line."""
    args = [0] * 6
    for condition in line.when:
        args[condition.index] = condition.values[0] if condition.values else 0x1000
    return args


def fulfils(condition, args):
    if condition.values:
        return args[condition.index] & 0xFFFFFFFF in condition.values
    return args[condition.index] != 0


def by_the_table(machine, number, args, *, own_init=False):
    for line in (*CALLS, *OWN_INIT_CALLS) if own_init else CALLS:
        if line.numbers[machine] == number and all(fulfils(c, args) for c in line.when):
            return expected_of(line)
    return ALLOW


def name_of(line):
    return f"{line.name} {line.subject}"


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("line", CALLS, ids=name_of)
def test_every_line_of_the_table_is_caught(machine, line):
    assert expected_of(line) == verdict(machine, line.numbers[machine], *matching(line))


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize(
    ("line", "condition"),
    [pytest.param(line, c, id=f"{name_of(line)} {c.index}") for line in CALLS for c in line.when],
)
def test_a_call_that_misses_one_condition_runs_natively(machine, line, condition):
    args = matching(line)
    # A domain, level or option that no line names; for a pointer, the null pointer.
    args[condition.index] = 7777 if condition.values else 0

    assert ALLOW == verdict(machine, line.numbers[machine], *args)


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize(
    ("line", "condition", "value"),
    [
        pytest.param(line, c, value, id=f"{name_of(line)} {c.index}={value}")
        for line in CALLS
        for c in line.when
        for value in c.values
    ],
)
def test_every_value_of_a_condition_is_caught_whatever_the_upper_half(
    machine, line, condition, value
):
    args = matching(line)
    for upper in (0, 1, 0xFFFFFFFF):
        args[condition.index] = upper << 32 | value
        assert expected_of(line) == verdict(machine, line.numbers[machine], *args)


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("pointer", [1, 1 << 32, 0xFFFFFFFF00000000])
def test_a_name_buffer_is_a_pointer_of_64_bits(machine, pointer):
    (line,) = (line for line in CALLS if line.name == "recvfrom")

    assert NOTIFY == verdict(machine, line.numbers[machine], 3, 0, 0, 0, pointer)
    assert ALLOW == verdict(machine, line.numbers[machine], 3, 0, 0, 0, 0)


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_calls_outside_the_table_run_natively(machine):
    listed = {line.numbers[machine] for line in CALLS}
    for number in set(range(1024)) - listed:
        for word in (0, 1, AF_VSOCK, 0x7B9, 0xC0200A00):
            assert ALLOW == verdict(machine, number, *[word] * 6)


@given(
    machine=machines,
    number=st.integers(0, 512) | st.integers(0, X32 - 1),
    args=arguments,
    own_init=st.booleans(),
)
def test_the_verdict_is_that_of_the_table(machine, number, args, own_init):
    wanted = by_the_table(machine, number, args, own_init=own_init)

    assert wanted == verdict(machine, number, *args, own_init=own_init)


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_calls_of_an_init_are_answered_to_the_init_of_an_image_and_to_nobody_else(machine):
    numbers = {line.name: line.numbers[machine] for line in OWN_INIT_CALLS}

    assert {"mount": NOTIFY, "init_module": 0, "finit_module": 0, "fsopen": errno.ENOSYS} == {
        name: verdict(machine, number, own_init=True) for name, number in numbers.items()
    }
    assert {ALLOW} == {verdict(machine, number) for number in numbers.values()}


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_mounting_is_asked_for_where_root_of_the_machine_has_started_an_enclave(machine):
    numbers = {line.name: line.numbers[machine] for line in HOST_ROOT_CALLS}

    assert {"mount": NOTIFY, "fsopen": errno.ENOSYS} == {
        name: verdict_of(HOST_ROOT_PROGRAMS, machine, number) for name, number in numbers.items()
    }
    assert filter_program(machine, CALLS) == filter_program(
        machine, calls_of_enclave(own_init=False, host_root=False)
    )


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("line", CALLS, ids=name_of)
def test_the_init_of_an_image_is_answered_what_everybody_is(machine, line):
    number, args = line.numbers[machine], matching(line)

    assert verdict(machine, number, *args) == verdict(machine, number, *args, own_init=True)


@given(machine=machines, line=st.sampled_from(CALLS), args=arguments)
def test_the_verdict_on_a_listed_call_is_that_of_the_table(machine, line, args):
    number = line.numbers[machine]

    assert by_the_table(machine, number, args) == verdict(machine, number, *args)


@given(machine=machines, upper=st.integers(0, 2**32 - 1), others=st.tuples(*[u64] * 5))
def test_no_vsock_socket_reaches_the_kernel(machine, upper, others):
    domain = upper << 32 | AF_VSOCK

    assert NOTIFY == verdict(machine, SOCKET[machine], domain, *others)
    assert errno.EOPNOTSUPP == verdict(machine, SOCKETPAIR[machine], domain, *others)


@given(machine=machines, domain=u64, others=st.tuples(*[u64] * 5))
def test_a_socket_of_another_family_is_the_kernels(machine, domain, others):
    wanted = NOTIFY if domain & 0xFFFFFFFF == AF_VSOCK else ALLOW

    assert wanted == verdict(machine, SOCKET[machine], domain, *others)


@given(
    machine=machines,
    architecture=st.sampled_from([I386, ARM, RISCV64, 0])
    | st.sampled_from(sorted(ARCHITECTURES.values()))
    | st.integers(0, 2**32 - 1),
    number=st.integers(0, 2**32 - 1),
    args=arguments,
)
def test_calls_of_another_architecture_do_not_exist(machine, architecture, number, args):
    if architecture == ARCHITECTURES[machine]:
        architecture ^= 1
    assert errno.ENOSYS == verdict(machine, number, *args, architecture=architecture)


@given(number=st.integers(X32, 2**32 - 1), args=arguments)
def test_calls_by_the_x32_numbering_do_not_exist(number, args):
    assert errno.ENOSYS == verdict("x86_64", number, *args)


@pytest.mark.parametrize(
    "programs",
    [PROGRAMS, OWN_INIT_PROGRAMS, HOST_ROOT_PROGRAMS],
    ids=["all", "own init", "host root"],
)
@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_program_fits_the_launcher_and_ends_in_a_return(machine, programs):
    instructions = list(struct.iter_unpack("=HBBI", programs[machine]))

    assert len(instructions) <= LAUNCHER_ROOM
    assert instructions[-1][0] == 0x06
    for at, (code, if_true, if_false, _constant) in enumerate(instructions):
        if code in (0x15, 0x35):
            assert at + 1 + max(if_true, if_false) < len(instructions)


def test_only_machines_with_a_table_are_supported():
    assert [True, True, False, False] == [
        supported_machine(name) for name in ("x86_64", "aarch64", "riscv64", "i686")
    ]
    with pytest.raises(KeyError):
        filter_program("riscv64")


def test_the_filter_is_for_this_machine_by_default(monkeypatch):
    class Uname:
        machine = "aarch64"

    monkeypatch.setattr("nitrosim.sandbox.bpf.os.uname", Uname)

    assert filter_program() == PROGRAMS["aarch64"]
    assert supported_machine()
