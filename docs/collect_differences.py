# noqa: INP001 - a script, not a package
"""Collect every DEVIATION and ASSUMPTION comment of the sources into differences.md.

A comment begins with ``DEVIATION:`` or ``ASSUMPTION:``, is one self-contained sentence, and ends
with the comment or where the next one begins. ``--check`` changes nothing.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from generated import REPOSITORY, main

_SOURCES = ("nitrosim", "fake_nsm")
_MARKER = re.compile(r"(DEVIATION|ASSUMPTION): ")
_C_COMMENT = re.compile(r"/\*(.*?)\*/", re.DOTALL)

#: The page's sections: what a file is about, by the beginning of its path; the first match counts.
_TOPICS = (
    ("vsock", ("nitrosim/vsock/", "nitrosim/hypervisor/network", "nitrosim/hypervisor/parked")),
    ("vsock", ("nitrosim/hypervisor/sockets", "nitrosim/hypervisor/vsock_")),
    ("System calls", ("nitrosim/hypervisor/supervisor", "nitrosim/sandbox/bpf")),
    ("System calls", ("nitrosim/sandbox/calls",)),
    ("The Nitro Secure Module", ("nitrosim/hypervisor/device_calls", "fake_nsm/nsm")),
    ("The Nitro Secure Module", ("fake_nsm/cbor", "fake_nsm/requests", "fake_nsm/responses")),
    ("The Nitro Secure Module", ("fake_nsm/pcrs",)),
    ("Documents and certificates", ("fake_nsm/", "nitrosim/hypervisor/identity")),
    ("Inside an enclave, and parent programs", ("nitrosim/sandbox/", "nitrosim/backends/")),
    ("Enclave Image Files", ("nitrosim/eif/", "nitrosim/images/", "nitrosim/builder/")),
    ("nitro-cli, CPUs and memory", ("nitrosim/cli/nitro_cli/", "nitrosim/hypervisor/cli_")),
    ("nitro-cli, CPUs and memory", ("nitrosim/hypervisor/allocator",)),
    ("nitro-cli, CPUs and memory", ("nitrosim/hypervisor/launches",)),
    ("nitro-cli, CPUs and memory", ("nitrosim/hypervisor/specifications",)),
    ("The life of an enclave, and its console", ("nitrosim/hypervisor/", "nitrosim/cli/")),
    ("The verifier", ("nitrosim/attestation/",)),
)
_KINDS = {
    "DEVIATION": "## Differences",
    "ASSUMPTION": "## Assumptions\n\n"
    "What nobody could observe on hardware so far, and what we do until somebody does.",
}


def _comments(path: Path) -> list[str]:
    """Return the comments of a file as text, each run of comment lines joined."""
    text = path.read_text("utf-8")
    if path.suffix == ".c":
        blocks = _C_COMMENT.findall(text)
        return [" ".join(line.strip(" \t*") for line in block.splitlines()) for block in blocks]
    runs = [""]
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# "):
            runs[-1] += f" {stripped[2:]}"
        elif runs[-1]:
            runs.append("")
    return runs


def collect() -> dict[str, dict[str, list[str]]]:
    """Return the sentences by kind and topic, each with a link to its file."""
    found: dict[str, dict[str, list[str]]] = {
        kind: {topic: [] for topic, _ in _TOPICS} for kind in _KINDS
    }
    paths = (p for root in _SOURCES for p in (REPOSITORY / root).rglob("*.[pc]*"))
    for path in sorted(p for p in paths if p.suffix in (".py", ".c")):
        name = path.relative_to(REPOSITORY).as_posix()
        for comment in _comments(path):
            parts = _MARKER.split(comment)[1:]
            for kind, sentence in zip(parts[::2], parts[1::2], strict=True):
                found[kind][_topic(name)].append(f"- {_polish(sentence)} [[source](../{name})]")
    return found


def _topic(name: str) -> str:
    for topic, beginnings in _TOPICS:
        if name.startswith(beginnings):
            return topic
    sys.exit(f"{name} has such a comment and no topic: add it to {Path(__file__).name}")


def _polish(sentence: str) -> str:
    """Make a sentence of the comment: a capital letter first, and nothing that is Markdown."""
    sentence = " ".join(sentence.split()).replace("*", r"\*").replace("<", r"\<")
    first = sentence.split(None, 1)[0].rstrip(",.:")
    return sentence[0].upper() + sentence[1:] if first.isalpha() else sentence


def _render() -> str:
    parts = []
    for kind, topics in collect().items():
        parts.append(_KINDS[kind])
        for topic, sentences in topics.items():
            if sentences:
                parts.append("\n".join([f"### {topic}\n", *sentences]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main({"differences.md": _render()}, description=__doc__))
