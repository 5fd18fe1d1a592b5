"""What the caller demands: perfect documents that are not the ones that were asked for."""

from __future__ import annotations

from forgery.case import Made, accept, judged, refuse
from forgery.forge import Forge


def _other(forge: Forge, what: str) -> bytes:
    return forge.pcr(f"another {what}".encode())


@accept("one-pcr-only")
def all_launch_pcrs_and_the_signer(forge: Forge) -> Made:
    """PCR0, 1, 2, 3, 4 and 8 are all as expected."""
    pcrs = {index: forge.pcrs()[index] for index in (0, 1, 2, 3, 4, 8)}
    return judged(forge.document(), expect={"pcrs": pcrs, "nonce": forge.nonce})


@refuse("PCR_MISMATCH", "no-pcr-policy")
def enclave_of_somebody_else(forge: Forge) -> Made:
    """A perfect document of another customer's enclave: none of its PCRs is expected."""
    pcrs = forge.pcrs() | {i: _other(forge, f"customer's {i}") for i in (0, 1, 2, 3, 8)}
    return forge.document(pcrs=pcrs)


@refuse("PCR_MISMATCH", "no-pcr-policy")
def pcr0_differs_in_the_last_bit(forge: Forge) -> Made:
    """PCR0 differs from what is expected in its last bit."""
    value = forge.pcrs()[0]
    return forge.document(pcrs=forge.pcrs() | {0: value[:-1] + bytes([value[-1] ^ 1])})


@refuse("PCR_MISMATCH", "one-pcr-only")
def bytes_moved_between_sections(forge: Forge) -> Made:
    """PCR0 is as expected, PCR1 and PCR2 are not: bytes moved from one ramdisk to the next."""
    pcrs = forge.pcrs() | {1: _other(forge, "split"), 2: _other(forge, "remainder")}
    return forge.document(pcrs=pcrs)


@refuse("PCR_MISMATCH", "one-pcr-only")
def another_image_by_the_same_signer(forge: Forge) -> Made:
    """PCR8 is as expected, the image is another one, perhaps an old one."""
    pcrs = forge.pcrs() | {i: _other(forge, f"image {i}") for i in (0, 1, 2)}
    expected = {index: forge.pcrs()[index] for index in (0, 1, 2, 8)}
    return judged(forge.document(pcrs=pcrs), expect={"pcrs": expected, "nonce": forge.nonce})


@refuse("PCR_MISMATCH", "one-pcr-only")
def another_signer(forge: Forge) -> Made:
    """The image is as expected, PCR8 is that of another signer."""
    document = forge.document(pcrs=forge.pcrs() | {8: _other(forge, "signer")})
    return judged(document, expect={"pcrs": {0: forge.pcrs()[0], 8: forge.pcrs()[8]}})


@refuse("PCR_MISMATCH", "one-pcr-only")
def unsigned_image(forge: Forge) -> Made:
    """PCR8 is zero (an unsigned image) where a signer is expected."""
    document = forge.document(pcrs=forge.pcrs() | {8: bytes(48)})
    return judged(document, expect={"pcrs": {8: forge.pcrs()[8]}})


@refuse("PCR_MISMATCH", "no-pcr-policy")
def another_role(forge: Forge) -> Made:
    """PCR3 is that of another IAM role."""
    document = forge.document(pcrs=forge.pcrs() | {3: _other(forge, "role")})
    return judged(document, expect={"pcrs": {0: forge.pcrs()[0], 3: forge.pcrs()[3]}})


@refuse("PCR_ABSENT", "absent-pcr")
def signer_pcr_absent(forge: Forge) -> Made:
    """A signer is expected, and the document has no PCR8 at all."""
    pcrs = forge.pcrs()
    expected = {"pcrs": {8: pcrs.pop(8)}}
    return judged(forge.document(pcrs=pcrs), expect=expected)


@refuse("PCR_ABSENT", "absent-pcr")
def image_pcr_absent(forge: Forge) -> Made:
    """PCR0 is expected, and the document has none."""
    pcrs = forge.pcrs()
    del pcrs[0]
    return forge.document(pcrs=pcrs)


@refuse("PCR_ABSENT", "absent-pcr", "user-pcr")
def user_pcr_not_locked(forge: Forge) -> Made:
    """PCR16 is expected; the enclave has not locked it, so it is not in the document."""
    return judged(forge.document(), expect={"pcrs": {16: forge.pcr(b"by the application")}})


@refuse("PCR_MISMATCH", "user-pcr")
def image_pcr_in_a_user_register(forge: Forge) -> Made:
    """PCR16 holds the value that is expected of PCR0, and PCR0 is another."""
    pcrs = forge.pcrs() | {0: _other(forge, "image"), 16: forge.pcrs()[0]}
    return forge.document(pcrs=pcrs)


@refuse("ZERO_EXPECTATION", "debug-mode", "no-pcr-policy")
def zeros_expected_of_a_debug_enclave(forge: Forge) -> Made:
    """A debug enclave, and a caller whose configuration was left at zeros."""
    pcrs = forge.pcrs() | dict.fromkeys((0, 1, 2, 8), bytes(48))
    expect = {"pcrs": dict.fromkeys((0, 1, 2), bytes(48)), "nonce": forge.nonce}
    return judged(forge.document(pcrs=pcrs), expect=expect)


@refuse("ZERO_EXPECTATION", "one-pcr-only")
def zeros_expected_of_the_signer(forge: Forge) -> Made:
    """An unsigned image, and a caller that expects PCR8 to be zero: everything unsigned passes."""
    document = forge.document(pcrs=forge.pcrs() | {8: bytes(48)})
    return judged(document, expect={"pcrs": {8: bytes(48)}, "nonce": forge.nonce})


