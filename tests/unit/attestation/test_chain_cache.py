"""What is remembered of chains: how much it saves, and that it never changes a verdict."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding

from forgery.forge import Forge
from nitrosim.attestation import AttestationError, Historic, Live, UnsafeSkipPcrs, Verifier, p384
from nitrosim.attestation.certificate import read_certificate
from nitrosim.attestation.chain_cache import Chain, ChainCache, Path
from nitrosim.attestation.errors import ExpectationError
from nitrosim.attestation.steps import Outcome

ANY = UnsafeSkipPcrs()
LONG = Live(max_age=timedelta(days=100))
LEVELS = ("root", "regional", "zonal", "instance", "leaf")


class CountingKeys:
    """Loads real keys and counts the signatures that are checked with them."""

    def __init__(self):
        self.loaded = 0
        self.verified = 0

    def __call__(self, point):
        self.loaded += 1
        outer, real = self, p384.load_key(point)

        class Key:
            def verify(self, r, s, message):
                outer.verified += 1
                return real.verify(r, s, message)

        return Key()

    def take(self):
        """Return (keys loaded, signatures checked) since the last time."""
        taken = self.loaded, self.verified
        self.loaded = self.verified = 0
        return taken


class Clock:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def keys():
    return CountingKeys()


@pytest.fixture
def clock(forge):
    return Clock(forge.now)


@pytest.fixture
def make(forge, keys, clock):
    """Return a function that makes a verifier of the forge's root, with keys that count."""

    def make(**options):
        return Verifier([forge.root], now=clock, load_key=keys, **options)

    return make


def refusal(verifier, document, **options):
    """Return code and text of the refusal; None if there is none."""
    try:
        verifier.verify(document, ANY, **options)
    except AttestationError as error:
        return error.code, str(error)
    return None


def new_key(forge, level, number):
    """Give one level another key and serial: below it, everything is another certificate."""
    key = forge.key_number(f"{level} {number}")
    forge.change(level, key=key, serial=1000 + number)
    # Without key identifiers, as before 2024: those of the old key would not fit.
    below = dict(pairwise(LEVELS)).get(level, level)
    return forge.without(level, "551d0e").without(below, "551d23")


# How much it saves


def test_a_known_chain_costs_one_signature(forge, keys, make):
    verifier = make()
    costs = []
    for nonce in (b"1", b"2", b"3"):
        verifier.verify(forge.document(nonce=nonce), ANY, nonce=nonce)
        costs.append(keys.take())

    assert [(5, 5), (0, 1), (0, 1)] == costs


@pytest.mark.parametrize(
    ("level", "cost"),
    [("leaf", (1, 2)), ("instance", (2, 3)), ("zonal", (3, 4)), ("regional", (4, 5))],
)
def test_what_is_new_in_a_fleet_costs_its_own_links(forge, keys, make, level, cost):
    verifier = make()
    verifier.verify(forge.document(), ANY)
    keys.take()
    verifier.verify(new_key(forge, level, 1).document(), ANY)

    assert cost == keys.take()


def test_without_a_cache_every_signature_is_checked_every_time(forge, keys, make):
    verifier = make(chain_cache=0)
    costs = []
    for _ in range(2):
        verifier.verify(forge.document(), ANY)
        costs.append(keys.take())

    # Only our own root needs not be read again; nothing is signed by reading it.
    assert [(5, 5), (4, 5)] == costs


def test_each_verifier_has_its_own(forge, keys, make):
    make().verify(forge.document(), ANY)
    keys.take()
    make().verify(forge.document(), ANY)

    assert (5, 5) == keys.take()


def test_the_content_is_that_of_each_document(forge, make):
    verifier = make()
    verifier.verify(forge.document(user_data=b"first"), ANY)
    known = verifier.verify(forge.document(user_data=b"second"), ANY)
    cold = make().verify(forge.document(user_data=b"second"), ANY)

    assert b"second" == known.user_data
    assert cold == known


def test_lenient_and_strict_share_chains(forge, keys, make):
    verifier = make()
    costs = []
    for strict in (False, True, False, True):
        verifier.verify(forge.document(), ANY, strict=strict)
        costs.append(keys.take()[1])

    assert [5, 1, 1, 1] == costs


# Time


@pytest.mark.parametrize("level", LEVELS)
def test_a_known_chain_is_refused_once_any_of_it_has_expired(forge, clock, make, level):
    forge.change(level, end=forge.now + timedelta(minutes=1)).trust_own_root()
    verifier, document = make(), forge.document()
    assert refusal(verifier, document) is None
    clock.now += timedelta(minutes=2)
    known = refusal(verifier, document, time=LONG)

    assert "CERTIFICATE_EXPIRED" == known[0]
    assert refusal(make(), document, time=LONG) == known


