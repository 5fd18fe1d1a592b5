"""Five levels of certificates that are always valid at the injected clock.

A document carries its whole chain: root, regional, zonal and instance CA, and the leaf whose key
signs it. Above the leaf everything is shared by the enclaves of one instance. Each level below
the root is renewed on a fixed beat, long before its certificate ends, and a certificate is issued
by the authority that was in office at its own notBefore. Every chain is therefore nested, its ages
look like those in real documents, and it can be computed for any moment without having lived
through the time before; nothing is issued until somebody asks.

Observed in real documents: an instance CA keeps its key and gets a new certificate daily; a leaf
lasts three hours, serves many documents, and is replaced about 15 minutes before it ends; the
regional, zonal and instance certificates seen were at most 5 d 8 h, 20 h and 14 h old.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_nsm import profile
from fake_nsm.certificates import Authority, issue, issue_authority
from fake_nsm.errors import PkiError
from fake_nsm.identity import check_instance_id, check_region
from fake_nsm.keys import P384Key, SigningKey
from fake_nsm.profile import DAY, HOUR
from fake_nsm.root import check_covered

if TYPE_CHECKING:
    from fake_nsm.identity import EnclaveIdentity
    from fake_nsm.keys import KeyMaker
    from fake_nsm.root import RootAuthority
    from fake_nsm.sources import Clock, Entropy

# ASSUMPTION: regional CAs change every 5 days and zonal ones every 12 hours, each time with a new
# key and name; real ones were never seen older than 5 d 8 h and 20 h.
REGIONAL_PERIOD = 5 * DAY
"""Seconds from one regional CA to the next."""
ZONAL_PERIOD = 12 * HOUR
"""Seconds from one zonal CA to the next."""
# ASSUMPTION: the daily certificate of an instance CA is replaced three hours before it ends, so
# that no leaf outlives the certificate under which it was issued.
INSTANCE_PERIOD = profile.INSTANCE_LIFETIME - profile.LEAF_LIFETIME
"""Seconds from one certificate of an instance CA to the next."""
LEAF_RENEWAL = 15 * 60
"""Seconds before its end at which a leaf is replaced."""

_MILLISECONDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The authorities above a leaf for the time `valid_from` <= seconds < `renewed_at`."""

    cabundle: tuple[bytes, ...]
    instance: Authority
    valid_from: int
    renewed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """An enclave's certificate and key; it serves while `valid_from` <= seconds < `renewed_at`."""

    certificate: bytes
    key: SigningKey
    valid_from: int
    renewed_at: int


@dataclass(frozen=True, slots=True)
class _Beat:
    """Renewals at `first` and every `period` seconds after and before it."""

    first: int
    period: int

    def last_before(self, moment: int) -> int:
        """Return the latest renewal that is not after the moment."""
        return moment - (moment - self.first) % self.period


@dataclass(frozen=True, slots=True)
class _Beats:
    """When the three levels between root and leaf are renewed."""

    regional: _Beat
    zonal: _Beat
    instance: _Beat


