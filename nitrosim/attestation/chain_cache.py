"""What a verifier remembers of chains that it has verified before.

Four of the five signatures under a document are those of certificates, and they are the same
ones in every document of an enclave for three hours: the leaf lives that long. Remembering
them makes verification five times as fast. A fleet behind one verifier shares more: enclaves of
one machine differ in the leaf, machines of one zone in leaf and instance. So there are two
stores, both of bounded size, the longest unused entry going first:

* whole chains, root to leaf, whose steps 13 to 19 have passed;
* beginnings of them, a root and any number of issuers below it, whose links (steps 13 to 16)
  have passed: a new leaf costs one signature, a new machine two.

**The key is the certificates, all their bytes, in order.** Not a digest of them, not serial
numbers or names (anybody can write those), not the leaf alone: the same leaf below other
issuers is another chain. A byte changed anywhere finds nothing and is verified like anything
else. The stores are dictionaries, so finding an entry ends in a comparison of the bytes.

**What depends on time is never remembered.** Published verifiers cached issuers without the end
of their validity, and so accepted leaves below an issuer that had expired long ago (issuers of
one machine live for a day, which a server outlives). Here a chain is held together with all
its certificates, and each use checks the validity of each one at the time of that use, whichever
it is: historic verifications and live ones share the entries. An expired chain is not removed,
because the next question may be about the past.

Neither remembered: revocation (the lists are consulted each time), the agreement of names and
PCR 4 with the document (it depends on the document), and whatever a longer chain may change
about a beginning: path lengths, the places of keys and extensions (steps 17 to 19) are
checked over every chain that is not known as a whole.

**Only successes are stored**, and only after the document's own signature has verified. Chains
are public, so whoever has seen some could otherwise push out those in use. Refusals are not
remembered at all: they would fill the memory with whatever a stranger makes up.

Of size 0, a cache remembers nothing but pinned roots: one certificate for each pin that the
caller has given, read and with its key loaded, found by its bytes. No signature is saved by that.

Pins and the cryptography are fixed when a verifier is made and a cache belongs to one verifier,
so they are no part of the key. Nothing is written to disk, and a verifier that is sent to another
process arrives there with an empty cache.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from nitrosim.attestation.errors import Code

if TYPE_CHECKING:
    from nitrosim.attestation.certificate import Certificate
    from nitrosim.attestation.p384 import PublicKey

DEFAULT_CHAINS: Final = 64
"""Chains that a verifier remembers unless told otherwise: measured, at most 3 MB with the keys."""

_BEGINNINGS: Final = 3
"""Beginnings of a chain of five that are more than its root and less than all of it."""

Ders: TypeAlias = tuple[bytes, ...]
"""Certificates as they came, root first."""

_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True)
class Identity:
    """What the names in a chain say (step 22); only for documents in which they agree."""

    module_id: str
    region: str
    pcr4: bytes


@dataclass(frozen=True, slots=True)
class Path:
    """Certificates from a pinned root downwards, each signed by the one before (steps 13 to 16).

    Attributes:
        certificates: root first.
        keys: the public key of each certificate.

    """

    certificates: tuple[Certificate, ...]
    keys: tuple[PublicKey, ...]

    @property
    def ders(self) -> Ders:
        """The bytes of the certificates: what a path is found by."""
        return tuple(certificate.der for certificate in self.certificates)

    def beginning(self, length: int) -> Path:
        """Return the first `length` certificates as a path."""
        return Path(self.certificates[:length], self.keys[:length])


@dataclass(frozen=True, slots=True)
class Chain:
    """A whole chain, root to leaf, which is right at some times (steps 13 to 19).

    Attributes:
        path: the certificates and their keys.
        root_sha256: the pin of the first one.
        begins: when the last of them begins, seconds since 1970 UTC.
        ends: when the first of them ends, inclusive, seconds since 1970 UTC.
        identity: what its names say; None when nobody has asked yet.
        remembered: whether it came from the cache.

    """

    path: Path
    root_sha256: bytes
    begins: int
    ends: int
    identity: Identity | None = None
    remembered: bool = False

    @property
    def root(self) -> Certificate:
        """The certificate that is pinned."""
        return self.path.certificates[0]

    @property
    def leaf(self) -> Certificate:
        """The certificate whose key signs documents."""
        return self.path.certificates[-1]

    @property
    def leaf_key(self) -> PublicKey:
        """The key that signs documents."""
        return self.path.keys[-1]


class ChainCache:
    """Chains and beginnings of chains, the most recently used ones. For any number of threads."""

    __slots__ = ("_chains", "_lock", "_paths", "_roots", "_size")

    def __init__(self, size: int) -> None:
        """Hold at most `size` chains, three times as many beginnings of them, and all roots.

        Raises `ExpectationError` for less than none.
        """
        number: object = size
        if type(number) is not int or number < 0:
            raise Code.CHAIN_CACHE("chain_cache", got=repr(number), expected="0 or more chains")
        self._size = size
        self._chains: OrderedDict[Ders, Chain] = OrderedDict()
        self._paths: OrderedDict[Ders, Path] = OrderedDict()
        self._roots: dict[bytes, Path] = {}
        # Moving an entry to the end is several steps; nothing holds the lock while it computes.
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[ChainCache], tuple[int]]:
        """Pickle as an empty cache of the same size: what comes back has not been verified."""
        return ChainCache, (self._size,)

    def chain(self, ders: Ders) -> Chain | None:
        """Return the chain that consists of exactly these certificates, None if it is not known."""
        if not self._size:
            return None
        with self._lock:
            chain = self._chains.get(ders)
            if chain is not None:
                self._chains.move_to_end(ders)
            return chain

    def beginning(self, ders: Ders) -> Path | None:
        """Return the longest known path that these certificates begin with; never all of them."""
        with self._lock:
            if self._paths:
                for length in range(len(ders) - 1, 1, -1):
                    path = self._paths.get(ders[:length])
                    if path is not None:
                        return path
            return self._roots.get(ders[0])

    def remember(self, chain: Chain) -> None:
        """Store a chain that has verified, and each of its beginnings."""
        root = chain.root.der
        # Only pinned ones come here, so there are as many of them as pins.
        with self._lock:
            if root not in self._roots:
                self._roots[root] = chain.path.beginning(1)
        if not self._size:
            return
        ders = chain.path.ders
        known = replace(chain, remembered=True)
        with self._lock:
            _put(self._chains, ders, known, self._size)
            # The shortest comes last: an issuer stays at least as long as what it has issued.
            for length in range(len(ders) - 1, 1, -1):
                path = chain.path.beginning(length)
                _put(self._paths, ders[:length], path, _BEGINNINGS * self._size)


def _put(store: OrderedDict[Ders, _Entry], ders: Ders, entry: _Entry, size: int) -> None:
    store[ders] = entry
    store.move_to_end(ders)
    if len(store) > size:
        store.popitem(last=False)
