"""Fuzz the readers of attestation documents and images: ``make fuzz``.

    python tests/fuzz/run.py [--seconds N] [TARGET]...
    python tests/fuzz/run.py TARGET --replay FILE...

Each target runs for N seconds in a process of its own, from what is in fixtures/ and from
what earlier runs have found interesting, which is kept in ``.fuzz`` beside the README. A
finding stops its target; the rest still run. Replaying a finding needs no fuzzer.

Exit status: 0 nothing found, 1 something found, 2 atheris, the fuzzer, is not installed (1 where
it must be: in continuous integration, or with atheris in NITROSIM_REQUIRE).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import targets

FOLDER = Path(__file__).resolve().parent
REPOSITORY = FOLDER.parents[1]
CACHE = REPOSITORY / ".fuzz"

_MAX_BYTES = 20_000
_SECONDS_PER_INPUT = 20
_MEMORY_MIB = 2048
# libFuzzer looks at the clock between inputs; importing and reading the seeds come before.
_GRACE_SECONDS = 120
_STATUS = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)/")
_EXECUTED = re.compile(r"stat::number_of_executed_units: +(\d+)")
_TAIL_LINES = 60


@dataclass(frozen=True)
class Run:
    """How one target went: what libFuzzer counted, and the inputs that it found."""

    target: str
    seconds: float
    executed: int
    edges: int
    features: int
    corpus: int
    status: int
    output: str
    findings: list[Path]

    @property
    def clean(self) -> bool:
        """Whether nothing was found and the fuzzer ended by itself."""
        return self.status == 0 and not self.findings


def main(arguments: list[str]) -> int:
    """Fuzz or replay; return the exit status."""
    options = _parse(arguments)
    if options.replay:
        return _replay(options.targets[0], options.replay)
    if not installed():
        print(
            "fuzz: nothing done, atheris is not installed: pip install --group fuzz "
            "(there are wheels for Linux and few versions of Python)",
            file=sys.stderr,
        )
        return 1 if _must_run() else 2
    runs = []
    print(f"{'target':14}{'seconds':>9}{'inputs':>11}{'per s':>8}{'edges':>7}{'corpus':>8}")
    for name in options.targets or targets.TARGETS:
        run = _fuzz(name, options.seconds)
        runs.append(run)
        print(
            f"{run.target:14}{run.seconds:9.0f}{run.executed:11,}"
            f"{run.executed / run.seconds:8.0f}{run.edges:7,}{run.corpus:8,}"
            + ("" if run.clean else "  FOUND SOMETHING"),
            flush=True,
        )
        if not run.clean:
            _explain(run)
    return 0 if all(run.clean for run in runs) else 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    known = "\n".join(f"  {name:14}{about}" for name, about in targets.TARGETS.items())
    parser = argparse.ArgumentParser(
        description="Fuzz the readers of attestation documents and images.",
        epilog=f"targets:\n{known}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all of them if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target; 60 by default")
    parser.add_argument(
        "--replay", type=Path, nargs="+", metavar="FILE", help="run the one target on these inputs"
    )
    options = parser.parse_args(arguments)
    unknown = set(options.targets) - set(targets.TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if options.replay and len(options.targets) != 1:
        parser.error("--replay goes with one target")
    return options


def installed() -> bool:
    """Tell whether the fuzzer is there."""
    return importlib.util.find_spec("atheris") is not None


def _must_run() -> bool:
    required = os.environ.get("NITROSIM_REQUIRE", "").split(",")
    return bool(os.environ.get("CI")) or "atheris" in map(str.strip, required)


def _replay(name: str, files: list[Path]) -> int:
    """Run a target on inputs; the first that fails ends it with its traceback."""
    target = targets.load(name).target
    for file in files:
        target(file.read_bytes())
        print(f"{file}: nothing wrong")
    return 0


def _fuzz(name: str, seconds: int) -> Run:
    corpus, seeds, findings = (_folder(name, part) for part in ("corpus", "seeds", "findings"))
    for stale in (*seeds.iterdir(), *findings.iterdir()):
        stale.unlink()
    for seed in targets.load(name).seeds():
        (seeds / hashlib.sha256(seed).hexdigest()[:32]).write_bytes(seed)
    command = [
        *(sys.executable, str(FOLDER / "worker.py"), name),
        f"-max_total_time={seconds}",
        f"-timeout={_SECONDS_PER_INPUT}",
        f"-rss_limit_mb={_MEMORY_MIB}",
        f"-max_len={_MAX_BYTES}",
        f"-artifact_prefix={findings}/",
        "-print_final_stats=1",
        str(corpus),
        str(seeds),
    ]
    path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    began = time.monotonic()
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": path},
            text=True,
            errors="backslashreplace",
            timeout=seconds + _GRACE_SECONDS,
            check=False,
        )
        status, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as stuck:
        status = 124
        output = (stuck.stdout or b"").decode(errors="backslashreplace")
    elapsed = time.monotonic() - began
    edges, features, kept = map(int, (_STATUS.findall(output) or [(0, 0, 0)])[-1])
    executed = _EXECUTED.search(output)
    return Run(
        target=name,
        seconds=elapsed,
        executed=int(executed[1]) if executed else 0,
        edges=edges,
        features=features,
        corpus=kept,
        status=status,
        output=output,
        findings=sorted(findings.iterdir()),
    )


def _folder(name: str, part: str) -> Path:
    folder = CACHE / name / part
    folder.mkdir(parents=True, exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n", encoding="ascii")
    return folder


def _explain(run: Run) -> None:
    """Say what was found and how to see it again."""
    print("\n".join(run.output.splitlines()[-_TAIL_LINES:]), file=sys.stderr)
    print(f"fuzz: {run.target} ended with status {run.status}. To see it again:", file=sys.stderr)
    for finding in run.findings:
        again = ["python", "tests/fuzz/run.py", run.target, "--replay", str(finding)]
        print(f"  {shlex.join(again)}", file=sys.stderr)


if __name__ == "__main__":
    # The package may be installed or not: the sources are here.
    sys.path.insert(1, str(REPOSITORY))
    sys.exit(main(sys.argv[1:]))
