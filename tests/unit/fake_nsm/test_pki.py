import base64
import datetime as dt
import itertools
import subprocess

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fake_nsm import InvalidValueError, PkiError, RootAuthority, seeded_entropy
from fake_nsm.pki import INSTANCE_PERIOD, REGIONAL_PERIOD, ZONAL_PERIOD
from fake_nsm.profile import ROOT_NOT_BEFORE
from fake_nsm.root import EARLIEST, LATEST
from thoroughness import examples

HOUR, DAY = 3600, 86400


def load(ders):
    return [x509.load_der_x509_certificate(der) for der in ders]


def point(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def assert_valid_at(chain: list[x509.Certificate], now_ms: int) -> None:
    moment = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC)
    for certificate in chain:
        assert certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc
    for issuer, subject in itertools.pairwise(chain):
        subject.verify_directly_issued_by(issuer)


def test_the_chain_is_valid_at_every_moment_of_three_months(
    make_nsm, clock, attest, chain_of, payload_of
):
    nsm = make_nsm()
    instance_keys, leaves, levels = set(), set(), [set(), set(), set(), set()]
    for step in range(700):
        document = attest(nsm)
        chain = load(chain_of(document))
        assert_valid_at(chain, payload_of(document)["timestamp"])
        instance_keys.add(point(chain[3]))
        leaves.add(chain[4].serial_number)
        for level, certificate in zip(levels, chain, strict=False):
            level.add(certificate.serial_number)
        # Steps of no round length, 3 h 5 min on average, so every phase of every level occurs.
        clock.advance(seconds=1 + step * 7919 % 22_200)
    days = 700 * 11_100 / DAY
    root, regional, zonal, instance = (len(level) for level in levels)
    assert root == 1
    assert days / (REGIONAL_PERIOD / DAY) == pytest.approx(regional, abs=2)
    assert days / (INSTANCE_PERIOD / DAY) == pytest.approx(instance, abs=3)
    assert regional < zonal <= instance
    assert len(instance_keys) == 1
    assert len(leaves) > 400


def test_an_instance_certificate_is_renewed_daily_and_keeps_its_key(make_pki, clock):
    pki = make_pki()
    first = load(pki.cabundle())[3]
    starts = {first.not_valid_before_utc}
    for _ in range(5 * 24 * 4):
        clock.advance(seconds=900)
        certificate = load(pki.cabundle())[3]
        starts.add(certificate.not_valid_before_utc)
        assert point(first) == point(certificate)
        assert first.subject == certificate.subject
    ordered = sorted(starts)
    gaps = {later - earlier for earlier, later in itertools.pairwise(ordered)}
    assert {dt.timedelta(seconds=INSTANCE_PERIOD)} == gaps


def test_every_certificate_lies_within_the_one_above_it(make_pki, clock, identity):
    pki = make_pki()
    for _ in range(200):
        chain = load([*pki.cabundle(), pki.issue_leaf(identity, clock()).certificate])
        for issuer, subject in itertools.pairwise(chain):
            assert issuer.not_valid_after_utc >= subject.not_valid_after_utc
        for issuer, subject in itertools.pairwise(chain):
            assert issuer.not_valid_before_utc <= subject.not_valid_before_utc
        clock.advance(seconds=5 * HOUR + 77)


def test_zonal_and_regional_authorities_change_on_their_beat(make_pki, clock):
    pki = make_pki()
    for _ in range(100):
        _, regional, zonal, instance = load(pki.cabundle())
        to_zonal = instance.not_valid_before_utc - zonal.not_valid_before_utc
        to_regional = zonal.not_valid_before_utc - regional.not_valid_before_utc
        assert 0 <= to_zonal.total_seconds() < ZONAL_PERIOD
        assert 0 <= to_regional.total_seconds() < REGIONAL_PERIOD
        clock.advance(seconds=11 * HOUR + 7)


def test_a_leaf_serves_until_15_minutes_before_its_end(make_nsm, clock, attest, chain_of):
    nsm = make_nsm()
    first = chain_of(attest(nsm))[4]
    clock.advance(seconds=3 * HOUR - 15 * 60 - 1)
    assert first == chain_of(attest(nsm))[4]
    clock.advance(seconds=1)
    second = chain_of(attest(nsm))[4]
    assert first != second
    before, after = load([first, second])
    assert point(before) != point(after)
    assert clock() // 1000 == after.serial_number & (1 << 64) - 1


