"""run-enclave when all is well, its settings, and what is wrong with them.

A fake plays the hypervisor; tests/linux has the real one.
"""

from __future__ import annotations

import json
import os

import pytest

from fake_hypervisor import FACTS
from nitrosim.errors import EnclaveError

SHOWN = json.dumps(FACTS, indent=2) + "\n"
WAITED = "Start allocating memory...\n"
STARTED = "Started enclave with enclave-cid: 16, memory: 512 MiB, cpu-ids: [1, 5]\n"


def codes(errors):
    """Return the error codes in what was printed."""
    return [line[2:5] for line in errors.splitlines() if line.startswith("[ E")]


# ---- what is started ----


def test_started_enclave_is_shown(call):
    assert (0, SHOWN, f"{WAITED}{STARTED}") == call()


def test_hypervisor_of_the_instance_is_asked_for_what_the_options_say(
    call, hypervisor, images, tmp_path, logs
):
    (image,) = images.values()
    status, *_output = call(
        "--enclave-cid", "10001", "--debug-mode", "--enclave-name", "n", NITROSIM_INSTANCE="ci"
    )

    assert (0, "ci", True) == (status, hypervisor.instance, hypervisor.closed)
    assert {
        "reserve": {"cores": ((1, 5), (2, 6)), "cpu_count": 2, "cpu_ids": None},
        "run": {
            "image": image,
            "name": "n",
            "taken_names": [],
            "cid": 10001,
            "memory_mib": 512,
            "memory_pool_mib": 1024,
            "debug_mode": True,
            "detach": True,
            "boot": True,
            "boot_seconds": 180,
            "sockets": str(tmp_path / "sockets"),
            "log": str(logs / "nitro_enclaves.log"),
        },
    } == hypervisor.asked


def test_an_init_of_an_image_is_waited_for_after_its_enclave_has_been_started(call, hypervisor):
    hypervisor.booting = True

    assert (0, SHOWN, f"{WAITED}{STARTED}") == call()
    assert ["reserve", "run", "booted"] == [*hypervisor.asked]


def test_an_init_of_an_image_that_does_not_report_is_e36_with_the_reason(call, hypervisor):
    hypervisor.booting = True
    hypervisor.refusals["booted"] = EnclaveError("it sent nothing", code="ENCLAVE_HEARTBEAT")
    status, output, errors = call()

    assert (39, "", ["E36", "E39"]) == (status, output, codes(errors))
    started, reason = errors.removeprefix(WAITED).splitlines()[:2]
    assert STARTED == f"{started}\n"
    assert reason.startswith("nitrosim: ")
    assert reason.endswith(" does not boot: ENCLAVE_HEARTBEAT: it sent nothing")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(hypervisor.given)


@pytest.mark.parametrize(
    ("memory", "seconds"), [("100g", 180), ("102401", 270), ("1t", 90 + 11 * 90)]
)
def test_the_more_memory_the_longer_an_init_may_take(call, hypervisor, memory, seconds):
    call(memory=memory)

    assert seconds == hypervisor.asked["run"]["boot_seconds"]


def test_names_of_all_enclaves_that_answer_are_taken(call, hypervisor, start_process, sockets):
    for slot, name in (("1a", "app"), ("1b", "another")):
        start_process(slot, name=name)
    start_process("1c", answers={"name": (b"REFUSED\0not this one",)})

    call(NITRO_CLI_SOCKETS_PATH=str(sockets))

    assert ["app", "another"] == hypervisor.asked["run"]["taken_names"]


def test_named_cpus_are_asked_for(call, hypervisor):
    call(cpus=("--cpu-ids", "5", "1"))

    assert (None, (5, 1)) == tuple(
        hypervisor.asked["reserve"][key] for key in ("cpu_count", "cpu_ids")
    )


def test_without_a_name_it_is_that_of_the_image(call, hypervisor):
    call()

    assert ("app", None) == tuple(hypervisor.asked["run"][key] for key in ("name", "cid"))


def test_cid_0_is_said_to_be_any_and_is(call, hypervisor):
    note = "The enclave CID will be auto-generated as the provided CID is 0\n"

    assert (0, SHOWN, f"{note}{WAITED}{STARTED}") == call("--enclave-cid", "0")
    assert None is hypervisor.asked["run"]["cid"]


def test_start_is_in_the_log(call, logs):
    call()

    assert (logs / "nitro_enclaves.log").read_text().endswith("] Started i-0-enc1\n")


def test_attached_console_follows_in_debug_mode(call, hypervisor):
    hypervisor.console = b"hello\r\n"
    head = "Connecting to the console for enclave 16...\nSuccessfully connected to the console.\n"

    assert (0, f"{SHOWN}{head}hello\r\n", f"{WAITED}{STARTED}") == call("--attach-console")
    assert True is hypervisor.asked["run"]["debug_mode"]


