"""Command lines of nitro-cli are read, and answered, as the clap library of Rust does it.

The real nitro-cli is written with clap. Here a program around clap gets the description of our
sub-commands, and both read the same command lines: those that come to mind and thousands made up.
"""

from __future__ import annotations

import json
import random
import subprocess

import pytest

from nitrosim.cli.nitro_cli.arguments import Answer, parse
from nitrosim.cli.nitro_cli.commands import ABOUT, COMMANDS

VERSION = "1.5.0"
MADE_UP = 4000

ODD = [
    [],
    *([word] for word in ("-h", "help", "-hV", "-Vh", "--help=x", "--version=x", "-x", "--hel")),
    *([word] for word in ("-V", "--version", "--", "", "-", "---", "describe", "pcrs")),
    ["--eif-path", "a", "describe-eif"],
    ["--", "pcr"],
    *(["help", *words] for words in (["--help"], ["-h"], ["pc"], ["help"], ["pcr", "x"])),
    *(["pcr", *words] for words in (["-hx"], ["-xh"], ["--help=1"], ["pcr"], ["help"], ["-"])),
    *(["pcr", *words] for words in ([""], ["--"], ["--", "x"], ["--=x"], ["---"], ["-1"])),
    *(["pcr", "--input", *words] for words in (["--"], ["--", "x"], ["-1"], ["-"], ["a=b"], [""])),
    *(["run-enclave", "--memory", word] for word in ("-10", "-h", "--hlp")),
    *(
        ["run-enclave", "--cpu-ids", *words]
        for words in (["--", "1"], ["1", "--", "2"], ["1", "3"])
    ),
    *([command.name, *words] for command in COMMANDS for words in ([], ["-h"], ["--help"], ["-V"])),
    *(["help", command.name] for command in COMMANDS),
    *([command.name[:-1]] for command in COMMANDS),
    *([f"{command.name}x"] for command in COMMANDS),
]


def made_up(choose: random.Random) -> list[str]:
    """Make a command line of a sub-command's options, often wrong in some way."""
    command = choose.choice(COMMANDS)
    words = [command.name]
    for _ in range(choose.randint(0, 6)):
        if not command.options or choose.random() < 0.2:
            words.append(
                choose.choice(
                    ["x", "-x", "-h", "--help", "--", "-10", "--cpu", "--all", "--foo", "", "-"]
                )
            )
            continue
        option = choose.choice(command.options)
        name = f"--{option.name}"
        if choose.random() < 0.06:
            name = name[: -choose.randint(1, 4)]
        if option.value is None or choose.random() < 0.08:
            words.append(name)
        elif choose.random() < 0.2:
            words.append(f"{name}={choose.choice(['', 'x', 'a=b'])}")
        else:
            values = [choose.choice(["1", "x", "-"])] * (choose.randint(1, 3))
            words += [name, *(values if option.several else values[:1])]
    return words


def ours(words):
    read = parse(words, version=VERSION)
    if isinstance(read, Answer):
        text = read.errors or read.output
        return {"status": read.status, "errors": bool(read.errors), "text": text}
    return {"command": read.command, "given": {k: list(v) for k, v in read.given.items()}}


def attributes(record):
    return {name: getattr(record, name) for name in record.__slots__}


@pytest.fixture(scope="module")
def theirs(real_clap):
    """Return a function from command lines to what clap says to each."""
    about = {
        "name": "Nitro CLI",
        "binary": "nitro-cli",
        "version": VERSION,
        "about": ABOUT,
        "commands": [
            {**attributes(command), "options": [attributes(option) for option in command.options]}
            for command in COMMANDS
        ],
    }

    def ask(lines):
        done = subprocess.run(
            [real_clap],
            input="\n".join(json.dumps(line) for line in (about, *lines)),
            capture_output=True,
            text=True,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    return ask


def compared(lines, answers):
    return [
        (line, mine, answer)
        for line, answer in zip(lines, answers, strict=True)
        if (mine := ours(line)) != answer
    ]


def test_what_comes_to_mind_is_read_alike(theirs):
    assert [] == compared(ODD, theirs(ODD))[:3]


def test_what_is_made_up_is_read_alike(theirs):
    choose = random.Random(1)
    lines = [made_up(choose) for _ in range(MADE_UP)]

    assert [] == compared(lines, theirs(lines))[:3]
