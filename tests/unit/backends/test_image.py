"""The measurements of an image, against the formula worked out by hand."""

import hashlib

from nitrosim.backends.image import measure


def sha384(data):
    return hashlib.sha384(data).digest()


def test_registers_are_extended_once_with_the_hash_of_the_sections():
    found = measure(kernel=b"K", cmdline=b"C", bootstrap=b"B", application=b"A")

    assert {
        0: sha384(bytes(48) + sha384(b"KCBA")),
        1: sha384(bytes(48) + sha384(b"KCB")),
        2: sha384(bytes(48) + sha384(b"A")),
    } == found


def test_an_image_without_application_has_two_equal_registers():
    found = measure(kernel=b"K", cmdline=b"C", bootstrap=b"B", application=b"")

    assert found[0] == found[1] != found[2]