def test_without_attach_console_nothing_is_shown_of_it(call, hypervisor):
    hypervisor.console = b"hello\r\n"

    assert SHOWN == call("--debug-mode")[1]


@pytest.mark.parametrize("words", [(), ("--attach-console",)])
def test_console_of_the_hypervisor_is_closed(call, hypervisor, words):
    call(*words)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(hypervisor.given)


def test_all_cpus_of_the_pool_may_be_asked_for(call, hypervisor):
    assert 0 == call(cpus=("--cpu-count", "4"))[0]
    assert 4 == hypervisor.asked["reserve"]["cpu_count"]


# ---- --config ----


def test_settings_come_from_a_file(configured, hypervisor):
    status, output, errors = configured(cpu_count=None, cpu_ids=[1, 5], enclave_name="n")

    assert (0, SHOWN, f"{WAITED}{STARTED}") == (status, output, errors)
    assert ((1, 5), "n") == (
        hypervisor.asked["reserve"]["cpu_ids"],
        hypervisor.asked["run"]["name"],
    )


def test_trap_25_attach_console_beside_config_counts_for_nothing(configured, hypervisor):
    hypervisor.console = b"hello\r\n"

    assert (0, SHOWN, f"{WAITED}{STARTED}") == configured("--attach-console")
    assert False is hypervisor.asked["run"]["debug_mode"]


def test_attach_console_in_the_file_counts_and_means_debug_mode(configured, hypervisor):
    hypervisor.console = b"hello\r\n"

    assert configured(attach_console=True)[1].endswith("to the console.\nhello\r\n")
    assert True is hypervisor.asked["run"]["debug_mode"]


def test_cid_0_in_a_file_is_any_without_a_word(configured, hypervisor):
    assert (0, SHOWN, f"{WAITED}{STARTED}") == configured(enclave_cid=0)
    assert None is hypervisor.asked["run"]["cid"]


@pytest.mark.parametrize("cid", [1, 3, (1 << 64) - 1])
def test_trap_25_cid_in_a_file_is_left_to_the_hypervisor(configured, hypervisor, cid):
    hypervisor.refusals["run"] = EnclaveError("an enclave cannot have it", code="ENCLAVE_CID")

    status, output, errors = configured(enclave_cid=cid)

    assert (39, "", ["E29", "E39"]) == (status, output, codes(errors))
    assert cid == hypervisor.asked["run"]["cid"]


@pytest.mark.parametrize(
    ("differences", "code"),
    [
        ({"cpu_count": None}, "E01"),
        ({"cpu_ids": [1, 5]}, "E02"),
        ({"memory_mib": "512"}, "E17"),
        ({"eif_path": None}, "E17"),
        ({"debug_mode": 1}, "E17"),
    ],
)
def test_what_is_wrong_with_a_file_keeps_its_number(configured, hypervisor, differences, code):
    status, output, errors = configured(**differences)

    assert (int(code[1:]), "", [code]) == (status, output, codes(errors))
    assert {} == hypervisor.asked
    assert ("MISSING_INFO" in errors) == (code in ("E01", "E02"))


def test_file_of_settings_that_is_missing_keeps_its_number(nitro_cli, tmp_path):
    status, output, errors = nitro_cli("run-enclave", "--config", str(tmp_path / "missing"))

    assert (19, "", ["E19"]) == (status, output, codes(errors))
    assert f"\nFile: '{tmp_path}/missing', failing operation: 'Open'.\n" in errors


# ---- errors that keep their number ----


@pytest.mark.parametrize(
    "words",
    [
        {"memory": "512X"},
        {"cpus": ("--cpu-count", "two")},
        {"cpus": ("--cpu-ids", "1", "x")},
    ],
)
def test_value_that_is_no_number_is_e03(call, words):
    status, output, errors = call(**words)

    assert (3, "", ["E03"]) == (status, output, codes(errors))


@pytest.mark.parametrize("cid", [1, 2, 3, (1 << 32) - 1, 1 << 32])
def test_trap_3_cid_that_no_enclave_may_have_is_e03_with_nothing_filled_in(call, cid):
    status, output, errors = call("--enclave-cid", str(cid))

    assert (3, "") == (status, output)
    assert errors.startswith(
        "[ E03 ] Invalid argument provided. The parameter `MISSING_INFO` is not a valid integer "
        "(`MISSING_INFO`)\n\n"
    )


def test_directory_of_sockets_that_is_missing_is_e07_before_the_image_is_looked_at(call, tmp_path):
    status, output, errors = call(eif="missing", NITRO_CLI_SOCKETS_PATH=str(tmp_path / "nowhere"))

    assert (7, "", ["E07"]) == (status, output, codes(errors))


def test_log_folder_that_is_missing_is_e19(call, tmp_path):
    status, output, errors = call(NITRO_CLI_LOGS_PATH=str(tmp_path / "nowhere"))

    assert (19, "", ["E19"]) == (status, output, codes(errors))
