"""The command line: every option, default, conflict and requirement of every sub-command."""

from __future__ import annotations

import itertools

import pytest

from nitrosim.cli.nitro_cli.arguments import Answer, parse
from nitrosim.cli.nitro_cli.clap import Parsed
from nitrosim.cli.nitro_cli.commands import COMMANDS
from nitrosim.cli.nitro_cli.suggestions import jaro, similar

RUN = ("--cpu-count", "2", "--memory", "512", "--eif-path", "a")
BUILD = ("--docker-uri", "u", "--output-file", "o")
#: What a command line of each sub-command needs at least.
LEAST = {
    "run-enclave": RUN,
    "terminate-enclave": ("--all",),
    "build-enclave": BUILD,
    "describe-eif": ("--eif-path", "a"),
    "describe-enclaves": (),
    "console": ("--enclave-id", "i"),
    "pcr": ("--input", "f"),
    "explain": ("--error-code", "E01"),
    "sign-eif": (),
}


def call(*words):
    return parse(words, version="1.5.0")


def parsed(*words):
    found = call(*words)
    assert isinstance(found, Parsed), found.errors
    return found


def error(*words):
    found = call(*words)
    assert isinstance(found, Answer)
    assert (2, "") == (found.status, found.output)
    assert found.errors.endswith("\n\nFor more information, try '--help'.\n")
    return found.errors


def test_every_sub_command_is_there_in_this_order():
    assert list(LEAST) == [command.name for command in COMMANDS]


@pytest.mark.parametrize("command", LEAST)
def test_least_that_is_needed(command):
    given = {
        word[2:]: (() if word == "--all" else (LEAST[command][at + 1],))
        for at, word in enumerate(LEAST[command])
        if word.startswith("--")
    }

    assert Parsed(command=command, given=given) == parsed(command, *LEAST[command])


def missing(command, lacking):
    words = list(LEAST[command])
    at = words.index(f"--{lacking}")
    del words[at : at + 2]
    return error(command, *words)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("run-enclave", "memory"),
        ("run-enclave", "eif-path"),
        ("build-enclave", "docker-uri"),
        ("build-enclave", "output-file"),
        ("describe-eif", "eif-path"),
        ("explain", "error-code"),
    ],
)
def test_missing_option_is_named(command, option):
    assert missing(command, option).startswith(
        "error: the following required arguments were not provided:\n"
        f"  --{option} <{option}>\n\nUsage: nitro-cli {command} "
    )


@pytest.mark.parametrize(
    ("command", "words", "names"),
    [
        (
            "run-enclave",
            ["--memory", "1", "--eif-path", "a"],
            ["--cpu-ids <cpu-ids>...", "--cpu-count <cpu-count>"],
        ),
        (
            "terminate-enclave",
            [],
            ["--enclave-id <enclave-id>", "--all", "--enclave-name <enclave-name>"],
        ),
        ("console", [], ["--enclave-id <enclave-id>", "--enclave-name <enclave-name>"]),
        ("pcr", [], ["--signing-certificate <signing-certificate>", "--input <input>"]),
    ],
)
def test_all_options_of_which_one_is_needed_are_named(command, words, names):
    listed = "".join(f"\n  {name}" for name in names)

    assert f"not provided:{listed}\n\n" in error(command, *words)


@pytest.mark.parametrize("command", ["build-enclave", "sign-eif"])
@pytest.mark.parametrize(
    ("given", "needed"),
    [("signing-certificate", "private-key"), ("private-key", "signing-certificate")],
)
def test_certificate_and_key_need_each_other(command, given, needed):
    text = error(command, *LEAST[command], f"--{given}", "x")

    assert f"not provided:\n  --{needed} <{needed}>\n\n" in text


CONFLICTS = {
    "run-enclave": [
        ("cpu-ids", "cpu-count"),
        *(
            ("config", other)
            for other in (
                *("cpu-ids", "cpu-count", "memory", "eif-path", "enclave-cid", "debug-mode"),
                "enclave-name",
            )
        ),
    ],
    "terminate-enclave": [*itertools.combinations(("enclave-id", "all", "enclave-name"), 2)],
    "console": [("enclave-id", "enclave-name")],
    "pcr": [("signing-certificate", "input")],
}


@pytest.mark.parametrize(
    ("command", "first", "second"),
    [
        pytest.param(command, *ordered, id=f"{command}-{'-'.join(ordered)}")
        for command, pairs in CONFLICTS.items()
        for pair in pairs
        for ordered in (pair, pair[::-1])
    ],
)
def test_conflict_names_both_in_the_order_given(command, first, second):
    options = {
        option.name: option for one in COMMANDS if one.name == command for option in one.options
    }
    words = [
        word
        for name in (first, second)
        for word in (f"--{name}", *(["1"] if options[name].value else []))
    ]

    assert error(command, *words).startswith(
        f"error: the argument '{options[first]}' cannot be used with '{options[second]}'\n\n"
    )


