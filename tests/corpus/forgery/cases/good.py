"""Good documents in every form that the real module gives, or AWS's text allows.

A verifier that refuses one of the weight "must" is of no use in the field.
"""

from __future__ import annotations

from forgery import cbor, keys
from forgery.case import Made, accept, judged
from forgery.cases.payload_values import tpm_document
from forgery.forge import Forge


@accept("indefinite-length")
def as_today(forge: Forge) -> Made:
    """As enclaves make them since 2025: a payload map of indefinite length, key identifiers at
    the instance's CA, a serial of 21 octets."""
    return forge.document()


@accept("real-profile")
def as_in_2021(forge: Forge) -> Made:
    """As enclaves made them until 2024: a definite map, no key identifiers at the instance's
    CA."""
    forge.indefinite = False
    forge.without("instance", "551d0e").without("instance", "551d23")
    return forge.document()


@accept("indefinite-length")
def definite_map(forge: Forge) -> Made:
    """The payload map is definite, as until 2025."""
    return forge.document(cbor.mapping(forge.entries()))


@accept("indefinite-length", weight="should")
def everything_of_indefinite_length(forge: Forge) -> Made:
    """pcrs and cabundle have indefinite length too: never seen, and the next step to expect."""
    pcrs = cbor.mapping(cbor.entries(dict(forge.pcrs())), indefinite=True)
    bundle = cbor.array(map(cbor.dumps, forge.chain()[:-1]), indefinite=True)
    entries = dict(forge.entries())
    entries |= {cbor.dumps("pcrs"): pcrs, cbor.dumps("cabundle"): bundle}
    return forge.document(cbor.mapping(list(entries.items()), indefinite=True))


@accept("input-form", weight="should")
def tagged_18(forge: Forge) -> Made:
    """With the tag of COSE_Sign1, as AWS's text draws it and no module emits it."""
    return b"\xd2" + forge.document()


@accept("fixed-layout", weight="should")
def fields_in_another_order(forge: Forge) -> Made:
    """The fields stand in the opposite order."""
    return forge.document(forge.map(forge.entries()[::-1]))


@accept("fixed-layout", weight="should")
def numbers_in_long_heads(forge: Forge) -> Made:
    """PCR indices take two bytes each: the payload is signed as it is, so this is one form of
    it."""
    pcrs = [(cbor.head(0, index, 1), cbor.dumps(value)) for index, value in forge.pcrs().items()]
    entries = dict(forge.entries()) | {cbor.dumps("pcrs"): cbor.mapping(pcrs)}
    return forge.document(forge.map(list(entries.items())))


@accept("null-or-missing")
def optional_fields_null(forge: Forge) -> Made:
    """public_key, user_data and nonce are null, which AWS's text forbids and its module does."""
    document = forge.document(public_key=None, user_data=None, nonce=None)
    return judged(document, expect={"pcrs": {0: forge.pcrs()[0]}})


@accept("null-or-missing")
def optional_fields_missing(forge: Forge) -> Made:
    """public_key, user_data and nonce are not there at all."""
    document = forge.document(forge.map(forge.entries()[:-3]))
    return judged(document, expect={"pcrs": {0: forge.pcrs()[0]}})


@accept("null-or-missing")
def optional_fields_empty(forge: Forge) -> Made:
    """public_key, user_data and nonce are empty byte strings, as some clients ask for."""
    document = forge.document(public_key=b"", user_data=b"", nonce=b"")
    return judged(document, expect={"pcrs": {0: forge.pcrs()[0]}})


@accept("field-sizes")
def fields_of_512_bytes(forge: Forge) -> Made:
    """user_data and nonce of 512 bytes, the smaller of the two bounds in AWS's text."""
    data, nonce = (forge.random(f"512 {what}", 512) for what in ("data", "nonce"))
    expect = {"user_data": data, "nonce": nonce}
    return judged(forge.document(user_data=data, nonce=nonce), expect=expect)