def test_a_leaf_outlives_the_renewal_of_its_instance_certificate(
    make_nsm, clock, attest, chain_of, payload_of
):
    nsm = make_nsm()
    renewed_under_the_same_leaf = 0
    document = attest(nsm)
    for _ in range(300):
        before = chain_of(document)
        clock.advance(seconds=10 * 60)
        document = attest(nsm)
        after = chain_of(document)
        if before[3] != after[3] and before[4] == after[4]:
            renewed_under_the_same_leaf += 1
            assert_valid_at(load(after), payload_of(document)["timestamp"])
    assert renewed_under_the_same_leaf


def test_a_clock_that_is_set_back_gets_certificates_of_that_time(
    make_nsm, clock, attest, chain_of, payload_of
):
    nsm = make_nsm()
    for seconds in (0, -10, -3 * HOUR, -40 * DAY, -5 * 365 * DAY, 20 * 365 * DAY):
        clock.advance(seconds=seconds)
        document = attest(nsm)
        assert_valid_at(load(chain_of(document)), payload_of(document)["timestamp"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(40))
@given(st.lists(st.integers(1_580_000_000, 2_510_000_000), min_size=1, max_size=5))
def test_the_chain_is_valid_at_any_moment_whatever_came_before(make_pki, identity, moments):
    pki = make_pki()
    for seconds in moments:
        now = seconds * 1000
        leaf = pki.issue_leaf(identity, now).certificate
        assert_valid_at(load([*pki.cabundle(now), leaf]), now)


@pytest.mark.parametrize("moment", [0, 1_572_269_285, 2_519_044_085, 1 << 40])
def test_a_time_that_the_root_does_not_cover_is_refused(make_pki, clock, moment):
    with pytest.raises(PkiError, match="set the clock"):
        make_pki().cabundle(moment * 1000)
    clock.now = moment * 1000
    with pytest.raises(PkiError, match="set the clock"):
        RootAuthority.create(clock=clock, entropy=seeded_entropy(b""))


def test_no_chain_is_older_than_the_time_that_a_root_allows_for():
    assert INSTANCE_PERIOD + ZONAL_PERIOD + REGIONAL_PERIOD < EARLIEST - ROOT_NOT_BEFORE


@pytest.mark.parametrize("moment", [EARLIEST, LATEST])
def test_the_chain_is_valid_at_the_ends_of_the_covered_time(make_pki, identity, moment):
    pki = make_pki()
    leaf = pki.issue_leaf(identity, moment * 1000).certificate
    chain = load([*pki.cabundle(moment * 1000), leaf])
    assert_valid_at(chain, moment * 1000)
    assert chain[0].not_valid_before_utc < chain[1].not_valid_before_utc


def test_impossible_instances_are_refused(make_pki):
    with pytest.raises(InvalidValueError):
        make_pki(instance_id="web-1")
    with pytest.raises(InvalidValueError):
        make_pki(region="here")


def pem(der: bytes) -> str:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("key_identifiers", [True, False], ids=["with key identifiers", "without"])
def test_openssl_accepts_the_chain_at_every_sampled_time(
    make_nsm, make_pki, clock, tmp_path, key_identifiers
):
    nsm = make_nsm(pki=make_pki(key_identifiers=key_identifiers))
    for step in range(12):
        answer = cbor2.loads(nsm.handle(cbor2.dumps({"Attestation": {}})))
        document = answer["Attestation"]["document"]
        payload = cbor2.loads(cbor2.loads(document)[2])
        root, *intermediates = payload["cabundle"]
        (tmp_path / "root.pem").write_text(pem(root))
        (tmp_path / "intermediates.pem").write_text("".join(map(pem, intermediates)))
        (tmp_path / "leaf.pem").write_text(pem(payload["certificate"]))
        verified = openssl_verify(tmp_path, clock() // 1000)
        assert (verified.returncode, verified.stdout) == (0, "leaf.pem: OK\n"), verified.stderr
        too_late = openssl_verify(tmp_path, clock() // 1000 + 3 * HOUR + 4)
        assert "certificate has expired" in too_late.stderr
        clock.advance(seconds=(step + 1) * 9 * HOUR)


def openssl_verify(folder, moment: int):
    command = ["openssl", "verify", "-attime", str(moment), "-CAfile", "root.pem"]
    return subprocess.run(
        [*command, "-untrusted", "intermediates.pem", "leaf.pem"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
