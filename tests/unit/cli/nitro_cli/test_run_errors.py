"""What is wrong with an enclave that run-enclave shall start: an error of its process, within E39.

A fake plays the hypervisor; tests/linux has the real one.
"""

from __future__ import annotations

import pytest

from nitrosim.cli.nitro_cli.codes import ErrorCode
from nitrosim.cli.nitro_cli.failure import CommandError
from nitrosim.errors import EnclaveError, InstanceError

WAITED = "Start allocating memory...\n"


def codes(errors):
    """Return the error codes in what was printed."""
    return [line[2:5] for line in errors.splitlines() if line.startswith("[ E")]


def wrapped(result, code, *, before=""):
    """Check that an error is that of the enclave's process, and return its headline."""
    status, output, errors = result
    assert (39, "", [code, "E39"]) == (status, output, codes(errors))
    assert errors.startswith(f"{before}[ {code} ] ")
    assert 'found at "' in errors
    assert 1 == errors.count("\nFailed connections: 1\n[ E39 ] ")
    return errors.removeprefix(before).partition("\n\n")[0]


def test_trap_1_image_that_is_missing_is_e19_within_e39(call, tmp_path):
    path = str(tmp_path / "missing.eif")

    assert wrapped(call(eif=path), "E19").endswith(f"\nFile: '{path}', failing operation: 'Open'.")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "E19"),
        ("---\nmemory_mib: 512\ncpu_pool: 1,x\n", "E23"),
        ("---\nmemory_mib: 512\ncpu_pool: 3-1\n", "E24"),
    ],
)
def test_pool_that_cannot_be_read_is_an_error_of_the_process(call, pool, text, code):
    if text is None:
        pool.unlink()
    else:
        pool.write_text(text)

    wrapped(call(), code)


def test_pool_that_the_allocator_refuses_is_a_matter_of_nitrosim(call, pool):
    pool.write_text("---\nmemory_mib: 512\n")
    status, output, errors = call()

    assert (125, "") == (status, output)
    assert errors.startswith(f"nitro-cli: ALLOCATOR_FILE: the allocator cannot use {pool}: ")


def test_more_cpus_than_the_pool_has_are_e22(call):
    headline = wrapped(call(cpus=("--cpu-count", "5")), "E22")

    assert (
        "[ E22 ] Insufficient CPUs available in the pool. User provided `cpu-count` is 5, which is "
        "more than the configured CPU pool size.\n"
        "You can increase the CPU pool size by editing the `cpu_count` value from "
        "'/etc/nitro_enclaves/allocator.yaml' and then enable the nitro-enclaves-allocator.service."
    ) == headline


@pytest.mark.parametrize(
    ("cpus", "shown"), [("1 1", "1"), ("1 5 5 1", "51"), ("2 2 2", "2"), ("99 99", "99")]
)
def test_cpus_named_twice_are_e20_with_nothing_between_them(call, cpus, shown):
    assert (
        "[ E20 ] Invalid CPU configuration. User provided `cpu-ids` contains same CPU(s) "
        f"(CPU(s) {shown}) multiple times."
    ) == wrapped(call(cpus=("--cpu-ids", *cpus.split())), "E20")


@pytest.mark.parametrize(("cpus", "shown"), [("3", "3"), ("1 5 0", "0"), ("9 8", "9")])
def test_cpu_that_is_not_in_the_pool_is_e21(call, cpus, shown):
    headline = wrapped(call(cpus=("--cpu-ids", *cpus.split())), "E21")

    assert (
        f"[ E21 ] No such CPU available in the pool. User provided `cpu-ids` contains CPU {shown}, "
        "which is not available in the pool.\nYou can add a specific CPU to the CPU pool by "
        "editing the `cpu_pool` value from '/etc/nitro_enclaves/allocator.yaml' and then enable "
        "the nitro-enclaves-allocator.service."
    ) == headline


@pytest.mark.parametrize("memory", ["1", "15"])
def test_trap_1_less_memory_than_four_times_the_image_is_e26_within_e39(call, memory):
    assert (
        f"[ E26 ] Insufficient memory requested. User provided `memory` is {memory} MB, but based "
        "on the EIF file size, the minimum memory should be 16 MB"
    ) == wrapped(call(memory=memory), "E26")


def test_four_times_the_image_is_enough_memory(call):
    assert 0 == call(memory="16")[0]


def test_no_memory_is_e26_with_a_text_of_its_own(call):
    assert (
        "[ E26 ] Insufficient memory requested. User provided `memory` is 0 MB, and memory should "
        "be greater than 0 MB."
    ) == wrapped(call(memory="0"), "E26")