@pytest.mark.parametrize("level", LEVELS[:-1])
def test_a_new_leaf_below_an_expired_known_issuer_is_refused(forge, clock, make, level):
    # Verifiers have cached issuers without the end of their validity.
    forge.change(level, end=forge.now + timedelta(minutes=1)).trust_own_root()
    verifier = make()
    assert refusal(verifier, forge.document()) is None
    clock.now += timedelta(minutes=2)
    document = new_key(forge, "leaf", 1).document()
    known = refusal(verifier, document, time=LONG)

    assert "CERTIFICATE_EXPIRED" == known[0]
    assert refusal(make(), document, time=LONG) == known


@pytest.mark.parametrize("level", LEVELS)
def test_a_known_chain_is_refused_before_any_of_it_begins(forge, clock, make, level):
    forge.change(level, begin=forge.now - timedelta(seconds=1)).trust_own_root()
    verifier, document = make(), forge.document()
    assert refusal(verifier, document) is None
    clock.now -= timedelta(minutes=1)
    known = refusal(verifier, document)

    assert "CERTIFICATE_NOT_YET_VALID" == known[0]
    assert refusal(make(), document) == known


def test_known_bounds_are_inclusive(forge, clock, make):
    verifier, document = make(), forge.document()
    leaf = forge.levels["leaf"]
    verifier.verify(document, ANY)
    found = []
    for now in (
        leaf.begin - timedelta(seconds=30),
        leaf.begin - timedelta(seconds=30, microseconds=1),
        leaf.end,
        leaf.end + timedelta(microseconds=1),
    ):
        clock.now = now
        error = refusal(verifier, document, time=Live(max_age=timedelta(days=1)))
        found.append(error and error[0])

    assert [
        "DOCUMENT_FROM_FUTURE",
        "CERTIFICATE_NOT_YET_VALID",
        None,
        "CERTIFICATE_EXPIRED",
    ] == found


def test_historic_and_live_share_chains_and_not_their_times(forge, keys, clock, make):
    verifier, document = make(), forge.document()
    clock.now += timedelta(days=400)
    found = []
    for time in (Historic(), Live(), Historic()):
        error = refusal(verifier, document, time=time)
        found.append((error and error[0], keys.take()[1]))
    clock.now = forge.now
    assert refusal(verifier, document) is None

    # The refused one in between neither removed the chain nor checked a signature.
    assert [(None, 5), ("CERTIFICATE_EXPIRED", 0), (None, 1)] == found
    assert 1 == keys.take()[1]


def test_an_archived_document_after_a_live_one(forge, make):
    verifier = make()
    verifier.verify(forge.document(), ANY)
    before = int((forge.levels["leaf"].begin - timedelta(seconds=1)).timestamp() * 1000)

    assert (
        "CERTIFICATE_NOT_YET_VALID"
        == (refusal(verifier, forge.document(timestamp=before), time=Historic())[0])
    )


# What else is checked every time


def test_lists_are_consulted_for_known_chains(forge, clock, make):
    root = x509.load_der_x509_certificate(forge.root)
    crl = (
        x509.CertificateRevocationListBuilder(
            root.subject, forge.now - timedelta(hours=1), forge.now + timedelta(hours=1)
        )
        .sign(forge.levels["root"].key, SHA384())
        .public_bytes(Encoding.DER)
    )
    verifier, document = make(crls=[crl]), forge.document()
    assert refusal(verifier, document) is None
    clock.now += timedelta(hours=2)

    assert "REVOCATION_LIST" == refusal(verifier, document, time=LONG)[0]


def test_a_revoked_certificate_is_refused_every_time(forge, make):
    zonal = x509.load_der_x509_certificate(forge.chain()[2])
    entry = x509.RevokedCertificateBuilder(
        forge.levels["instance"].serial, forge.now - timedelta(hours=2)
    ).build()
    crl = (
        x509.CertificateRevocationListBuilder(
            zonal.subject, forge.now - timedelta(hours=1), forge.now + timedelta(hours=1)
        )
        .add_revoked_certificate(entry)
        .sign(forge.levels["zonal"].key, SHA384())
        .public_bytes(Encoding.DER)
    )
    verifier = make(crls=[crl])

    assert ["CERTIFICATE_REVOKED"] * 3 == [refusal(verifier, forge.document())[0] for _ in range(3)]


@pytest.mark.parametrize(
    "changes",
    [
        lambda forge: {"module_id": forge.module[:-1] + "?"},
        lambda forge: {"module_id": forge.module[:-16] + "0" * 16},
        lambda forge: {"pcrs": forge.pcrs() | {4: b"\x04" * 48}},
        lambda _forge: {"pcrs": {0: b"\x01" * 48}},
    ],
)
def test_names_and_pcr4_are_compared_for_known_chains(forge, make, changes):
    verifier = make()
    verifier.verify(forge.document(), ANY)
    document = forge.document(**changes(forge))
    known = refusal(verifier, document)

    assert refusal(make(), document) == known
    assert known is not None


