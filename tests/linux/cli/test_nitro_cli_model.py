"""nitro-cli against a model of a parent instance: any commands in any order, and sudden ends.

After every step describe-enclaves and the hypervisor must agree with the model. Commands run in
this process, a few in one of their own; enclaves, their programs and the hypervisor are real.
"""

import contextlib
import json
import os
import signal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from nitrosim.instance import shut_down
from parent_model import CPU_POOL, MEMORY_POOL_MIB, ParentModel, Wanted
from thoroughness import examples

pytestmark = [
    pytest.mark.needs("userns", "cc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86_64: two CPUs to a core"),
]

NAMES = st.sampled_from([None, None, "a", "a", "a_1", "waiting", "é x"])
CIDS = st.sampled_from([None, None, None, 0, 16, 17, 18, 20, 10001, 4, 3, 4294967295])
CPUS = st.one_of(
    st.sampled_from([2, 2, 2, 4, 6, 0, 1, 3, 7]),
    st.lists(st.sampled_from([1, 5, 2, 6, 3, 7, 0, 9]), min_size=1, max_size=4),
    st.sampled_from([[1, 5], [6, 2], [3, 7], [1, 2, 5, 6]]),
)
RARELY = st.integers(0, 19).map(lambda number: number == 7)
USUAL = st.builds(
    Wanted, cid=st.sampled_from([None, None, None, 16, 17]), name=NAMES, debug=st.booleans()
)
ANY = st.builds(
    Wanted,
    cpus=CPUS,
    memory_mib=st.sampled_from([64, 64, 64, 65, 100, 128, 63, 62, 5, 3, 0, 301]),
    cid=CIDS,
    name=NAMES,
    debug=st.booleans(),
    config=st.integers(0, 4).map(lambda number: number == 4),
)
WHICH = st.integers(0, 59)
AUTOMATIC_CID = "The enclave CID will be auto-generated as the provided CID is 0"