@refuse("ZERO_EXPECTATION", "absent-pcr", "debug-mode")
def zeros_expected_of_an_absent_pcr(forge: Forge) -> Made:
    """PCR16 is not in the document, and the caller expects zeros."""
    return judged(forge.document(), expect={"pcrs": {16: bytes(48)}})


@refuse("DEBUG_MODE", "debug-mode")
def debug_mode(forge: Forge) -> Made:
    """PCR0, 1, 2 and 8 are zero; what the caller expects of PCR3 and PCR4 is right."""
    pcrs = forge.pcrs() | dict.fromkeys((0, 1, 2, 8), bytes(48))
    expected = {index: forge.pcrs()[index] for index in (3, 4)}
    return judged(forge.document(pcrs=pcrs), expect={"pcrs": expected, "nonce": forge.nonce})


@refuse("DEBUG_MODE", "debug-mode")
def only_pcr2_zero(forge: Forge) -> Made:
    """Only PCR2 is zero, which the caller expects nothing of."""
    expected = {index: forge.pcrs()[index] for index in (0, 1)}
    return judged(forge.document(pcrs=forge.pcrs() | {2: bytes(48)}), expect={"pcrs": expected})


@accept("debug-mode")
def debug_mode_allowed(forge: Forge) -> Made:
    """A debug enclave whose caller says that debug mode is allowed."""
    pcrs = forge.pcrs() | dict.fromkeys((0, 1, 2, 8), bytes(48))
    expect = {"pcrs": {4: forge.pcrs()[4]}, "nonce": forge.nonce}
    return judged(forge.document(pcrs=pcrs), expect=expect, allow_debug=True)


@refuse("LAUNCH_PCR_ABSENT", "debug-mode", "absent-pcr", weight="should")
def launch_pcr_absent(forge: Forge) -> Made:
    """PCR1 is absent and nothing is expected of it: debug mode cannot be excluded."""
    pcrs = forge.pcrs()
    del pcrs[1]
    return judged(forge.document(pcrs=pcrs), expect={"pcrs": {0: pcrs[0], 2: pcrs[2]}})


# What binds a document to a conversation


@accept("binding")
def all_three_fields(forge: Forge) -> Made:
    """nonce, user_data and public_key are all as expected."""
    key = forge.random("a key", 65)
    expect = {"nonce": forge.nonce, "user_data": b"user data", "public_key": key}
    return judged(forge.document(public_key=key), expect=expect)


@refuse("NONCE_MISMATCH", "binding")
def another_nonce(forge: Forge) -> Made:
    """The nonce is another one: a replay."""
    return forge.document(nonce=forge.random("old nonce", 16))


@refuse("NONCE_MISMATCH", "binding")
def nonce_cut_short(forge: Forge) -> Made:
    """The nonce is the first half of the expected one."""
    return forge.document(nonce=forge.nonce[:8])


@refuse("NONCE_MISMATCH", "binding")
def nonce_with_a_byte_more(forge: Forge) -> Made:
    """The nonce is the expected one and a zero byte."""
    return forge.document(nonce=forge.nonce + b"\0")


@refuse("NONCE_MISMATCH", "binding", "null-or-missing")
def nonce_empty(forge: Forge) -> Made:
    """The nonce is an empty byte string."""
    return forge.document(nonce=b"")


@refuse("NONCE_ABSENT", "binding", "null-or-missing")
def nonce_null(forge: Forge) -> Made:
    """A nonce is expected, and the document's is null."""
    return forge.document(nonce=None)


@refuse("NONCE_ABSENT", "binding", "null-or-missing")
def nonce_missing(forge: Forge) -> Made:
    """A nonce is expected, and the document has no such field."""
    return forge.document(forge.map(forge.entries()[:-1]))


@refuse("NONCE_ABSENT", "binding")
def nonce_in_user_data(forge: Forge) -> Made:
    """The expected nonce stands in user_data."""
    return forge.document(nonce=None, user_data=forge.nonce)


@refuse("EMPTY_EXPECTATION", "binding", "null-or-missing")
def empty_nonce_expected(forge: Forge) -> Made:
    """The caller expects an empty nonce, which any careless client has."""
    return judged(forge.document(nonce=b""), expect={"nonce": b""})


@refuse("USER_DATA_MISMATCH", "binding")
def another_user_data(forge: Forge) -> Made:
    """user_data was made for another purpose."""
    document = forge.document(user_data=b"sign-in: alice")
    return judged(document, expect={"user_data": b"payment: alice"})


@refuse("USER_DATA_ABSENT", "binding", "null-or-missing")
def user_data_missing(forge: Forge) -> Made:
    """user_data is expected, and the document has no such field."""
    entries = forge.entries()
    return judged(
        forge.document(forge.map([*entries[:-2], entries[-1]])), expect={"user_data": b"user data"}
    )


@refuse("PUBLIC_KEY_ABSENT", "binding", "null-or-missing")
def public_key_null(forge: Forge) -> Made:
    """A public key is expected, and the document's is null."""
    return judged(forge.document(), expect={"public_key": forge.random("a key", 65)})


@refuse("PUBLIC_KEY_MISMATCH", "binding")
def public_key_of_the_middleman(forge: Forge) -> Made:
    """public_key is another one than that of the channel."""
    document = forge.document(public_key=forge.random("the middleman's", 65))
    return judged(document, expect={"public_key": forge.random("the channel's", 65)})
