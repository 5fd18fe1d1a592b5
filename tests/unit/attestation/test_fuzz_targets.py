"""The fuzz targets without the fuzzer: over all their seeds, and over some thousands of mutations.

And whether they would notice: with a check of the verifier taken out, one of them must fail.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import itertools
import os
import random
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import ANY

import pytest

import targets
from fuzzing import library, mutation, seals, signatures, tree
from nitrosim.attestation import _cbor, _layout, certificate, chain, payload, revocation
from nitrosim.attestation.chain_cache import ChainCache
from nitrosim.attestation.steps import STEPS
from nitrosim.eif import cpio_reader, signing, writer
from nitrosim.eif.certificate import SigningCertificate
from nitrosim.images import folders
from thoroughness import part

# The package has a function of that name.
unpacking = importlib.import_module("nitrosim.images.unpack")

MUTANTS = {
    "walker": 2000,
    "layout": 3000,
    "certificate": 3000,
    "document": 800,
    "sealed": 600,
    "unverified": 1500,
    "revocation": 3000,
    "expectations": 3000,
    "inspection": 100,
    "image": 800,
    "signed": 100,
    "ramdisk": 60,
}
"""How many mutants each target gets here: about half a second's worth."""

FEW = 200
"""About how many seeds are tried here; the fuzzer begins with all of them."""


@functools.cache
def seeds(name):
    return targets.load(name).seeds()


def mutants(name, count, seed=0):
    """Make the same mutants in every run: each of a seed, or of a mutant of one."""
    module = targets.load(name)
    mutate = getattr(module, "mutate", mutation.mutate)
    choose = random.Random(seed)
    for _ in range(count):
        data = mutate(choose.choice(seeds(name)), choose)
        yield mutate(data, choose) if choose.random() < 0.3 else data