class NitroCliMachine(RuleBasedStateMachine):
    """Does one thing after the other."""

    def __init__(self, nitro_cli):
        super().__init__()
        self.nitro_cli = nitro_cli
        self.model = ParentModel(ended=["i-0000000000000000-enc0", "nonsense"])
        described = nitro_cli.call("describe-eif", "--eif-path", nitro_cli.waiting)
        self.measurements = json.loads(described.output)["Measurements"]

    def teardown(self):
        shut_down(os.environ["NITROSIM_INSTANCE"])

    @initialize(enclaves=st.lists(USUAL, max_size=3))
    def begin(self, enclaves):
        self.nitro_cli.set_pool(cpus=CPU_POOL, memory_mib=MEMORY_POOL_MIB)
        for wanted in enclaves:
            self.start_and_keep(wanted)

    # ---- what starts enclaves ----

    def command(self, *words, process=False):
        return self.nitro_cli.run(*words) if process else self.nitro_cli.call(*words)

    def start(self, wanted, image, *, process=False):
        """Run an enclave; return what is printed of it, None if it is refused as it must be."""
        words = wanted.words(str(image))
        if wanted.config:
            file = self.nitro_cli.folder / "config.json"
            file.write_text(json.dumps(wanted.settings(str(image))), "utf-8")
            words = ["--config", file]
        refusal = self.model.refusal(wanted)
        done = self.command("run-enclave", *words, process=process)
        if refusal is not None:
            assert (*refusal, "") == (done.status, done.codes, done.output)
            assert (refusal[0] == 39) == ("\nFailed connections: 1\n" in done.errors)
            return None
        assert (0, []) == (done.status, done.codes)
        printed = json.loads(done.output)
        unknown = {name: printed[name] for name in ("EnclaveID", "ProcessID")}
        expected = self.model.start(wanted, image.stem) | unknown
        assert json.dumps(expected) == json.dumps(printed)
        cid, memory, cpus = (expected[name] for name in ("EnclaveCID", "MemoryMiB", "CPUIDs"))
        facts = f"enclave-cid: {cid}, memory: {memory} MiB, cpu-ids: {cpus}"
        assert [
            *([AUTOMATIC_CID] if wanted.cid == 0 and not wanted.config else []),
            "Start allocating memory...",
            f"Started enclave with {facts}",
        ] == done.errors.splitlines()
        return printed

    def start_and_keep(self, wanted, *, process=False):
        printed = self.start(wanted, self.nitro_cli.waiting, process=process)
        if printed is not None:
            self.model.keep(printed, wanted, self.measurements)

    @rule(wanted=ANY, process=RARELY)
    def run_with_any_settings(self, wanted, process):
        self.start_and_keep(wanted, process=process)

    @rule(wanted=USUAL)
    def run_with_usual_settings(self, wanted):
        self.start_and_keep(wanted)

    @rule(wanted=USUAL)
    def run_with_usual_settings_again(self, wanted):
        # Twice, so that it happens as often as what ends enclaves.
        self.start_and_keep(wanted)

    @rule(wanted=USUAL)
    def run_what_ends_at_once(self, wanted):
        printed = self.start(wanted, self.nitro_cli.ending)
        if printed is not None:
            self.nitro_cli.await_end(printed["EnclaveID"])
            self.model.end(printed)

    @rule(missing=st.booleans())
    def run_what_is_no_image(self, missing):
        image = self.nitro_cli.folder / "missing" if missing else self.nitro_cli.allocator
        # That CPUs are free is looked at after the image was opened and before it is read.
        code = "E19" if missing else "E29" if len(self.model.lent_cpus) > 4 else "E35"
        done = self.command("run-enclave", *Wanted().words(str(image)))
        assert (39, [code, "E39"], "") == (done.status, done.codes, done.output)

    # ---- what asks for enclaves ----

    @precondition(lambda self: self.model.running)
    @rule(which=WHICH, by_name=st.booleans(), process=RARELY)
    def terminate_enclave(self, which, by_name, process):
        enclave = self.pick(which)
        done = self.command("terminate-enclave", *address(enclave, by_name), process=process)
        assert (0, terminated(enclave)) == (done.status, json.loads(done.output))
        assert f"Successfully terminated enclave {enclave['EnclaveID']}.\n" == done.errors
        self.model.end(enclave)

    @rule(process=RARELY, few=st.sampled_from([0, 1, 1, 2, 3]))
    def terminate_all(self, process, few):
        enclaves = list(self.model.running.values())
        if len(enclaves) > few:
            return
        done = self.command("terminate-enclave", "--all", process=process)
        assert (0, list(map(terminated, enclaves))) == (done.status, json.loads(done.output))
        assert [
            f"Successfully terminated enclave {enclave['EnclaveID']}." for enclave in enclaves
        ] == done.errors.splitlines()
        for enclave in enclaves:
            self.model.end(enclave)

    @rule(which=WHICH, command=st.sampled_from(["terminate-enclave", "console"]))
    def ask_for_what_is_not_there(self, which, command):
        ended = self.model.ended[which % len(self.model.ended)]
        by_id = self.command(command, "--enclave-id", ended)
        by_name = self.command(command, "--enclave-name", "nobody")
        assert (11, ["E11"], "") == (by_id.status, by_id.codes, by_id.output)
        assert (58, ["E58"], "") == (by_name.status, by_name.codes, by_name.output)

    @precondition(lambda self: self.model.running)
    @rule(which=WHICH, by_name=st.booleans())
    def console(self, which, by_name):
        enclave = self.pick(which)
        done = self.command("console", *address(enclave, by_name), "--disconnect-timeout", 0)
        if enclave["Flags"] == "NONE":
            assert (44, ["E44"], "") == (done.status, done.codes, done.output)
            return
        assert (0, "") == (done.status, done.errors)
        assert [
            f"Connecting to the console for enclave {enclave['EnclaveCID']}...",
            "Successfully connected to the console.",
        ] == done.output.splitlines()

    @rule(metadata=st.booleans(), process=RARELY)
    def describe_enclaves(self, metadata, process):
        words = ["--metadata"] if metadata else []
        done = self.command("describe-enclaves", *words, process=process)
        printed = json.loads(done.output)
        assert (0, "") == (done.status, done.errors)
        assert json.dumps(printed, indent=2, ensure_ascii=False) + "\n" == done.output
        more = {"ImageName", "ImageVersion", "Metadata"} if metadata else set()
        known = self.model.running.values()
        assert [more] * len(known) == [
            set(found) - set(enclave) for found, enclave in zip(printed, known, strict=True)
        ]

    # ---- what else ends enclaves ----

    @precondition(lambda self: self.model.running)
    @rule(which=WHICH)
    def its_program_ends(self, which):
        enclave = self.pick(which)
        with contextlib.closing(self.nitro_cli.hypervisor()) as connection:
            _answer, fd = connection.request_with_fd(
                "connect", enclave=enclave["EnclaveName"], port=self.nitro_cli.port, timeout=20
            )
        self.has_ended(enclave)
        os.close(fd)

    @precondition(lambda self: self.model.running)
    @rule(which=WHICH, number=st.sampled_from([signal.SIGTERM, signal.SIGKILL]))
    def its_process_is_killed(self, which, number):
        enclave = self.pick(which)
        os.kill(enclave["ProcessID"], number)
        self.has_ended(enclave)

    @precondition(lambda self: self.model.running)
    @rule(which=WHICH, rename=st.booleans())
    def its_socket_is_removed(self, which, rename):
        enclave = self.pick(which)
        path = self.nitro_cli.socket_of(enclave["EnclaveID"])
        path.rename(path.with_suffix(".old")) if rename else path.unlink()
        self.has_ended(enclave)

    @precondition(lambda self: self.model.running)
    @rule(rarely=RARELY)
    def the_hypervisor_is_killed(self, rarely):
        if not rarely:
            return
        sockets = list(map(self.nitro_cli.socket_of, self.model.running))
        self.nitro_cli.kill_hypervisor()
        self.model.end_all()
        assert all(socket.exists() for socket in sockets)
        assert [] == self.nitro_cli.described()
        assert not any(socket.exists() for socket in sockets)

    # ---- afterwards ----

    def pick(self, which):
        return list(self.model.running.values())[which % len(self.model.running)]

    def has_ended(self, enclave):
        self.nitro_cli.await_end(enclave["EnclaveID"])
        self.model.end(enclave)

    @invariant()
    def exactly_what_runs_is_described(self):
        expected = list(self.model.running.values())
        assert json.dumps(expected) == json.dumps(self.nitro_cli.described())

    @invariant()
    def exactly_what_runs_is_lent(self):
        connection = self.nitro_cli.hypervisor()
        if connection is None:
            assert {} == self.model.running
            return
        with contextlib.closing(connection):
            lent = connection.request("lent")
        assert (self.model.lent_cpus, self.model.lent_mib) == (lent["cpu_ids"], lent["memory_mib"])


def address(enclave, by_name):
    option, key = ("name", "EnclaveName") if by_name else ("id", "EnclaveID")
    return f"--enclave-{option}", enclave[key]


def terminated(enclave):
    return {name: enclave[name] for name in ("EnclaveName", "EnclaveID")} | {"Terminated": True}


def test_any_commands_in_any_order_do_what_the_model_says(nitro_cli):
    run_state_machine_as_test(
        lambda: NitroCliMachine(nitro_cli),
        settings=settings(
            max_examples=examples(48),
            stateful_step_count=40,
            derandomize=True,
            database=None,
            deadline=None,
            # The steps as they were: making them fewer can take minutes.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
