"""Talks with the programs that hold the verifiers: a line for each case, and one for each verdict.

A program that dies has crashed on the case it was asked about, and one that says nothing for
`LIMIT_S` seconds hangs on it. Both are verdicts; the next case is put to a new process.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import IO, Self

from verifiers.jobs import Case

LIMIT_S = 20.0


@dataclass(frozen=True)
class Answer:
    """A verdict: "accept", "refuse", "unsupported", "crash" or "hang", and the verifier's words."""

    verdict: str
    reason: str = ""


@dataclass
class Program:
    """A program that holds a verifier.

    Attributes:
        command: what to start.
        environment: what to set besides the environment of the tests.

    """

    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    limit_s: float = LIMIT_S
    _process: subprocess.Popen[bytes] | None = None
    _errors: IO[bytes] | None = None

    def ask(self, cases: Iterable[Case]) -> dict[str, Answer]:
        """Return a verdict for each case, by its id."""
        with self:
            return {case.id: self._ask(case) for case in cases}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end()

    def _start(self) -> subprocess.Popen[bytes]:
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            env={**os.environ, "RUST_BACKTRACE": "0", **self.environment},
        )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _ask(self, case: Case) -> Answer:
        process = self._process or self._start()
        assert process.stdin is not None
        process.stdin.write(case.line().encode() + b"\n")
        answer = self._answer(process)
        if isinstance(answer, Answer):
            self._end()
            return answer
        assert case.id == answer["id"]
        return Answer(answer["verdict"], answer["reason"])

    def _answer(self, process: subprocess.Popen[bytes]) -> dict[str, str] | Answer:
        """Return what the program said, or why it says nothing more."""
        assert process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([process.stdout], [], [], self.limit_s)
            if not ready:
                return Answer("hang", f"nothing for {self.limit_s:.0f} s")
            part = os.read(process.stdout.fileno(), 1 << 16)
            if not part:
                return Answer("crash", self._last_words(process))
            line += part
        said: dict[str, str] = json.loads(line)
        return said

    def _last_words(self, process: subprocess.Popen[bytes]) -> str:
        assert self._errors is not None
        code = process.wait(self.limit_s)
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"{how}: {words[0]}" if words else how