def test_nothing_else_is_in_conflict():
    declared = {
        (command.name, *sorted((option.name, other)))
        for command in COMMANDS
        for option in command.options
        for other in option.conflicts
    }

    assert declared == {
        (command, *sorted(pair)) for command, pairs in CONFLICTS.items() for pair in pairs
    }


def test_several_conflicts_are_listed():
    text = error("run-enclave", "--config", "c", "--memory", "1", "--debug-mode")

    assert text.startswith(
        "error: the argument '--config <json-config>' cannot be used with:\n"
        "  --memory <memory>\n  --debug-mode\n\nUsage: nitro-cli run-enclave --config"
    )


def test_config_needs_nothing_else_and_goes_with_attach_console():
    found = parsed("run-enclave", "--config", "c", "--attach-console")

    assert {"config": ("c",), "attach-console": ()} == found.given


def test_value_after_equals_sign_and_after_blank_are_the_same():
    assert parsed("pcr", "--input", "f") == parsed("pcr", "--input=f")


@pytest.mark.parametrize("value", ["", "a=b", "--input", "-x"])
def test_anything_may_follow_an_equals_sign(value):
    assert value == parsed("pcr", f"--input={value}").value("input")


def test_single_hyphen_is_a_value():
    assert "-" == parsed("pcr", "--input", "-").value("input")


def test_several_values_go_up_to_the_next_option():
    found = parsed(
        *("run-enclave", "--cpu-ids", "1", "3", "5", "--memory", "512", "--eif-path", "a")
    )

    assert ("1", "3", "5") == found.values("cpu-ids")
    assert "512" == found.value("memory")


def test_several_values_after_an_equals_sign_are_one():
    text = error("run-enclave", "--cpu-ids=1", "3", "--memory", "1", "--eif-path", "a")

    assert text.startswith("error: unexpected argument '3' found\n")


@pytest.mark.parametrize(
    ("command", "option"),
    [(command.name, option) for command in COMMANDS for option in command.options],
    ids=lambda value: getattr(value, "name", value),
)
def test_option_cannot_be_repeated(command, option):
    once = (f"--{option.name}", *(("1",) if option.value else ()))

    assert error(command, *once, *once).startswith(
        f"error: the argument '{option}' cannot be used multiple times\n\nUsage: "
    )


@pytest.mark.parametrize(
    ("command", "option"),
    [(command.name, option) for command in COMMANDS for option in command.options if option.value],
    ids=lambda value: getattr(value, "name", value),
)
def test_option_needs_its_value(command, option):
    for rest in ((), ("--help",), ("--",)):
        assert error(command, f"--{option.name}", *rest) == (
            f"error: a value is required for '{option}' but none was supplied\n\n"
            "For more information, try '--help'.\n"
        )


@pytest.mark.parametrize("option", ["memory", "cpu-count", "enclave-cid", "cpu-ids"])
def test_negative_number_is_an_unknown_option(option):
    assert "error: unexpected argument '-1' found\n" in error("run-enclave", f"--{option}", "-10")


def test_flag_takes_no_value():
    text = error("describe-enclaves", "--metadata=yes")

    assert text.startswith("error: unexpected value 'yes' for '--metadata' found; no more were ")


@pytest.mark.parametrize("word", ["x", "-", "-x", "--nothing-like-it"])
def test_what_is_no_option_is_refused(word):
    text = error("describe-enclaves", word)

    assert f"error: unexpected argument '{word}' found\n\nUsage: nitro-cli desc" in text


def test_names_are_not_abbreviated_but_suggested():
    assert error("describe-eif", "--eif", "a").startswith(
        "error: unexpected argument '--eif' found\n\n"
        "  tip: a similar argument exists: '--eif-path'\n\n"
        "Usage: nitro-cli describe-eif --eif-path <eif-path>\n\n"
    )


def test_what_follows_two_hyphens_is_no_option():
    assert "unexpected argument '--eif-path' found" in error("describe-eif", "--", "--eif-path")


@pytest.mark.parametrize("words", [("--input", "\udcff"), ("--input=a\udc80", "--foo")])
def test_value_that_is_not_utf8_is_refused(words):
    assert (
        "error: invalid UTF-8 was detected in one or more arguments\n\n"
        "Usage: nitro-cli pcr [OPTIONS]\n\nFor more information, try '--help'.\n"
    ) == error("pcr", *words)