def test_every_target_has_its_share():
    folder = Path(targets.__file__).parent

    assert set(targets.TARGETS) == {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert set(targets.TARGETS) == set(MUTANTS)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_no_seed_breaks_a_promise(name):
    target = targets.load(name).target

    assert seeds(name)
    for data in part(seeds(name), 1 + len(seeds(name)) // FEW):
        target(data)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_no_mutant_breaks_a_promise(name):
    target = targets.load(name).target

    for data in mutants(name, MUTANTS[name]):
        target(data)


def test_what_was_read_as_a_tree_is_written_as_it_was():
    documents = part([*library.documents()], 3)

    assert documents == [tree.write(opened(tree.read(document))) for document in documents]


def opened(node):
    for child in node.children:
        opened(child)
    return node


def test_mutants_come_to_every_step_of_the_procedure():
    sealed = targets.load("sealed")
    reached = set()
    for data in (*seeds("sealed"), *mutants("sealed", 1000)):
        setting, document = sealed._prepared(data)
        live = bool(setting.switches & sealed.LIVE)
        answer = sealed._verify(setting.verifier(remembers=0), document, setting, live=live)
        reached.add(answer[1] if isinstance(answer, tuple) else 28)

    # Seals are right in form and in value.
    assert set(STEPS) - {7, 23} == reached


def test_mutants_come_to_every_reason_against_a_signature(monkeypatch):
    signed = targets.load("signed")
    verified, reached = signed._verified, set()

    def noted(*arguments):
        answer = verified(*arguments)
        reached.add(answer if isinstance(answer, str) else "verified")
        return answer

    monkeypatch.setattr(signed, "_verified", noted)
    for data in (*seeds("signed"), *mutants("signed", MUTANTS["signed"])):
        signed.target(data)

    reasons = {"CERTIFICATE", "CERTIFICATE_KEY", "COSE", "SIGNATURE_INVALID", "PCR0_MISMATCH"}
    times = {"CERTIFICATE_NOT_YET_VALID", "CERTIFICATE_EXPIRED"}
    assert {"verified", *reasons, *times} == reached


def test_sealing_keeps_good_documents_good():
    answers = []
    for case in library.good_cases():
        document = seals.sealed(library.document(case))
        assert document != library.document(case)
        answers.append(seals.sealed(document) == document)

    assert all(answers)


def twice_in_a_map(items, _start):
    return dict(zip(items[::2], items[1::2], strict=False))


def to_ten_seconds(cursor, read=certificate.read_time):
    return read(cursor) // 10 * 10


def by_the_leaf(cache, ders):
    return next((known for key, known in cache._chains.items() if key[-1] == ders[-1]), None)


def any_count(value):
    return len(value) if isinstance(value, bytes) else ANY


def nothing(*_):
    return None


def parts_of(name):
    return tuple(part for part in name.split(b"/") if part not in {b"", b"."})


def any_algorithm(data, read=signing.read_sign1, **where):
    return dataclasses.replace(read(data, **where), algorithm=ANY)


def trusting_key(certificate, load=SigningCertificate.public_key):
    key = load(certificate)
    return SimpleNamespace(curve=key.curve, public_numbers=key.public_numbers, verify=nothing)


def without_a_sum(content, source, size, _checksum, make=cpio_reader._Streamed.__init__):
    make(content, source, size, None)


def without_a_limit(writer, folders, _limit, make=unpacking._Writer.__init__):
    make(writer, folders, None)


def as_one_archive(source, _number, read=cpio_reader._archive):
    return read(source, 0)


def over_zeros(signer, _pcr0, sign=signing.sign_pcr0):
    return sign(signer, bytes(48))


SABOTAGE = {
    "a map key may come twice": ("walker", _cbor, "_map", twice_in_a_map),
    "names of fields are not read": ("layout", _layout, "_expect", lambda c, _, pos: pos + len(c)),
    "a register may come twice": ("layout", _layout, "len", any_count),
    "keyUsage is not read": ("certificate", certificate, "read_key_usage", lambda _: 0x84),
    "times are not read to the second": ("certificate", certificate, "read_time", to_ten_seconds),
    "any signature is good": ("document", signatures._Key, "verify", lambda *_: True),
    "any type will do": ("unverified", payload, "_typed_fields", lambda fields: (fields, ())),
    "nothing is revoked": ("revocation", revocation, "frozenset", lambda _: frozenset()),
    "anybody may issue": ("sealed", chain, "check_roles", nothing),
    "extensions are ignored": ("sealed", chain, "check_extensions", nothing),
    "key ids are ignored": ("sealed", chain, "check_key_ids", nothing),
    "validity is ignored": ("sealed", chain, "check_validity", nothing),
    "names are ignored": ("sealed", chain, "_agrees", lambda *_: True),
    "revocation is ignored": ("sealed", chain, "check_revocation", lambda *_, **__: 0),
    "chains are remembered by their leaf": ("sealed", ChainCache, "chain", by_the_leaf),
    "any PCR0 will do": ("signed", signing.VerifiedSignature, "is_over", lambda *_: True),
    "signers choose their algorithm": ("signed", signing, "read_sign1", any_algorithm),
    "any signature of an image is good": ("signed", SigningCertificate, "public_key", trusting_key),
    "signers never expire": ("signed", SigningCertificate, "check_time", nothing),
    "zeros are signed": ("signed", writer, "sign_pcr0", over_zeros),
    "sums of bytes are not compared": ("ramdisk", cpio_reader._Streamed, "__init__", without_a_sum),
    "inodes are the same in every archive": ("ramdisk", cpio_reader, "_archive", as_one_archive),
    "names may lead up": ("ramdisk", unpacking, "split_path", parts_of),
    "links on the way are followed": ("ramdisk", folders, "_OPEN", os.O_RDONLY),
    "files may have any size": ("ramdisk", unpacking._Writer, "__init__", without_a_limit),
    "directories stay open": ("ramdisk", folders.Folders, "close", nothing),
}


GROUP = {
    "check_roles": "role",
    "check_extensions": "restriction",
    "check_key_ids": "keyid",
    "check_validity": "validity",
    "_agrees": "name",
    "check_revocation": "revocation",
    "chain": "cache",
}
"""The group of the corpus that shows a flaw of `sealed`."""


def breaks(module, inputs):
    """Tell whether the target fails on one of the inputs."""
    for data in inputs:
        try:
            module.target(data)
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("flaw", SABOTAGE)
def test_a_flaw_is_noticed(flaw, monkeypatch):
    name, place, attribute, replacement = SABOTAGE[flaw]
    inputs = itertools.chain(seeds(name), mutants(name, 3 * MUTANTS[name]))
    if name == "sealed":
        # The documents made for this flaw come first, for no reason but time.
        groups = [case["id"].partition("/")[0] for case in library.cases()]
        meant = [
            seed
            for seed, group in zip(seeds(name), groups, strict=True)
            if group == GROUP[attribute]
        ]
        inputs = itertools.chain(meant, inputs)
    monkeypatch.setattr(place, attribute, replacement, raising=False)

    assert breaks(targets.load(name), inputs)
