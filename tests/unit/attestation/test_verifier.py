from __future__ import annotations

import dataclasses
import hmac
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import cbor2
import pytest

from nitrosim.attestation import (
    AllOf,
    AnyOf,
    AttestationError,
    DocumentType,
    Historic,
    Instance,
    Live,
    Pcrs,
    UnsafeSkipPcrs,
    Verifier,
    demands,
    p384,
    read_unverified,
)
from nitrosim.attestation.errors import ExpectationError
from nitrosim.attestation.steps import STEPS, Outcome

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def verifier(forge):
    return Verifier([forge.root], now=lambda: forge.now)


def tpm_fields(forge):
    """The shape of a real NitroTPM document: all 24 registers, no launch time."""
    module = f"{forge.instance}-tpm0000000000000000"
    forge.change("leaf", subject=f"{module}.{forge.region}.forge")
    fields = forge.fields(module_id=module)
    fields["nitrotpm_pcrs"] = dict.fromkeys(range(24), b"\xff" * 48)
    del fields["pcrs"]
    return fields


def test_content_of_a_verified_document(forge, verifier):
    document = verifier.verify(forge.document(), Pcrs({0: forge.pcrs()[0]}))

    assert forge.pcrs() == document.pcrs
    assert forge.module == document.module_id
    assert forge.instance == document.instance_id
    assert forge.now == document.timestamp
    assert forge.now == document.evaluated_at
    assert (b"user data", b"a fresh nonce") == (document.user_data, document.nonce)
    assert document.public_key is None
    assert (True, False) == (document.live, document.debug)


def test_a_verified_document_cannot_be_changed(forge, verifier):
    document = verifier.verify(forge.document(), UnsafeSkipPcrs())

    with pytest.raises(dataclasses.FrozenInstanceError):
        document.user_data = b"other"
    with pytest.raises(TypeError):
        document.pcrs[0] = bytes(48)


def test_lenient_takes_what_strict_refuses(forge, verifier):
    document = forge.document(nonce=bytes(2000), nitrogpu_pcrs={0: [1, None]})
    with pytest.raises(AttestationError):
        verifier.verify(document, UnsafeSkipPcrs())
    verified = verifier.verify(document, UnsafeSkipPcrs(), strict=False)

    assert ("nitrogpu_pcrs",) == verified.unknown_fields
    assert 2000 == len(verified.nonce)


def test_lenient_still_verifies_the_signature(forge, verifier):
    document = forge.document(signature=forge.sign(b"another payload"))
    with pytest.raises(AttestationError) as caught:
        verifier.verify(document, UnsafeSkipPcrs(), strict=False)

    assert "BAD_SIGNATURE" == caught.value.code


def test_nitrotpm_document_when_asked_for(forge, verifier):
    document = forge.document(cbor2.dumps(tpm_fields(forge)))
    verified = verifier.verify(
        document, Pcrs({4: b"\xff" * 48}), document_type=DocumentType.NITROTPM
    )

    assert verified.document_type is DocumentType.NITROTPM
    assert 24 == len(verified.pcrs)


def test_register_24_of_a_tpm_is_refused(forge, verifier):
    fields = tpm_fields(forge)
    fields["nitrotpm_pcrs"] = {24: b"\xff" * 48}
    with pytest.raises(AttestationError) as caught:
        verifier.verify(
            forge.document(cbor2.dumps(fields)),
            UnsafeSkipPcrs(),
            document_type=DocumentType.NITROTPM,
        )

    assert "PCR_INDEX" == caught.value.code


def test_debug_mode_only_when_said_explicitly(forge, verifier):
    debug = forge.document(pcrs=forge.pcrs() | dict.fromkeys((0, 1, 2, 8), bytes(48)))
    with pytest.raises(AttestationError):
        verifier.verify(debug, UnsafeSkipPcrs())

    assert verifier.verify(debug, UnsafeSkipPcrs(), allow_debug=True).debug


def test_mismatch_of_a_debug_enclave_says_so(forge, verifier):
    debug = forge.document(pcrs=forge.pcrs() | dict.fromkeys((0, 1, 2, 8), bytes(48)))
    with pytest.raises(AttestationError, match="debug mode"):
        verifier.verify(debug, Pcrs({0: forge.pcrs()[0]}))


# Time