@pytest.mark.parametrize("word", ["\udcff", "--\udcff", "-\udcff"])
@pytest.mark.parametrize("before", [(), ("pcr",)])
def test_word_that_is_not_utf8_is_shown_with_the_replacement_character(before, word):
    assert "\N{REPLACEMENT CHARACTER}'" in error(*before, word)


@pytest.mark.parametrize("words", [("--version",), ("-V",), ("--version", "run-enclave", "x")])
def test_version_is_printed(words):
    assert Answer(output="Nitro CLI 1.5.0\n") == call(*words)


def test_version_is_the_one_that_is_imitated():
    assert Answer(output="Nitro CLI 1.2.3\n") == parse(["-V"], version="1.2.3")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("-x",), "unexpected argument '-x' found\n\nUsage: nitro-cli [COMMAND]\n"),
        (("--help=x",), "unexpected value 'x' for '--help' found; no more were expected\n"),
        (("--hel",), "'--hel' found\n\n  tip: a similar argument exists: '--help'\n"),
        (("--", "pcr"), "  tip: subcommand 'pcr' exists; to use it, remove the '--' before it\n"),
        (("--", "x"), "unexpected argument 'x' found\n\nUsage: nitro-cli [COMMAND]\n"),
        (
            ("--eif-path", "a", "sign-eif", "describe-eif"),
            "'--eif-path' found\n\n  tip: 'sign-eif --eif-path' exists\n",
        ),
    ],
)
def test_wrong_flag_before_a_sub_command_is_an_error(words, text):
    assert text in error(*words)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--input", "a", "--input", "b", "x"), "unexpected argument 'x' found"),
        (("--input", "--nothing"), "unexpected argument '--nothing' found"),
        (("--input", "--", "x"), "unexpected argument 'x' found"),
    ],
)
def test_word_that_cannot_be_right_is_the_error_before_the_option_before_it(words, text):
    assert f"error: {text}\n\nUsage: nitro-cli pcr [OPTIONS]\n" in error("pcr", *words)


def test_sub_command_has_no_version():
    assert "unexpected argument '-V' found" in error("describe-enclaves", "-V")


def test_nothing_is_answered_with_the_help_as_an_error():
    assert Answer(errors=call("--help").output, status=2) == call()


@pytest.mark.parametrize("words", [("-h",), ("--help", "x"), ("help",)])
def test_help_is_printed(words):
    assert call("--help") == call(*words)
    assert 0 == call(*words).status


@pytest.mark.parametrize("command", LEAST)
def test_help_of_a_sub_command_names_every_option(command):
    found = call(command, "--help")

    assert (0, "") == (found.status, found.errors)
    assert found == call(command, "-h") == call("help", command)
    listed = [word for word in found.output.split() if word.startswith("--")]
    for one in COMMANDS:
        if one.name == command:
            for option in one.options:
                assert f"--{option.name}" in listed


def test_help_wins_over_what_follows_and_not_over_what_precedes():
    assert 0 == call("describe-eif", "--help", "--nothing").status
    assert "unexpected argument 'x'" in error("describe-eif", "x", "--help")


def test_help_of_an_unknown_sub_command_is_an_error():
    assert "error: unrecognized subcommand 'x'\n\nUsage: nitro-cli [" in error("help", "x")
    assert "unrecognized subcommand 'x'\n\nUsage: nitro-cli pcr" in error("help", "pcr", "x")


@pytest.mark.parametrize("word", ["xyzzy", "-", ""])
def test_unknown_sub_command_is_an_error(word):
    assert (
        f"error: unrecognized subcommand '{word}'\n\nUsage: nitro-cli [COMMAND]\n\n"
        "For more information, try '--help'.\n"
    ) == error(word)


def test_similar_sub_commands_are_suggested():
    assert "\n\n  tip: a similar subcommand exists: 'console'\n\n" in error("consol")
    assert "\n\n  tip: some similar subcommands exist: " in error("describe-enclave")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("", "", 1.0),
        ("a", "", 0.0),
        ("a", "b", 0.0),
        ("a", "a", 1.0),
        ("martha", "marhta", 0.944),
        ("dixon", "dicksonx", 0.767),
    ],
)
def test_similarity_of_texts(first, second, expected):
    assert expected == round(jaro(first, second), 3)


def test_likeliest_name_is_the_last():
    assert ["describe-eif", "describe-enclaves"] == similar(
        "describe-enclave", ["describe-eif", "pcr", "describe-enclaves"]
    )