@pytest.mark.parametrize(
    ("operation", "reason", "code"),
    [
        ("reserve", "ENCLAVE_CPUS_TAKEN", "E29"),
        ("run", "ENCLAVE_CPUS", "E29"),
        ("run", "ENCLAVE_HALF_CORE", "E29"),
        ("run", "ENCLAVE_MEMORY_MINIMUM", "E29"),
        ("run", "ENCLAVE_CID", "E29"),
        ("run", "ENCLAVE_BOOT", "E36"),
        ("run", "ENCLAVE_START", "E36"),
        ("run", "ENCLAVE_SOCKET", "E11"),
    ],
)
def test_refusal_of_the_hypervisor_has_a_code(call, hypervisor, operation, reason, code):
    hypervisor.refusals[operation] = EnclaveError("the reason", code=reason)
    result = call(BACKTRACE="1")

    wrapped(result, code, before=WAITED if operation == "run" else "")
    assert "  Action: Run Enclave\n  Subactions:\n    the reason\n" in result[2]
    assert hypervisor.closed


def test_trap_1_more_memory_than_is_free_is_e27_within_e39(call, hypervisor):
    hypervisor.refusals["run"] = EnclaveError("none free", code="ENCLAVE_MEMORY")

    assert (
        "[ E27 ] Insufficient memory available. User provided `memory` is 512 MB, which is more "
        "than the available hugepage memory.\nYou can increase the available memory by editing "
        "the `memory_mib` value from '/etc/nitro_enclaves/allocator.yaml' and then enable the "
        "nitro-enclaves-allocator.service."
    ) == wrapped(call(), "E27", before=WAITED)


@pytest.mark.parametrize(
    ("reason", "before"),
    [
        (ErrorCode.SIGNATURE_CHECK, ""),
        (ErrorCode.EIF_PARSING, WAITED),
        (ErrorCode.ENCLAVE_BOOT, WAITED),
    ],
)
def test_signature_is_looked_at_before_memory_is_asked_for(
    call, images, hypervisor, reason, before
):
    for path in images:
        images[path] = CommandError(reason, "the reason", action="Run Enclave")

    wrapped(call(), reason.code, before=before)
    assert ["reserve"] == [*hypervisor.asked]
    assert hypervisor.closed


@pytest.mark.parametrize(
    "error",
    [
        InstanceError("it has ended", code="HYPERVISOR_GONE"),
        EnclaveError("no room to unpack", code="EIF_CACHE"),
    ],
)
def test_what_is_wrong_with_the_machine_is_no_error_of_nitro_cli(call, hypervisor, error):
    hypervisor.refusals["run"] = error
    status, output, errors = call()

    assert (125, "") == (status, output)
    assert f"{WAITED}nitro-cli: {error.code}: {error}\n" == errors
    assert hypervisor.closed


def test_errors_are_found_in_the_order_of_nitro_cli(call, tmp_path, pool, hypervisor, images):
    """Begin with everything wrong, and mend one thing after the other."""
    ((image, good),) = images.items()
    pool.rename(tmp_path / "put away")
    hypervisor.refusals["reserve"] = EnclaveError("taken", code="ENCLAVE_CPUS_TAKEN")
    hypervisor.refusals["run"] = EnclaveError("not free", code="ENCLAVE_MEMORY")
    images[image] = CommandError(ErrorCode.SIGNATURE_CHECK, "wrong", action="Run Enclave")
    wrong = {"eif": "missing", "cpus": ("--cpu-ids", "3", "3", "7"), "memory": "0"}
    nowhere = str(tmp_path / "nowhere")

    def first_code(*words, **variables):
        return codes(call(*words, **wrong, **variables)[2])[0]

    assert "E19" == first_code(NITRO_CLI_LOGS_PATH=nowhere)
    assert "E03" == first_code("--enclave-cid", "1", NITRO_CLI_SOCKETS_PATH=nowhere)
    assert "E07" == first_code(NITRO_CLI_SOCKETS_PATH=nowhere)
    assert "\nFile: 'missing', failing operation: 'Open'" in call(**wrong)[2]
    wrong["eif"] = image
    assert f"\nFile: '{pool}', failing operation: 'Read'" in call(**wrong)[2]
    (tmp_path / "put away").rename(pool)
    assert "E20" == first_code()
    wrong["cpus"] = ("--cpu-ids", "3", "7")
    assert "E21" == first_code()
    wrong["cpus"] = ("--cpu-count", "5")
    assert "E22" == first_code()
    wrong["cpus"] = ("--cpu-count", "2")
    assert "E26" == first_code()
    wrong["memory"] = "512"
    assert "E29" == first_code()
    del hypervisor.refusals["reserve"]
    assert "E59" == first_code()
    images[image] = good
    assert "E27" == first_code()
    hypervisor.refusals["run"] = EnclaveError("no boot", code="ENCLAVE_BOOT")
    assert "E36" == first_code()
    del hypervisor.refusals["run"]
    assert 0 == call(**wrong)[0]