def test_the_signature_of_the_document_is_checked_every_time(forge, make):
    verifier, document = make(), forge.document()
    verifier.verify(document, ANY)

    assert "BAD_SIGNATURE" == refusal(verifier, document[:-1] + bytes([document[-1] ^ 1]))[0]


def test_what_depends_on_a_longer_chain_is_checked_below_a_known_beginning(forge, make):
    verifier = make()
    verifier.verify(forge.document(), ANY)
    key = forge.key_number("another CA")
    extra = forge.levels["instance"]
    leaf = forge.levels.pop("leaf")
    forge.levels["extra"] = type(extra)(
        **{
            **{name: getattr(extra, name) for name in extra.__dataclass_fields__},
            "subject": f"extra.{forge.region}.test",
            "key": key,
        }
    )
    forge.without("extra", "551d0e").without("extra", "551d23")
    forge.levels["leaf"] = leaf
    document = forge.document()

    assert "PATH_LENGTH" == refusal(verifier, document)[0]
    assert refusal(make(), document) == refusal(verifier, document)


def test_a_known_issuer_is_no_leaf(forge, make):
    verifier = make()
    verifier.verify(forge.document(), ANY)
    *bundle, instance, _leaf = forge.chain()
    payload = forge.payload(cabundle=bundle, certificate=instance)
    signature = forge.sign(payload, key=forge.levels["instance"].key)

    assert "LEAF_IS_CA" == refusal(verifier, forge.document(payload, signature=signature))[0]


def test_a_known_leaf_is_no_issuer(forge, make):
    verifier = make()
    verifier.verify(forge.document(), ANY)
    below = forge.levels["leaf"]
    forge.levels["below"] = type(below)(
        **{
            **{name: getattr(below, name) for name in below.__dataclass_fields__},
            "subject": "below.test",
        }
    )

    assert "NOT_A_CA" == refusal(verifier, forge.document())[0]


# Only the bytes count


def test_a_known_leaf_below_another_issuer_is_another_chain(forge, keys, make):
    verifier = make()
    chain = forge.chain()
    verifier.verify(forge.document(), ANY)
    keys.take()
    # The same name and key in another certificate: the leaf's bytes stay the same.
    forge.change("instance", serial=5)
    assert chain[4] == forge.chain()[4]
    assert chain[3] != forge.chain()[3]
    verifier.verify(forge.document(), ANY)
    assert (2, 3) == keys.take()

    forge.change("instance", serial=6, signer=forge.key_number("somebody else"))
    assert chain[4] == forge.chain()[4]
    assert "CERTIFICATE_SIGNATURE" == refusal(verifier, forge.document())[0]


def test_one_changed_byte_anywhere_is_never_found(forge):
    ders = tuple(forge.chain())
    certificates = tuple(map(read_certificate, ders))
    cache = ChainCache(4)
    cache.remember(Chain(Path(certificates, (None,) * 5), b"", begins=0, ends=0))
    assert cache.chain(ders) is not None
    assert 4 == len(cache.beginning(ders).certificates)

    for i, der in enumerate(ders):
        for at in range(len(der)):
            changed = der[:at] + bytes([der[at] ^ 0x01]) + der[at + 1 :]
            other = (*ders[:i], changed, *ders[i + 1 :])
            assert cache.chain(other) is None
            found = cache.beginning(other)
            assert min(i, 4) == (len(found.certificates) if found else 0)


@pytest.mark.parametrize("which", range(5))
def test_a_changed_certificate_is_refused_as_if_nothing_were_known(forge, make, which):
    verifier = make()
    verifier.verify(forge.document(), ANY)
    chain = forge.chain()
    for at in range(3, len(chain[which]), 61):
        changed = [*chain]
        changed[which] = bytes(b ^ (i == at) for i, b in enumerate(chain[which]))
        document = forge.document(cabundle=changed[:-1], certificate=changed[-1])
        known = refusal(verifier, document)

        assert known is not None
        assert refusal(make(), document) == known


def test_cut_or_joined_certificates_are_not_found(forge):
    ders = tuple(forge.chain())
    cache = ChainCache(4)
    certificates = tuple(map(read_certificate, ders))
    cache.remember(Chain(Path(certificates, (None,) * 5), b"", begins=0, ends=0))
    others = [
        ders[1:],
        ders[:-1],
        (*ders, ders[-1]),
        (ders[0], ders[2], ders[1], *ders[3:]),
        (ders[0] + ders[1], *ders[2:]),
        (ders[0] + ders[1][:1], ders[1][1:], *ders[2:]),
    ]

    assert [None] * len(others) == [cache.chain(other) for other in others]


