"""`nitrosim demo`: the main job on real programs, from a fresh instance to a verified document."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nitrosim.errors import InstanceError

if TYPE_CHECKING:
    from nitrosim.attestation import StepReport, Verifier
    from nitrosim.enclave import Enclave
    from nitrosim.instance import Instance

_SAMPLE = "hello_attestation"
_PORT = 5000
_NONCE_SIZE = 32
_PATIENCE = 30.0
_SHOWN_PCRS = (0, 1, 2)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "demo",
        help="show the main job: an enclave attests itself, the verifier accepts it",
        description="Start the sample enclave in a fresh instance, let its parent client fetch an "
        "attestation document over vsock, verify it step by step, and show that a wrong "
        "expectation is refused. Nothing is left behind. Exit status 0 only if all of it happened.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)


@dataclass(slots=True)
class _Clock:
    """Milliseconds that each part took, in order."""

    parts: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.parts[name] = (time.perf_counter() - begin) * 1000


class _Show:
    """Prints for a person, unless the answer is JSON."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent

    def line(self, label: str = "", text: str = "") -> None:
        if not self._silent:
            print(f"  {label:<12}{text}".rstrip())

    def title(self, text: str) -> None:
        if not self._silent:
            print(f"\n{text}")


def run(args: argparse.Namespace) -> int:
    """Run the demonstration; return 0 if everything in it happened."""
    sample = _sample_directory()
    _check_client_library()
    import tempfile  # noqa: PLC0415 - see nitrosim.cli.main

    from nitrosim.attestation import Verifier  # noqa: PLC0415 - see nitrosim.cli.main
    from nitrosim.instance import Instance  # noqa: PLC0415

    show = _Show(silent=args.json)
    clock = _Clock()
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="nitrosim-demo-") as scratch:
        with clock.part("start the instance"):
            instance = Instance()
        with instance:
            show.title("A simulated EC2 instance")
            show.line("instance", f"{instance.instance_id}, parent CID 3")
            show.line("root CA", f"a fresh test root, {instance.root_pem}")
            with clock.part("start the enclave"):
                enclave = instance.run_enclave(
                    [sys.executable, "/app/server.py", str(_PORT)], app_dir=sample
                )
            with clock.part("program is ready"):
                enclave.console.wait_for(b"listening", _PATIENCE)
            _show_enclave(show, enclave)
            nonce = os.urandom(_NONCE_SIZE)
            with clock.part("client fetches and verifies"):
                document = _run_client(instance, enclave, sample, Path(scratch), nonce)
            show.title("Its parent's client, an ordinary AF_VSOCK program")
            show.line("sent", f"nonce {nonce.hex()}")
            show.line(
                "received", f"an attestation document of {len(document)} bytes, and verified it"
            )
            verifier = Verifier(roots=[instance.root_certificate])
            show.title("The same document once more, step by step")
            with clock.part("verify"):
                steps = _verify(verifier, document, enclave.pcrs, nonce)
            for step in steps:
                show.line(f"{step.number:>2} {step.outcome}", f"{step.name}")
            accepted = all(step.outcome != "failed" for step in steps)
            show.title("The negative: PCR0 of another image is expected")
            wrong = {**enclave.pcrs, 0: bytes(byte ^ 0xFF for byte in enclave.pcrs[0])}
            refusal = [
                s for s in _verify(verifier, document, wrong, nonce) if s.outcome == "failed"
            ]
            for step in refusal:
                show.line(f"{step.number:>2} {step.outcome}", f"{step.name}")
                show.line("refused", step.detail)
    ok = accepted and bool(refusal)
    clock.parts["everything"] = (time.perf_counter() - begin) * 1000
    show.title("Time")
    for name, milliseconds in clock.parts.items():
        show.line(f"{milliseconds:8.1f} ms", f" {name}")
    show.title("all of it happened" if ok else "something did not happen")
    if args.json:
        print(json.dumps(_result(ok, enclave, steps, refusal, clock), indent=2))
    return 0 if ok else 1


