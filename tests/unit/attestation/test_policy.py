from __future__ import annotations

import dataclasses
import json

import pytest

from nitrosim.attestation import (
    AllOf,
    AnyOf,
    Claims,
    DocumentType,
    Instance,
    InstanceRole,
    Pcrs,
    Policy,
    SignedBy,
    UnsafeSkipPcrs,
)
from nitrosim.attestation.errors import ExpectationError, PolicyError

ONE, TWO, THREE = (bytes([n]) * 48 for n in (1, 2, 3))


def claims(**pcrs):
    return Claims(
        document_type=DocumentType.ENCLAVE,
        module_id="i-0123456789abcdef0-enc019abcdef0123456",
        timestamp_ms=1,
        pcrs={int(name[1:]): value for name, value in pcrs.items()},
        certificate=b"",
        cabundle=(),
        public_key=None,
        user_data=None,
        nonce=None,
    )


def refusal(policy, document):
    with pytest.raises(PolicyError) as caught:
        policy.check(document)
    return caught.value.code


def misuse(make, *arguments):
    with pytest.raises(ExpectationError) as caught:
        make(*arguments)
    return caught.value.code


def test_bytes_and_hex_mean_the_same():
    document = claims(p0=ONE, p1=TWO)

    assert Pcrs({0: ONE, 1: TWO}).check(document) is None
    assert Pcrs({0: ONE.hex(), 1: TWO.hex().upper()}).check(document) is None


def test_every_expected_pcr_must_match():
    assert "PCR_MISMATCH" == refusal(Pcrs({0: ONE, 1: THREE}), claims(p0=ONE, p1=TWO))


def test_an_absent_pcr_matches_nothing():
    assert "PCR_ABSENT" == refusal(Pcrs({8: ONE}), claims(p0=ONE))


def test_an_empty_value_in_the_claims_matches_nothing():
    assert "PCR_MISMATCH" == refusal(Pcrs({8: ONE}), claims(p8=b""))


@pytest.mark.parametrize(
    ("expected", "code"),
    [
        ({}, "EMPTY_POLICY"),
        ({0: bytes(48)}, "ZERO_EXPECTATION"),
        ({8: "00" * 48}, "ZERO_EXPECTATION"),
        ({16: bytes(48)}, "ZERO_EXPECTATION"),
        ({0: b""}, "PCR_EXPECTATION"),
        ({0: ""}, "PCR_EXPECTATION"),
        ({0: ONE[:32]}, "PCR_EXPECTATION"),
        ({0: "xy" * 48}, "PCR_EXPECTATION"),
        ({0: None}, "PCR_EXPECTATION"),
        ({32: ONE}, "PCR_EXPECTATION"),
        ({-1: ONE}, "PCR_EXPECTATION"),
        ({True: ONE}, "PCR_EXPECTATION"),
        ({"0": ONE}, "PCR_EXPECTATION"),
    ],
)
def test_expectations_that_accept_too_much_or_nothing_are_refused(expected, code):
    assert code == misuse(Pcrs, expected)


def test_role_and_instance_are_computed_from_text():
    # The role's value is printed in the AWS user guide; the instance's is of a real document.
    role = InstanceRole("arn:aws:iam::123456789012:role/Webserver").expected[3].hex()
    instance = Instance("i-0a6d65e7122308898").expected[4].hex()

    assert role.startswith("78fce75d")
    assert role.endswith("6921e6")
    pcr4 = (
        "924918fd59e1b8fb8ea12706ce92bdeecc90557a4f619d84271d7707e4d26951"
        "56b68b6146b49da741f291794a796120"
    )
    assert pcr4 == instance


@pytest.mark.parametrize(
    "arn", ["", "Webserver", "arn:aws:iam::1:user/me", "role/Webserver", None, b"arn:aws:role/"]
)
def test_only_a_role_arn_is_a_role(arn):
    assert "PCR_EXPECTATION" == misuse(InstanceRole, arn)


@pytest.mark.parametrize(
    "instance",
    ["", "0123", "I-0123", "i-", "i-0123456", "i-0123456789ABCDEF0", "i-0123456789abcdef01", None],
)
def test_only_an_instance_id_is_an_instance(instance):
    assert "PCR_EXPECTATION" == misuse(Instance, instance)


def test_signer_is_pcr_8():
    assert SignedBy(ONE).check(claims(p8=ONE)) is None
    assert "PCR_MISMATCH" == refusal(SignedBy(ONE), claims(p8=bytes(48)))
    assert "ZERO_EXPECTATION" == misuse(SignedBy, bytes(48))