# Only successes are stored


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda forge: {"signature": forge.sign(b"something else")}, "BAD_SIGNATURE"),
        (lambda forge: {"pcrs": forge.pcrs() | {4: b"\x04" * 48}}, "IDENTITY_MISMATCH"),
        (lambda _forge: {"timestamp": 1}, "CERTIFICATE_NOT_YET_VALID"),
    ],
)
def test_the_chain_of_a_refused_document_is_not_stored(forge, keys, make, spoil, code):
    verifier = make()
    assert code == refusal(verifier, forge.document(**spoil(forge)), time=Historic())[0]
    keys.take()
    verifier.verify(forge.document(), ANY)

    assert (5, 5) == keys.take()


def test_a_refused_chain_is_refused_every_time(forge, keys, make):
    forge.change("leaf", signer=forge.key_number("somebody else"))
    verifier, document = make(), forge.document()
    found = [(refusal(verifier, document)[0], keys.take()[1]) for _ in range(3)]

    assert [("CERTIFICATE_SIGNATURE", 4)] * 3 == found


# Its size


def test_the_least_recently_used_chain_goes_first(forge, keys, make):
    verifier = make(chain_cache=2)
    documents = [new_key(forge, "leaf", n).document() for n in range(3)]
    costs = []
    for n in (0, 1, 0, 2, 0, 1):
        verifier.verify(documents[n], ANY)
        costs.append(keys.take()[1])

    # 1 is pushed out by 2, because 0 has been used since; its issuers are still known.
    assert [5, 2, 1, 2, 1, 2] == costs


def test_issuers_stay_as_long_as_what_they_have_issued(forge, keys, make):
    verifier = make(chain_cache=1)
    costs = []
    for n in range(5):
        verifier.verify(new_key(forge, "instance", n).document(), ANY)
        costs.append(keys.take()[1])

    # Each machine adds a beginning of its own; regional and zonal ones are never pushed out.
    assert [5, 3, 3, 3, 3] == costs


def test_no_more_is_held_than_was_allowed(forge):
    cache = ChainCache(3)
    for n in range(10):
        ders = tuple(new_key(forge, "regional", n).chain())
        certificates = tuple(map(read_certificate, ders))
        cache.remember(Chain(Path(certificates, (None,) * 5), b"", begins=0, ends=0))

    assert (3, 9, 1) == (len(cache._chains), len(cache._paths), len(cache._roots))


@pytest.mark.parametrize("size", [-1, True, 1.5, None, "64"])
def test_only_a_number_of_chains_is_a_size(forge, size):
    with pytest.raises(ExpectationError) as caught:
        Verifier([forge.root], chain_cache=size)

    assert "CHAIN_CACHE" == caught.value.code


# Threads, processes and observers


def test_a_verifier_sent_to_another_process_knows_nothing_yet(forge):
    verifier = Verifier([forge.root])
    verifier.verify(forge.document(), ANY, time=Historic())
    arrived = pickle.loads(pickle.dumps(verifier))

    assert arrived._rules.cache.chain(tuple(forge.chain())) is None
    assert arrived.verify(forge.document(), ANY, time=Historic())
    assert arrived._rules.cache.chain(tuple(forge.chain())) is not None


def test_many_threads_mix_good_and_bad_documents(forge):
    # A cache smaller than what is in use: entries come and go all the time.
    verifier = Verifier([forge.root], now=lambda: forge.now, chain_cache=2)
    cases = []
    for n in range(4):
        one = new_key(new_key(Forge("unit"), "instance", n % 2), "leaf", n)
        good = one.document()
        one.change("leaf", signer=one.key_number("somebody else"))
        cases += [(good, None), (good[:-1] + bytes([good[-1] ^ 1]), "BAD_SIGNATURE")]
        cases += [(one.document(), "CERTIFICATE_SIGNATURE")]

    def judge(i):
        error = refusal(verifier, cases[i % len(cases)][0])
        return error and error[0]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(judge, range(20 * len(cases))))

    assert [code for _, code in cases] * 20 == found


def test_observers_hear_what_came_from_the_cache(forge, make):
    verifier = make()
    verifier.verify(forge.document(), ANY)
    known, new_leaf = [], []
    verifier.verify(forge.document(), ANY, observer=known.append)
    verifier.verify(new_key(forge, "leaf", 1).document(), ANY, observer=new_leaf.append)

    assert list(range(1, 29)) == [step.number for step in known]
    assert list(range(1, 29)) == [step.number for step in new_leaf]
    assert list(range(13, 20)) == [
        step.number for step in known if step.detail.startswith("from the cache")
    ]
    assert {Outcome.PASSED} == {step.outcome for step in known[12:20]}
    assert "1 signatures; 4 from the cache" == new_leaf[14].detail