class InstancePki:
    """The regional, zonal and instance CA above all enclaves of one instance.

    Nothing is signed and no key is made before the first certificate is needed.
    `instance_key_identifiers` chooses the flavour of the instance certificate: with subject and
    authority key identifier as since 2024, or without as before.
    """

    def __init__(  # noqa: PLR0913 - each is a fact of the instance or an injected source
        self,
        root: RootAuthority,
        *,
        region: str,
        instance_id: str,
        clock: Clock,
        entropy: Entropy,
        instance_key_identifiers: bool = True,
        make_key: KeyMaker = P384Key.generate,
    ) -> None:
        check_region(region)
        check_instance_id(instance_id)
        self.root = root
        self.region = region
        self.instance_id = instance_id
        self._clock = clock
        self._entropy = entropy
        self._instance_key_identifiers = instance_key_identifiers
        self._make_key = make_key
        self._beats: _Beats | None = None
        self._instance_key: SigningKey | None = None
        self._regional: Authority | None = None
        self._zonal: Authority | None = None
        self._chain: Chain | None = None

    def cabundle(self, now: int | None = None) -> list[bytes]:
        """Return the DER of root, regional, zonal and instance CA, in this order.

        `now` is milliseconds since 1970, the clock's time by default. Raises `PkiError` for a
        time that the root does not cover.
        """
        return list(self.chain(self._clock() if now is None else now).cabundle)

    def chain(self, now: int) -> Chain:
        """Return the chain in office at `now`, milliseconds since 1970; renew it if need be.

        Raises `PkiError` for a time that the root does not cover.
        """
        seconds = now // _MILLISECONDS
        chain = self._chain
        if chain is None or not chain.valid_from <= seconds < chain.renewed_at:
            check_covered(seconds)
            chain = self._chain = self._renewed(seconds)
        return chain

    def issue_leaf(self, identity: EnclaveIdentity, now: int) -> Leaf:
        """Return a new key and its certificate, issued at `now` (milliseconds since 1970).

        Raises `PkiError` for an enclave of another instance or region.
        """
        if (identity.instance_id, identity.region) != (self.instance_id, self.region):
            raise PkiError(
                f"{identity.module_id} in {identity.region} is not an enclave of "
                f"{self.instance_id} in {self.region}"
            )
        instance = self.chain(now).instance
        # ASSUMPTION: every renewed leaf has a new key.
        key = self._make_key(self._entropy)
        fields = profile.leaf_fields(identity, issued_at=now // _MILLISECONDS)
        certificate = issue(
            fields,
            public_point=key.public_point,
            issuer_name=instance.name,
            issuer_key=instance.key,
        )
        return Leaf(
            certificate=certificate,
            key=key,
            valid_from=fields.not_before,
            renewed_at=fields.not_after - LEAF_RENEWAL,
        )

    def _renewed(self, seconds: int) -> Chain:
        if self._beats is None:
            self._beats = self._beats_before(seconds)
        if self._instance_key is None:
            self._instance_key = self._make_key(self._entropy)
        start = self._beats.instance.last_before(seconds)
        regional, zonal = self._authorities_at(start, self._beats)
        fields = profile.instance_fields(
            self._instance_key.public_point,
            instance_id=self.instance_id,
            region=self.region,
            issuer=zonal,
            not_before=start,
            key_identifiers=self._instance_key_identifiers,
            entropy=self._entropy,
        )
        instance = issue_authority(fields, key=self._instance_key, issuer=zonal)
        levels = (self.root.authority, regional, zonal, instance)
        return Chain(
            cabundle=tuple(authority.certificate for authority in levels),
            instance=instance,
            valid_from=start,
            renewed_at=start + INSTANCE_PERIOD,
        )

    def _authorities_at(self, seconds: int, beats: _Beats) -> tuple[Authority, Authority]:
        """Return the regional and the zonal CA in office, each made when it is first needed."""
        zonal_start = beats.zonal.last_before(seconds)
        regional_start = beats.regional.last_before(zonal_start)
        regional = self._regional
        if regional is None or regional.not_before != regional_start:
            key = self._make_key(self._entropy)
            fields = profile.regional_fields(
                key.public_point,
                region=self.region,
                issuer=self.root.authority,
                not_before=regional_start,
                entropy=self._entropy,
            )
            regional = self._regional = issue_authority(fields, key=key, issuer=self.root.authority)
        zonal = self._zonal
        if zonal is None or zonal.not_before != zonal_start:
            key = self._make_key(self._entropy)
            fields = profile.zonal_fields(
                key.public_point,
                region=self.region,
                issuer=regional,
                not_before=zonal_start,
                entropy=self._entropy,
            )
            zonal = self._zonal = issue_authority(fields, key=key, issuer=regional)
        return regional, zonal

    def _beats_before(self, seconds: int) -> _Beats:
        """Return beats whose present certificates have random, realistic ages."""

        def age(limit: int) -> int:
            return int.from_bytes(self._entropy(8), "big") % limit

        instance = seconds - age(ZONAL_PERIOD)
        zonal = instance - age(ZONAL_PERIOD)
        regional = zonal - age(REGIONAL_PERIOD)
        return _Beats(
            regional=_Beat(regional, REGIONAL_PERIOD),
            zonal=_Beat(zonal, ZONAL_PERIOD),
            instance=_Beat(instance, INSTANCE_PERIOD),
        )
