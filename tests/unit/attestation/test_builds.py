"""Expected PCRs out of what builders print, of one release and of several side by side."""

from __future__ import annotations

import json

import pytest

from nitrosim.attestation import AnyOf, Pcrs, UnsafeSkipPcrs, Verifier
from nitrosim.attestation.errors import ExpectationError, PolicyError


def values(number, *indices):
    return {index: bytes([number, index]) * 24 for index in indices}


def build(number, *, signed=False):
    """What `nitro-cli build-enclave` prints about the image of this number."""
    indices = (0, 1, 2, 8) if signed else (0, 1, 2)
    hexed = {f"PCR{index}": value.hex() for index, value in values(number, *indices).items()}
    return json.dumps({"Measurements": {"HashAlgorithm": "Sha384 { ... }", **hexed}}, indent=2)


def expected(policy):
    return [release.expected for release in policy.policies]


def misuse(make, *arguments):
    with pytest.raises(ExpectationError) as caught:
        make(*arguments)
    return caught.value.code


BOTH = {
    "two outputs": (build(1), build(2, signed=True)),
    "bytes": (build(1).encode(), build(2, signed=True).encode()),
    "one behind the other": (build(1) + "\n" + build(2, signed=True) + "\n",),
    "without anything between": (build(1) + build(2, signed=True),),
    "an array": (f"[{build(1)}, {build(2, signed=True)}]",),
    "arrays and objects": (f"[{build(1)}] {build(2, signed=True)}",),
    "with a byte order mark": (b"\xef\xbb\xbf" + build(1).encode(), build(2, signed=True)),
}


@pytest.mark.parametrize("outputs", BOTH.values(), ids=BOTH)
def test_several_releases_in_any_form(outputs):
    assert [values(1, 0, 1, 2), values(2, 0, 1, 2, 8)] == expected(AnyOf.from_builds(*outputs))


def test_one_release_is_enough():
    assert [values(1, 0, 1, 2)] == expected(AnyOf.from_builds(build(1)))


def test_documents_of_each_release_and_of_no_mixture_are_accepted(forge):
    verifier = Verifier([forge.root], now=lambda: forge.now)
    releases = AnyOf.from_builds(build(1), build(2))

    for number in (1, 2):
        verifier.verify(forge.document(pcrs=forge.pcrs() | values(number, 0, 1, 2)), releases)
    for pcrs in (values(3, 0, 1, 2), values(1, 0, 1) | values(2, 2)):
        with pytest.raises(PolicyError) as caught:
            verifier.verify(forge.document(pcrs=forge.pcrs() | pcrs), releases)
        assert "NO_ALTERNATIVE" == caught.value.code


@pytest.mark.parametrize("outputs", [BOTH["an array"], BOTH["one behind the other"]])
def test_one_policy_is_of_one_image(outputs):
    assert "PCR_EXPECTATION" == misuse(Pcrs.from_build, *outputs)


def test_an_array_of_one_is_one_image():
    assert values(1, 0, 1, 2) == Pcrs.from_build(f"[{build(1)}]").expected


def test_no_releases_are_refused():
    assert "EMPTY_POLICY" == misuse(AnyOf.from_builds)


@pytest.mark.parametrize(
    "output",
    [
        "",
        " \n",
        "[]",
        "null",
        "7",
        "[[{}]]",
        "{",
        build(1) + ",",
        build(1) + "junk",
        "Start building the Enclave Image...\n" + build(1),
        b"\xff\xfe",
        build(1).encode("utf-16"),
        "[" * 100_000,
        '{"a":' * 100_000,
        "1" * 10_000,
        None,
        {"Measurements": {}},
    ],
    ids=lambda output: repr(output)[:30],
)
def test_other_output_is_refused(output):
    assert "PCR_EXPECTATION" == misuse(AnyOf.from_builds, output)
    assert "PCR_EXPECTATION" == misuse(AnyOf.from_builds, build(1), output)
    assert "PCR_EXPECTATION" == misuse(Pcrs.from_build, output)


def test_a_release_without_measurements_spoils_all():
    assert "PCR_EXPECTATION" == misuse(AnyOf.from_builds, build(1), '{"Measurements": {}}')


def test_a_debug_enclave_is_no_release():
    zeros = json.dumps({"Measurements": {f"PCR{i}": "00" * 48 for i in (0, 1, 2)}})

    assert "ZERO_EXPECTATION" == misuse(AnyOf.from_builds, build(1), zeros)


def test_a_measurement_given_twice_is_refused():
    twice = build(1).replace('"PCR0"', f'"PCR0": "{"ab" * 48}", "PCR0"')

    assert "PCR_EXPECTATION" == misuse(Pcrs.from_build, twice)


def test_releases_and_other_demands_combine():
    assert 2 == len(AnyOf(AnyOf.from_builds(build(1)), UnsafeSkipPcrs()).policies)