@pytest.mark.parametrize(
    ("offset", "code"),
    [
        (timedelta(minutes=5), None),
        (timedelta(minutes=5, milliseconds=1), "DOCUMENT_TOO_OLD"),
        (timedelta(seconds=-30), None),
        (timedelta(seconds=-30, milliseconds=-1), "DOCUMENT_FROM_FUTURE"),
        (timedelta(seconds=-33), "DOCUMENT_FROM_FUTURE"),
        (timedelta(seconds=-33, milliseconds=-1), "CERTIFICATE_NOT_YET_VALID"),
        (timedelta(hours=3), "DOCUMENT_TOO_OLD"),
        (timedelta(hours=3, milliseconds=1), "CERTIFICATE_EXPIRED"),
    ],
)
def test_bounds_of_live_are_inclusive(forge, offset, code):
    verifier = Verifier([forge.root], now=lambda: forge.now + offset)
    found = None
    try:
        verifier.verify(forge.document(), UnsafeSkipPcrs())
    except AttestationError as error:
        found = error.code

    assert code == found


def test_historic_ignores_the_clock(forge):
    verifier = Verifier([forge.root], now=lambda: forge.now + timedelta(days=10000))
    document = verifier.verify(forge.document(), UnsafeSkipPcrs(), time=Historic())

    assert not document.live
    assert forge.now == document.evaluated_at


def test_clock_is_read_at_each_verification(forge):
    moments = [forge.now, forge.now + timedelta(hours=1)]
    verifier = Verifier([forge.root], now=lambda: moments.pop(0))
    document = forge.document()

    assert verifier.verify(document, UnsafeSkipPcrs())
    with pytest.raises(AttestationError):
        verifier.verify(document, UnsafeSkipPcrs())


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_age": timedelta(0)},
        {"max_age": 300},
        {"skew": timedelta(seconds=-1)},
        {"skew": None},
    ],
)
def test_unusable_periods_are_refused(arguments):
    with pytest.raises(ExpectationError) as caught:
        Live(**arguments)

    assert "CLOCK" == caught.value.code


# What is told and done on the way


def test_observer_hears_of_all_steps_in_order(forge, verifier):
    steps = []
    verifier.verify(
        forge.document(), Pcrs({0: forge.pcrs()[0]}), nonce=b"a fresh nonce", observer=steps.append
    )

    assert list(STEPS) == [step.number for step in steps]
    assert list(STEPS.values()) == [step.name for step in steps]
    # Only revocation was not asked for.
    assert [21] == [step.number for step in steps if step.outcome is not Outcome.PASSED]


def test_observer_hears_what_was_waived(forge, verifier):
    steps = []
    verifier.verify(
        forge.document(), UnsafeSkipPcrs(), strict=False, allow_debug=True, observer=steps.append
    )

    assert [21, 22, 25, 26, 27] == [s.number for s in steps if s.outcome is Outcome.SKIPPED]


def test_details_are_printable_whatever_the_names(forge):
    forge.change("root", subject="evil\x1b[2J\n")
    verifier = Verifier([forge.chain()[0]], now=lambda: forge.now)
    steps = []
    verifier.verify(forge.document(), UnsafeSkipPcrs(), observer=steps.append)

    assert all(step.detail.isprintable() for step in steps)
    assert steps[13].detail.startswith("evil\\x1b[2J\\n")


class CountingKeys:
    """Loads real keys and counts what is done with them."""

    def __init__(self):
        self.loaded = 0
        self.verified = 0

    def __call__(self, point):
        self.loaded += 1
        outer = self

        class Key:
            key = p384.load_key(point)

            def verify(self, r, s, message):
                outer.verified += 1
                return self.key.verify(r, s, message)

        return Key()


def test_a_document_costs_five_signature_verifications(forge):
    keys = CountingKeys()
    verifier = Verifier([forge.root], now=lambda: forge.now, load_key=keys)
    verifier.verify(forge.document(), UnsafeSkipPcrs())

    assert (5, 5) == (keys.loaded, keys.verified)


def test_an_untrusted_root_costs_none(forge):
    keys = CountingKeys()
    verifier = Verifier(["ab" * 32], now=lambda: forge.now, load_key=keys)
    with pytest.raises(AttestationError):
        verifier.verify(forge.document(), UnsafeSkipPcrs())

    assert (0, 0) == (keys.loaded, keys.verified)


