"""What of a kernel's command line comes to the init."""

import pytest

from nitrosim.backends.eif_cmdline import init_call

AWS = (
    "reboot=k panic=30 pci=off nomodules console=ttyS0 i8042.noaux i8042.nomux i8042.nopnp "
    "i8042.dumbkbd random.trust_cpu=on"
)
USUAL = {"HOME": "/", "TERM": "linux"}


def test_without_a_word_there_is_init_with_the_usual_environment():
    assert ("/init", (), USUAL) == init_call("")
    assert ("/init", (), USUAL) == init_call(" \n\t")


def test_of_the_words_of_nitro_cli_the_kernel_does_not_know_one():
    assert ("/init", ("nomodules",), USUAL) == init_call(AWS)
    assert ("/init", ("nomodules",), USUAL) == init_call(f"{AWS} root=/dev/ram0")


def test_unknown_words_are_arguments_and_unknown_values_variables():
    call = init_call("console=ttyS0 single APP=web quiet verbose APP_PORT=80")

    assert ("single", "verbose") == call.arguments
    assert {**USUAL, "APP": "web", "APP_PORT": "80"} == call.environment


def test_a_later_variable_takes_the_place_of_an_earlier_one():
    assert {"HOME": "/root", "TERM": "", "A": "2"} == init_call(
        "A=1 HOME=/root TERM= A=2"
    ).environment


@pytest.mark.parametrize(
    "known", ["quiet", "cgroup-disable=memory", "cgroup_disable=memory", "x.y=1", "x.y"]
)
def test_parameters_of_the_kernel_and_of_modules_do_not_come_to_init(known):
    assert ("/init", (), USUAL) == init_call(known)


def test_a_value_with_a_dot_is_no_parameter_of_a_module():
    assert {**USUAL, "HOST": "a.b"} == init_call("HOST=a.b").environment


def test_the_init_is_that_of_rdinit():
    assert "/sbin/start" == init_call("rdinit=/sbin/start").program
    assert "/init" == init_call("init=/sbin/start").program
    assert ("/init", (), USUAL) == init_call("rdinit")


@pytest.mark.parametrize("word", ["rdinit=/x", "init=/x"])
def test_arguments_before_the_name_of_an_init_are_dropped(word):
    call = init_call(f"auto A=1 {word} single")

    assert (("single",), "1") == (call.arguments, call.environment["A"])


def test_all_behind_two_dashes_are_arguments():
    call = init_call("A=1 -- quiet B=2 x.y -- rdinit=/x")

    assert ("quiet", "B=2", "x.y", "--", "rdinit=/x") == call.arguments
    assert ("/init", {**USUAL, "A": "1"}) == (call.program, call.environment)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"one word"', ("one word",)),
        ('one" "word', ('one" "word',)),
        ('-- A="b c"', ("A=b c",)),
        ('-- "A=b c"', ("A=b c",)),
        ('-- A="b" c', ("A=b", "c")),
        ('-- A=b"c d"', ('A=b"c d"',)),
        ('-- "never closed and', ("never closed and",)),
        ("=x", ("=x",)),
        ("a\0b c", ("a",)),
    ],
)
def test_quotes_keep_spaces_and_go_at_the_ends(text, words):
    assert words == init_call(text).arguments


def test_bytes_that_are_no_text_are_kept():
    assert ("\udcff",) == init_call("\udcff").arguments
