"""The reader for Enclave Image Files, with metadata and signature.

Whatever the bytes: an image or an `EifError` that names a place in them. Its sections are those of
a plain walk, its checksum that of zlib, its signature section what cbor2 reads, its description
JSON. What boots can be read; and what can be read has the same description when its checksum is
put right, which lets damaged images come to the other checks of booting.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import cbor2

from fuzzing import library, mutation, oracle, plain
from nitrosim.eif import Eif, EifError, describe, describe_as_text
from nitrosim.eif.sections import SectionType
from nitrosim.eif.signature import write_section

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from fuzzing.mutation import Havoc
    from nitrosim.eif.signature import SignatureSection


def seeds() -> Sequence[bytes]:
    """Return the images in the repository."""
    return library.images()


def target(data: bytes) -> None:
    """Read, walk, describe, and read again with the right checksum."""
    eif = _read(data)
    if eif is None:
        assert _read(data, boot=True) is None
        return
    assert plain.walk(data) == [
        (section.type, section.offset, section.end) for section in eif.sections
    ]
    assert plain.checksum(data) == eif.checksum
    for section in eif.sections_of(SectionType.SIGNATURE):
        assert cbor2.loads(bytes(eif.payload(section)))[0]["signature"] is not None
    repaired = plain.with_checksum(data)
    booted = _read(repaired, boot=True)
    assert booted is None or booted.sections == eif.sections
    assert (_read(data, boot=True) is None) == (booted is None or not eif.checksum_is_right)
    try:
        described = describe(eif)
    except EifError as error:
        _check(error, data)
        return
    assert described == json.loads(describe_as_text(eif))
    again = describe(Eif.from_bytes(repaired))
    assert {**described, "CheckCRC": True} == again


def mutate(data: bytes, random: Random, havoc: Havoc | None = None) -> bytes:
    """Change bytes anywhere, or the content of one section and what depends on its length."""
    blind = havoc or (lambda octets: mutation.blindly(octets, random))
    try:
        eif = Eif.from_bytes(data)
    except EifError:
        return blind(data)[: mutation.MAX_BYTES]
    if not eif.sections or random.random() < 0.3:
        return blind(data)[: mutation.MAX_BYTES]
    section = random.choice(eif.sections)
    content = bytes(eif.payload(section))
    if section.type is SectionType.SIGNATURE and eif.signature and random.random() < 0.7:
        content = _other_signature(eif.signature, random, havoc)
    else:
        content = blind(content)
    changed = replace(section, size=len(content)).header() + content
    result = data[: section.offset] + changed + data[section.end :]
    return (plain.with_tables(result) if random.random() < 0.7 else result)[: mutation.MAX_BYTES]


def _other_signature(section: SignatureSection, random: Random, havoc: Havoc | None) -> bytes:
    """Change the certificate or the COSE structure, and not how they are written down."""
    certificate, cose = section.entries[0].certificate, section.entries[0].cose
    if random.random() < 0.5:
        return write_section(certificate, mutation.mutate(cose, random, havoc))
    return write_section(mutation.blindly(certificate, random), cose)


def _read(data: bytes, *, boot: bool = False) -> Eif | None:
    try:
        return Eif.from_bytes(data, check="boot" if boot else "cli")
    except EifError as error:
        _check(error, data)
        return None


def _check(error: EifError, data: bytes) -> None:
    oracle.check_refusal(error)
    assert error.offset is None or 0 <= error.offset <= len(data)
