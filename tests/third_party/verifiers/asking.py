"""Talks with the programs that hold the verifiers: a line for each case, and one for each verdict.

A program that dies has crashed on the case it was asked about, and one that says nothing for
`LIMIT_S` seconds hangs on it. Both are verdicts; the next case is put to a new process.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from subprocess import PIPE
from typing import IO, Any

from verifiers.jobs import Case

LIMIT_S = 20.0
_DYING_S = 1.0


@dataclass(frozen=True)
class Answer:
    """What a verifier says of a case.

    Attributes:
        verdict: "accept", "refuse", "unsupported", "crash" or "hang".
        reason: in the verifier's words.
        content: what it read in a document that it accepts; None if it does not tell.

    """

    verdict: str
    reason: str = ""
    content: dict[str, Any] | None = None


@dataclass(frozen=True)
class Program:
    """A program that holds a verifier.

    Attributes:
        command: what to start.
        environment: what to set besides the environment of the tests.
        limit_s: seconds it may take for a case.

    """

    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    limit_s: float = LIMIT_S

    def ask(self, cases: Iterable[Case]) -> dict[str, Answer]:
        """Return a verdict for each case, by its id."""
        waiting = deque(cases)
        answers: dict[str, Answer] = {}
        while waiting:
            answers |= self._ask_until_it_fails(waiting)
        return answers

    def _ask_until_it_fails(self, waiting: deque[Case]) -> dict[str, Answer]:
        """Put cases to one process, the first first, taking each from those that wait."""
        answers: dict[str, Answer] = {}
        environment = {**os.environ, "RUST_BACKTRACE": "0", **self.environment}
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(
                self.command, stdin=PIPE, stdout=PIPE, stderr=errors, bufsize=0, env=environment
            ) as process,
        ):
            try:
                while waiting:
                    case = waiting.popleft()
                    line = self._say(process, case.line())
                    if not line:
                        answers[case.id] = self._failure(process, errors)
                        break
                    said = json.loads(line)
                    assert case.id == said["id"]
                    answers[case.id] = Answer(said["verdict"], said["reason"], said.get("content"))
            finally:
                process.kill()
        return answers

    def _say(self, process: subprocess.Popen[bytes], job: str) -> bytes:
        """Return the line that the program says to a job; empty if it says none."""
        assert process.stdin is not None
        assert process.stdout is not None
        line = b""
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{job}\n".encode())
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([process.stdout], [], [], self.limit_s)
            part = os.read(process.stdout.fileno(), 1 << 16) if ready else b""
            if not part:
                return b""
            line += part
        return line

    def _failure(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> Answer:
        """Tell how a program failed that said nothing."""
        try:
            code = process.wait(_DYING_S)
        except subprocess.TimeoutExpired:
            return Answer("hang", f"nothing for {self.limit_s:.0f} s")
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        errors.seek(0)
        words = errors.read().decode(errors="replace").strip().splitlines()
        return Answer("crash", f"{how}: {words[-1]}" if words else how)