def _show_enclave(show: _Show, enclave: Enclave) -> None:
    show.title("An enclave with sample_apps/hello_attestation/server.py, unmodified")
    show.line("where", f"namespaces of this machine (init is process {enclave.pid}), no network")
    show.line("module_id", enclave.module_id)
    show.line("CID", str(enclave.cid))
    for index in _SHOWN_PCRS:
        show.line(f"PCR{index}", enclave.pcrs[index].hex())
    for line in enclave.console.read().decode("utf-8", "replace").splitlines():
        show.line("console", line)


def _run_client(
    instance: Instance, enclave: Enclave, sample: Path, scratch: Path, nonce: bytes
) -> bytes:
    """Let the sample's client fetch and verify; return the document it got."""
    import subprocess  # noqa: PLC0415 - see nitrosim.cli.main

    output = scratch / "document.cbor"
    command: list[str] = [sys.executable, str(sample / "client.py"), str(enclave.cid), str(_PORT)]
    command += ["--nonce", nonce.hex(), "--output", str(output)]
    command += ["--root-pem", str(instance.root_pem)]
    for index in _SHOWN_PCRS:
        command += ["--pcr", f"{index}={enclave.pcrs[index].hex()}"]
    with instance.popen_parent(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as client:
        try:
            text, _nothing = client.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            client.kill()
            text, _nothing = client.communicate()
    if client.returncode != 0:
        raise InstanceError(
            f"the sample's client ended with status {client.returncode}: {text.strip()}; "
            f"the enclave's console: {enclave.console.read().decode('utf-8', 'replace')}",
            code="DEMO_CLIENT",
        )
    return output.read_bytes()


def _verify(
    verifier: Verifier, document: bytes, pcrs: dict[int, bytes], nonce: bytes
) -> list[StepReport]:
    """Verify, and return the steps up to the end or the first that failed."""
    from nitrosim.attestation import AttestationError, Pcrs  # noqa: PLC0415

    steps: list[StepReport] = []
    expected = Pcrs({index: pcrs[index] for index in _SHOWN_PCRS})
    try:
        verifier.verify(document, expected, nonce=nonce, observer=steps.append)
    except AttestationError as error:
        # The observer has been told: the last step says what failed.
        if not steps or steps[-1].number != error.step:
            raise
    return steps


def _result(
    ok: bool,  # noqa: FBT001 - a private function with one call
    enclave: Enclave,
    steps: list[StepReport],
    refusal: list[StepReport],
    clock: _Clock,
) -> dict[str, Any]:
    return {
        "ok": ok,
        "module_id": enclave.module_id,
        "cid": enclave.cid,
        "pcrs": {index: enclave.pcrs[index].hex() for index in _SHOWN_PCRS},
        "steps": [
            {"number": s.number, "name": s.name, "outcome": s.outcome, "detail": s.detail}
            for s in steps
        ],
        "refusal": refusal[0].detail if refusal else None,
        "milliseconds": {name: round(value, 1) for name, value in clock.parts.items()},
    }


def _sample_directory() -> Path:
    """Return the sample: in the wheel, or in the repository of an editable installation."""
    package = Path(__file__).parent.parent
    for directory in (package / "_samples" / _SAMPLE, package.parent / "sample_apps" / _SAMPLE):
        if (directory / "server.py").is_file():
            return directory
    raise InstanceError(
        f"the sample {_SAMPLE} is missing from this installation of nitrosim: install it again",
        code="DEMO_SAMPLE",
    )


def _check_client_library() -> None:
    from importlib.util import find_spec  # noqa: PLC0415 - see nitrosim.cli.main

    if find_spec("aws_nsm_interface") is None:
        raise InstanceError(
            "the sample's enclave uses aws-nsm-interface, which is not installed; "
            "pip install 'nitrosim[samples]'",
            code="DEMO_LIBRARY",
        )
