"""The payload: fields that must be there, and their values. All of these are well signed."""

from __future__ import annotations

from forgery import cbor
from forgery.case import Made, judged, refuse
from forgery.cases._fields import also, without
from forgery.forge import Forge

GROUP = "payload"

# Presence


@refuse("MISSING_FIELD", "null-or-missing")
def module_id_missing(forge: Forge) -> Made:
    """There is no module_id."""
    return without(forge, "module_id")


@refuse("MISSING_FIELD", "null-or-missing", weight="should")
def digest_missing(forge: Forge) -> Made:
    """There is no digest."""
    return without(forge, "digest")


@refuse("MISSING_FIELD", "null-or-missing", "wrong-clock")
def timestamp_missing(forge: Forge) -> Made:
    """There is no timestamp."""
    return without(forge, "timestamp")


@refuse("MISSING_FIELD", "absent-pcr")
def pcrs_missing(forge: Forge) -> Made:
    """There are no pcrs."""
    return without(forge, "pcrs")


@refuse("MISSING_FIELD", "absent-pcr")
def pcrs_null(forge: Forge) -> Made:
    """pcrs is null."""
    return forge.document(pcrs=None)


@refuse("MISSING_FIELD", "null-or-missing")
def certificate_missing(forge: Forge) -> Made:
    """There is no certificate."""
    return without(forge, "certificate")


@refuse("MISSING_FIELD", "null-or-missing")
def certificate_null(forge: Forge) -> Made:
    """The certificate is null."""
    return forge.document(certificate=None)


@refuse("MISSING_FIELD", "self-signed-substitute")
def bundle_missing(forge: Forge) -> Made:
    """There is no bundle: nothing leads from the leaf to a root."""
    return without(forge, "cabundle")


@refuse("UNKNOWN_FIELD", "input-form", weight="should")
def unknown_field(forge: Forge) -> Made:
    """A tenth field with a name that nobody knows."""
    return forge.document(nitrogpu_pcrs={})


@refuse("UNKNOWN_FIELD", "input-form", weight="should")
def field_name_in_capitals(forge: Forge) -> Made:
    """A tenth field "Nonce", which some decoders match with "nonce"."""
    return also(forge, cbor.dumps("Nonce"), cbor.dumps(b"another nonce"))


# Values


@refuse("MODULE_ID", "null-or-missing", weight="should")
def module_id_odd(forge: Forge) -> Made:
    """module_id holds a line break and a terminal's control sequence beside its usual parts."""
    return forge.document(module_id=f"{forge.module}\n\x1b[2J")


@refuse("WRONG_DOCUMENT_TYPE", "null-or-missing", weight="should")
def module_id_empty(forge: Forge) -> Made:
    """module_id is empty text."""
    return forge.document(module_id="")


@refuse("MODULE_ID", "instance-id-form", weight="should")
def module_id_without_the_leading_zero(forge: Forge) -> Made:
    """module_id lacks the zero after enc, as in the enclave id that nitro-cli prints."""
    return forge.document(module_id=forge.module.replace("-enc0", "-enc"))


@refuse("DIGEST", "algorithm-confusion")
def digest_sha256(forge: Forge) -> Made:
    """digest says SHA256."""
    return forge.document(digest="SHA256")


@refuse("DIGEST", "algorithm-confusion", weight="should")
def digest_in_small_letters(forge: Forge) -> Made:
    """digest says sha384."""
    return forge.document(digest="sha384")


@refuse("TIMESTAMP_RANGE", "wrong-clock")
def timestamp_zero(forge: Forge) -> Made:
    """The timestamp is 0."""
    return forge.document(timestamp=0)


@refuse("TIMESTAMP_RANGE", "wrong-clock")
def timestamp_negative(forge: Forge) -> Made:
    """The timestamp is -1."""
    return forge.document(timestamp=-1)


@refuse("TIMESTAMP_RANGE", "wrong-clock", "limits")
def timestamp_beyond_any_calendar(forge: Forge) -> Made:
    """The timestamp is 2 to the 64 less one."""
    return judged(forge.document(timestamp=2**64 - 1), live=False)


@refuse("PCR_COUNT", "absent-pcr")
def no_pcrs(forge: Forge) -> Made:
    """pcrs is an empty map."""
    return forge.document(pcrs={})


@refuse("PCR_COUNT", "fixed-layout", weight="should")
def thirty_three_pcrs(forge: Forge) -> Made:
    """pcrs has 33 entries."""
    return forge.document(pcrs=forge.pcrs() | dict.fromkeys(range(16, 33), bytes(48)))


@refuse("PCR_INDEX", "fixed-layout", weight="should")
def pcr_32(forge: Forge) -> Made:
    """pcrs has an entry 32, one beyond the last register."""
    return forge.document(pcrs=forge.pcrs() | {32: bytes(48)})


@refuse("PCR_INDEX", "loose-types", weight="should")
def pcr_minus_1(forge: Forge) -> Made:
    """pcrs has an entry -1, which is the last one of a list in some languages."""
    return forge.document(pcrs=forge.pcrs() | {-1: bytes(48)})