def test_a_policy_sees_nothing_before_the_signature_is_verified(forge, verifier):
    seen = []

    class Recorder:
        def check(self, claims):
            seen.append(claims)

    payload = forge.payload()
    with pytest.raises(AttestationError):
        verifier.verify(forge.document(payload, signature=forge.sign(b"other")), Recorder())
    assert not seen

    verifier.verify(forge.document(payload), Recorder())
    assert 1 == len(seen)


@pytest.mark.parametrize("verdict", [True, False])
def test_a_policy_that_returns_a_verdict_is_refused(forge, verifier, verdict):
    class Asking:
        def check(self, claims):
            del claims
            return verdict

    with pytest.raises(ExpectationError) as caught:
        verifier.verify(forge.document(), Asking())

    assert "NO_POLICY" == caught.value.code


def test_secrets_are_compared_in_constant_time(forge, verifier, monkeypatch):
    compared = []

    def compare(a, b):
        compared.append((a, b))
        return hmac.compare_digest(a, b)

    fake = type("fake_hmac", (), {"compare_digest": staticmethod(compare)})
    monkeypatch.setattr(demands, "hmac", fake)
    monkeypatch.setattr("nitrosim.attestation.policy.hmac", fake)
    verifier.verify(
        forge.document(public_key=b"key"),
        Pcrs({0: forge.pcrs()[0]}),
        nonce=b"a fresh nonce",
        user_data=b"user data",
        public_key=b"key",
    )

    assert [forge.pcrs()[0], b"a fresh nonce", b"user data", b"key"] == [a for a, _ in compared]


def test_one_verifier_serves_many_threads(forge, verifier):
    good = forge.document()
    bad = forge.document(nonce=b"another nonce")
    policy = AllOf(Instance(forge.instance), AnyOf(Pcrs({0: forge.pcrs()[0]})))

    def judge(i):
        try:
            verifier.verify((good, bad)[i % 2], policy, nonce=b"a fresh nonce")
        except AttestationError as error:
            return error.code
        return None

    with ThreadPoolExecutor(8) as pool:
        assert [None, "NONCE_MISMATCH"] * 20 == list(pool.map(judge, range(40)))


def test_a_failed_verification_leaves_no_trace(forge, verifier):
    with pytest.raises(AttestationError):
        verifier.verify(forge.document(signature=forge.sign(b"x")), UnsafeSkipPcrs())

    assert verifier.verify(forge.document(), UnsafeSkipPcrs())


def test_caller_mistakes_are_told_before_the_document_is_read(verifier):
    with pytest.raises(ExpectationError):
        verifier.verify(b"junk", None)
    with pytest.raises(ExpectationError):
        verifier.verify(b"junk", UnsafeSkipPcrs(), nonce=b"")


def test_refusals_survive_pickling(forge, verifier):
    with pytest.raises(AttestationError) as caught:
        verifier.verify(forge.document(), Pcrs({0: b"\x01" * 48}))
    copy = pickle.loads(pickle.dumps(caught.value))

    assert type(caught.value) is type(copy)
    assert str(caught.value) == str(copy)
    assert (caught.value.code, caught.value.step) == (copy.code, copy.step)


def test_looking_without_verifying_takes_a_bad_signature(forge):
    document = read_unverified(forge.document(signature=forge.sign(b"other")))

    assert forge.module == document.claims.module_id
    assert 5 == len(document.certificates)


def test_import_needs_nothing_else_of_the_project():
    program = (
        "import sys, nitrosim.attestation; "
        "mine = [n for n in sys.modules if n.split('.')[0] in ('nitrosim', 'fake_nsm')]; "
        "bad = [n for n in mine if not n.startswith('nitrosim.attestation') and n != 'nitrosim']; "
        "bad += [n for n in ('cryptography.x509', 'cbor2', 'ctypes.util') if n in sys.modules]; "
        "print(bad); sys.exit(bool(bad))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, check=False, capture_output=True, text=True
    )

    assert "[]\n" == done.stdout, done.stderr


def test_verifying_is_not_slowed_down_by_hostile_nesting(verifier):
    begin = time.process_time()
    for head in (b"\x81", b"\xa1\x00", b"\x9f", b"\xd2"):
        with pytest.raises(AttestationError):
            verifier.verify(head * (16384 // len(head)), UnsafeSkipPcrs())

    # Microseconds each; the bound only catches an explosion.
    assert time.process_time() - begin < 1