@accept("field-sizes")
def fields_of_1024_bytes(forge: Forge) -> Made:
    """public_key, user_data and nonce of 1024 bytes each, the larger of the two bounds."""
    values = {
        name: forge.random(f"1024 {name}", 1024) for name in ("public_key", "user_data", "nonce")
    }
    return judged(forge.document(**values), expect=values)


@accept("field-sizes", weight="should")
def longer_fields_when_lenient(forge: Forge) -> Made:
    """A nonce of 2000 bytes, which the real module signs, for a verifier told to be lenient."""
    nonce = forge.random("2000 nonce", 2000)
    return judged(forge.document(nonce=nonce), expect={"nonce": nonce}, strict=False)


@accept("fixed-layout", weight="should")
def unknown_field_when_lenient(forge: Forge) -> Made:
    """A tenth field, for a verifier told to be lenient."""
    return judged(forge.document(nitrogpu_pcrs={0: b"", 1: None}), strict=False)


@accept("fixed-layout", "user-pcr")
def a_locked_user_pcr(forge: Forge) -> Made:
    """17 PCRs: the application has extended and locked PCR16."""
    value = forge.pcr(b"by the application")
    document = forge.document(pcrs=forge.pcrs() | {16: value})
    return judged(document, expect={"pcrs": {0: forge.pcrs()[0], 16: value}})


@accept("fixed-layout")
def all_pcrs_locked(forge: Forge) -> Made:
    """32 PCRs: the application has locked all of its own."""
    return forge.document(pcrs=forge.pcrs() | dict.fromkeys(range(16, 32), bytes(48)))


@accept("fixed-layout", weight="should")
def sparse_pcrs(forge: Forge) -> Made:
    """PCR0, 1, 2, 4 and 31 only."""
    pcrs = {index: forge.pcrs()[index] for index in (0, 1, 2, 4)}
    return forge.document(pcrs=pcrs | {31: forge.pcr(b"by the application")})


@accept("malleability")
def low_s(forge: Forge) -> Made:
    """The signature has the smaller of the two possible s."""
    payload = forge.payload()
    return forge.document(payload, signature=_with_s(forge.sign(payload), low=True))


@accept("malleability")
def high_s(forge: Forge) -> Made:
    """The signature has the greater of the two possible s, as more than half of real ones."""
    payload = forge.payload()
    return forge.document(payload, signature=_with_s(forge.sign(payload), low=False))


@accept("binding")
def public_key_that_is_no_key(forge: Forge) -> Made:
    """public_key is text that is not a key: the module does not look at it."""
    return judged(forge.document(public_key=b"dummy"), expect={"public_key": b"dummy"})


@accept("binding")
def public_key_rsa(forge: Forge) -> Made:
    """public_key is an RSA key in DER, as KMS wants it."""
    key = keys.rsa_key_info(f"{forge.label} recipient")
    return judged(forge.document(public_key=key), expect={"public_key": key})


@accept("fixed-layout", weight="should")
def short_instance_id(forge: Forge) -> Made:
    """An instance id of eight digits, as instances made before 2016 have."""
    short = Forge(forge.label, indefinite=True)
    for level in ("instance", "leaf"):
        subject = short.levels[level].subject.replace(forge.instance, forge.instance[:10])
        short.change(level, subject=subject)
    pcrs = short.pcrs() | {4: forge.pcr(forge.instance[:10].encode())}
    module = forge.module.replace(forge.instance, forge.instance[:10])
    return short.document(module_id=module, pcrs=pcrs)


@accept("nitrotpm")
def nitrotpm_when_asked_for(forge: Forge) -> Made:
    """A NitroTPM document of 24 registers, for a caller that asks for one."""
    return judged(tpm_document(forge), document_type="nitrotpm")


def _with_s(signature: bytes, *, low: bool) -> bytes:
    s = int.from_bytes(signature[48:], "big")
    other = keys.ORDER - s
    wanted = min(s, other) if low else max(s, other)
    return signature[:48] + wanted.to_bytes(48, "big")