@refuse("PCR_INDEX", "loose-types", "limits")
def pcr_beyond_a_byte(forge: Forge) -> Made:
    """pcrs has an entry 256, which is 0 in eight bits."""
    return forge.document(pcrs=forge.pcrs() | {256: bytes(48)})


@refuse("PCR_LENGTH", "absent-pcr")
def pcr_empty(forge: Forge) -> Made:
    """PCR8 has no bytes, and the caller expects a value."""
    document = forge.document(pcrs=forge.pcrs() | {8: b""})
    return judged(document, expect={"pcrs": {8: forge.pcrs()[8]}})


@refuse("PCR_LENGTH", "absent-pcr")
def pcr_cut_short(forge: Forge) -> Made:
    """PCR0 is the first 32 bytes of what is expected."""
    return forge.document(pcrs=forge.pcrs() | {0: forge.pcrs()[0][:32]})


@refuse("PCR_LENGTH", "absent-pcr")
def pcr_with_a_byte_more(forge: Forge) -> Made:
    """PCR0 is what is expected and a zero byte."""
    return forge.document(pcrs=forge.pcrs() | {0: forge.pcrs()[0] + b"\0"})


@refuse("PCR_LENGTH", "absent-pcr", weight="should")
def unexpected_pcr_of_32_bytes(forge: Forge) -> Made:
    """PCR15 has 32 bytes, and the caller expects nothing of it."""
    return forge.document(pcrs=forge.pcrs() | {15: bytes(32)})


@refuse("FIELD_LENGTH", "field-sizes", weight="should")
def nonce_of_1025_bytes(forge: Forge) -> Made:
    """The nonce is one byte longer than AWS documents; the real module signs it."""
    nonce = forge.random("long nonce", 1025)
    return judged(forge.document(nonce=nonce), expect={"nonce": nonce})


@refuse("FIELD_LENGTH", "field-sizes", weight="should")
def user_data_of_1025_bytes(forge: Forge) -> Made:
    """user_data is one byte longer than AWS documents; the real module signs it."""
    return forge.document(user_data=forge.random("long data", 1025))


@refuse("FIELD_LENGTH", "field-sizes", weight="should")
def public_key_of_1025_bytes(forge: Forge) -> Made:
    """public_key is one byte longer than AWS documents; the real module signs it."""
    return forge.document(public_key=forge.random("long key", 1025))


# NitroTPM


@refuse("WRONG_DOCUMENT_TYPE", "nitrotpm")
def tpm_registers(forge: Forge) -> Made:
    """nitrotpm_pcrs in the place of pcrs, with the expected values."""
    key = cbor.dumps("pcrs")
    entries = [(cbor.dumps("nitrotpm_pcrs") if k == key else k, v) for k, v in forge.entries()]
    return forge.document(forge.map(entries))


@refuse("WRONG_DOCUMENT_TYPE", "nitrotpm", weight="should")
def both_kinds_of_registers(forge: Forge) -> Made:
    """pcrs and nitrotpm_pcrs side by side."""
    return forge.document(nitrotpm_pcrs=forge.pcrs())


@refuse("WRONG_DOCUMENT_TYPE", "nitrotpm")
def genuine_tpm_document(forge: Forge) -> Made:
    """A perfect NitroTPM document of 24 registers where an enclave is asked for; its registers
    0 to 2 were extended to the expected values."""
    return tpm_document(forge)


@refuse("WRONG_DOCUMENT_TYPE", "nitrotpm")
def enclave_where_a_tpm_is_asked_for(forge: Forge) -> Made:
    """A perfect enclave document where a NitroTPM one is asked for."""
    return judged(forge.document(), document_type="nitrotpm")


@refuse("WRONG_DOCUMENT_TYPE", "nitrotpm", weight="should")
def tpm_module_with_enclave_registers(forge: Forge) -> Made:
    """The module_id of a NitroTPM, and pcrs."""
    return forge.document(module_id=f"{forge.instance}-tpm0000000000000000")


def tpm_document(forge: Forge) -> bytes:
    """Make a NitroTPM document: all 24 registers, no launch time, a leaf of its name."""
    module = f"{forge.instance}-tpm0000000000000000"
    issued = int(forge.now.timestamp())
    leaf = forge.levels["leaf"].subject.replace(forge.module, module)
    forge.change("leaf", subject=leaf, serial=issued)
    unused = dict.fromkeys(range(3, 17), bytes(48)) | dict.fromkeys(range(17, 23), b"\xff" * 48)
    registers = dict(sorted(({i: forge.pcrs()[i] for i in (0, 1, 2)} | unused).items()))
    registers[23] = bytes(48)
    fields = forge.fields(module_id=module)
    ordered = {("nitrotpm_pcrs" if name == "pcrs" else name): v for name, v in fields.items()}
    return forge.document(forge.map(cbor.entries(ordered | {"nitrotpm_pcrs": registers})))
