"""A verified document comes out of a verification and of nothing else."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import sys

import pytest

from nitrosim.attestation import Claims, UnsafeSkipPcrs, VerifiedDocument, Verifier, read_unverified


@pytest.fixture
def document(forge):
    return Verifier([forge.root], now=lambda: forge.now).verify(forge.document(), UnsafeSkipPcrs())


def fields(value):
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def test_it_cannot_be_called_into_being(document):
    for arguments in ({}, fields(document)):
        with pytest.raises(TypeError, match=r"only Verifier\.verify"):
            VerifiedDocument(**arguments)


def test_claims_do_not_turn_into_it(forge):
    claims = read_unverified(forge.document()).claims
    with pytest.raises(TypeError, match=r"only Verifier\.verify"):
        VerifiedDocument(**fields(claims), root_sha256=bytes(32), evaluated_at=forge.now, live=True)

    assert not isinstance(claims, VerifiedDocument)


def test_nothing_in_it_can_be_replaced(document):
    with pytest.raises(TypeError, match=r"only Verifier\.verify"):
        dataclasses.replace(document, user_data=b"other")


@pytest.mark.skipif(sys.version_info < (3, 13), reason="copy.replace came with Python 3.13")
def test_nothing_in_it_can_be_replaced_by_copying(document):
    with pytest.raises(TypeError, match=r"only Verifier\.verify"):
        copy.replace(document, user_data=b"other")


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(VerifiedDocument)])
def test_nothing_in_it_can_be_written(document, name):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(document, name, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(document, name)


def test_a_copy_is_the_document_itself(document):
    assert document is copy.copy(document)
    assert document is copy.deepcopy(document)
    assert document is copy.deepcopy([document])[0]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(document, protocol):
    with pytest.raises(TypeError, match="verify them again"):
        pickle.dumps(document, protocol)


def test_it_has_everything_that_was_claimed(forge, document):
    claims = read_unverified(forge.document()).claims

    assert fields(claims) == {name: fields(document)[name] for name in fields(claims)}
    assert isinstance(document, Claims)


def test_all_of_its_fields_are_shown(document):
    shown = repr(document)

    assert all(f"{name}=" in shown for name in fields(document))


def test_signature_of_its_type_promises_nothing():
    parameters = inspect.signature(VerifiedDocument).parameters.values()

    assert {"VAR_POSITIONAL", "VAR_KEYWORD"} == {parameter.kind.name for parameter in parameters}


def test_a_document_can_be_a_member_of_a_set(forge):
    verifier = Verifier([forge.root], now=lambda: forge.now)
    document, again = (verifier.verify(forge.document(), UnsafeSkipPcrs()) for _ in range(2))

    assert 1 == len({document, again})