def test_all_of_needs_all():
    both = AllOf(Pcrs({0: ONE}), Pcrs({1: TWO}))

    assert both.check(claims(p0=ONE, p1=TWO)) is None
    assert "PCR_MISMATCH" == refusal(both, claims(p0=ONE, p1=ONE))
    assert "PCR_MISMATCH" == refusal(both, claims(p0=TWO, p1=TWO))


def test_any_of_needs_one_as_a_whole():
    releases = AnyOf(Pcrs({0: ONE, 1: ONE}), Pcrs({0: TWO, 1: TWO}))

    assert releases.check(claims(p0=TWO, p1=TWO)) is None
    # Parts of two releases are no release.
    assert "NO_ALTERNATIVE" == refusal(releases, claims(p0=ONE, p1=TWO))


@pytest.mark.parametrize("combine", [AllOf, AnyOf])
def test_empty_combinations_are_refused(combine):
    assert "EMPTY_POLICY" == misuse(combine)


@pytest.mark.parametrize("combine", [AllOf, AnyOf])
@pytest.mark.parametrize("junk", [None, {0: ONE}, Pcrs, [Pcrs({0: ONE})]])
def test_only_policies_can_be_combined(combine, junk):
    assert "NO_POLICY" == misuse(combine, junk)


def test_any_of_lets_other_errors_out():
    class Broken:
        def check(self, claims):
            raise LookupError(claims.module_id)

    with pytest.raises(LookupError):
        AnyOf(Broken(), UnsafeSkipPcrs()).check(claims(p0=ONE))


def test_an_object_with_the_method_is_a_policy():
    class Mine:
        def check(self, claims):
            pass

    assert isinstance(Mine(), Policy)
    assert AllOf(Mine()).check(claims(p0=ONE)) is None


class Verdict:
    """A policy that returns what it should raise."""

    def __init__(self, verdict):
        self.verdict = verdict

    def check(self, claims):
        del claims
        return self.verdict


@pytest.mark.parametrize("verdict", [True, False, 0, "no"])
@pytest.mark.parametrize("wrap", [AllOf, AnyOf, lambda policy: AnyOf(policy, UnsafeSkipPcrs())])
def test_a_returned_verdict_is_no_approval(wrap, verdict):
    assert "NO_POLICY" == misuse(wrap(Verdict(verdict)).check, claims(p0=ONE))


@pytest.mark.parametrize("policy", [Pcrs({0: ONE}), SignedBy(ONE), AllOf(Pcrs({0: ONE}))])
def test_policies_cannot_be_changed(policy):
    name = "policies" if isinstance(policy, AllOf) else "expected"
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(policy, name, {})
    with pytest.raises(TypeError):
        getattr(policy, name)[0] = ONE


@pytest.mark.parametrize("given", [[ONE], "00", b"00", {0, 1}, 7])
def test_only_a_mapping_gives_pcrs(given):
    assert "PCR_EXPECTATION" == misuse(Pcrs, given)


def test_unsafe_skip_accepts_anything():
    assert UnsafeSkipPcrs().check(claims(p0=ONE)) is None


def measurements(**values):
    return {"HashAlgorithm": "Sha384 { ... }"} | {k: v.hex() for k, v in values.items()}


def test_build_output_pins_what_it_names():
    output = json.dumps({"Measurements": measurements(PCR0=ONE, PCR1=TWO, PCR2=THREE, PCR8=ONE)})

    assert {0: ONE, 1: TWO, 2: THREE, 8: ONE} == Pcrs.from_build(output).expected


def test_build_output_of_an_unsigned_image_has_no_pcr_8():
    output = json.dumps(measurements(PCR0=ONE, PCR1=TWO, PCR2=THREE)).encode()

    assert {0: ONE, 1: TWO, 2: THREE} == Pcrs.from_build(output).expected


@pytest.mark.parametrize(
    "output",
    [
        "",
        "null",
        "[]",
        "{}",
        b"\xff",
        '{"Measurements": 1}',
        json.dumps(measurements(PCR0=ONE, PCR1=TWO)),
        json.dumps({"Measurements": {"PCR0": 1, "PCR1": 2, "PCR2": 3}}),
    ],
)
def test_other_json_is_no_build_output(output):
    assert "PCR_EXPECTATION" == misuse(Pcrs.from_build, output)
