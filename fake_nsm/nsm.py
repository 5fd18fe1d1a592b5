"""The module itself: one CBOR request in, one CBOR answer out.

On hardware a request travels through ``/dev/nsm``: at most 4096 bytes in, at most 12288 out, one
at a time for the whole enclave (Linux drivers/misc/nsm.c). There is no session: all state is the
PCR bank, which belongs to the enclave and not to a file descriptor. Whatever is wrong with a
request is said in the answer; the ioctl itself succeeds. The names of errors and the order of
the checks follow QEMU's model of the device where the AWS Nitro Enclaves NSM API leaves them open.

What is not emulated is the module's speed: a document costs one P-384 signature of this machine.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_nsm import document, requests, responses
from fake_nsm.errors import ErrorName, FakeNsmError, RequestRefusedError

if TYPE_CHECKING:
    from fake_nsm.identity import EnclaveIdentity
    from fake_nsm.pcrs import PcrBank
    from fake_nsm.pki import Chain, InstancePki, Leaf
    from fake_nsm.sources import Clock, Entropy

_log = logging.getLogger("fake_nsm")

REQUEST_LIMIT = 0x1000
"""Longest request in bytes; the Linux driver refuses longer ones itself (EMSGSIZE)."""
RESPONSE_LIMIT = 0x3000
"""Size in bytes of the buffer that the Linux driver always offers for the answer."""

USER_DATA_LIMIT = 512
"""Strict mode: most bytes of user_data and of nonce."""
PUBLIC_KEY_LIMIT = 1024
"""Strict mode: most bytes of public_key, which must not be empty either."""

_GET_RANDOM = b"\x69GetRandom"


@dataclass(frozen=True, slots=True, kw_only=True)
class NsmOptions:
    """How the fake differs from the module's present default behaviour.

    `indefinite_payload` chooses the document's outer map: indefinite as since August 2025, or
    definite as before. `strict_field_limits` enforces the limits that the AWS documentation
    states and the hardware does not. Debug mode is no option here: it is a matter of what was
    measured (`fake_nsm.pcrs.Measurements.in_debug_mode`).
    """

    indefinite_payload: bool = True
    strict_field_limits: bool = False


class FakeNsm:
    """The Nitro Secure Module of one enclave.

    Its state is the PCR bank. Making one signs nothing and makes no key; the first Attestation
    request gets the leaf certificate, and the `InstancePki` shared by all enclaves of an instance
    issues what is missing above it.
    """

    def __init__(  # noqa: PLR0913 - parts and injected sources, nothing that belongs together
        self,
        identity: EnclaveIdentity,
        pcrs: PcrBank,
        pki: InstancePki,
        *,
        clock: Clock,
        entropy: Entropy,
        options: NsmOptions = NsmOptions(),
    ) -> None:
        self.identity = identity
        self.pcrs = pcrs
        self.options = options
        self._pki = pki
        self._clock = clock
        self._entropy = entropy
        self._leaf: Leaf | None = None
        self._chain: Chain | None = None
        self._opening = document.opening(identity.module_id, indefinite=options.indefinite_payload)
        self._certificates_part = b""
        self._pcrs_part = b""
        self._pcrs_generation = -1

    def handle(self, request: bytes, *, response_capacity: int = RESPONSE_LIMIT) -> bytes:
        """Return the CBOR answer to a CBOR request; never raises because of the request.

        The order of the checks is: length, decoding, index, lock, room for the answer.
        `response_capacity` is the room in bytes. An ExtendPCR or LockPCR whose answer does not
        fit has taken effect all the same, as a bad answer buffer is noticed last.
        """
        # A request has one usual encoding, so that of the hottest one is compared, not decoded.
        if request == _GET_RANDOM and response_capacity == RESPONSE_LIMIT:
            return responses.random_response(self._entropy(responses.RANDOM_LENGTH))
        try:
            return self._respond(request, response_capacity)
        except RequestRefusedError as refusal:
            return responses.error_response(refusal.name)
        except FakeNsmError as error:
            # The PKI could not issue. The guest gets what a failing module answers, and the
            # reason goes to whoever runs the simulator.
            _log.warning("%s cannot attest: %s", self.identity.module_id, error)
            return responses.error_response(ErrorName.INTERNAL_ERROR)

    def _respond(self, request: bytes, response_capacity: int) -> bytes:
        if len(request) > REQUEST_LIMIT:
            raise RequestRefusedError(ErrorName.INPUT_TOO_LARGE)
        decoded = requests.decode_request(request)
        response = self._answer(decoded)
        if len(response) > response_capacity:
            raise RequestRefusedError(_DOES_NOT_FIT.get(type(decoded), ErrorName.INPUT_TOO_LARGE))
        return response

    def _answer(self, request: requests.Request) -> bytes:  # noqa: PLR0911 - one for each request
        match request:
            case requests.Attestation():
                return responses.attestation_response(self._attest(request))
            case requests.GetRandom():
                return responses.random_response(self._entropy(responses.RANDOM_LENGTH))
            case requests.DescribeNsm():
                return responses.describe_nsm_response(
                    module_id=self.identity.module_id, locked_pcrs=self.pcrs.locked_indices()
                )
            case requests.DescribePcr(index):
                lock, data = self.pcrs.describe(index)
                return responses.describe_pcr_response(lock=lock, data=data)
            case requests.ExtendPcr(index, data):
                return responses.extend_pcr_response(self.pcrs.extend(index, data))
            case requests.LockPcr(index):
                self.pcrs.lock(index)
                return responses.lock_pcr_response()
            case requests.LockPcrs(count):
                self.pcrs.lock_range(count)
                return responses.lock_pcrs_response()

    def _attest(self, request: requests.Attestation) -> bytes:
        if self.options.strict_field_limits:
            _check_field_limits(request)
        now = self._clock()
        leaf = self._leaf_at(now)
        if self._pcrs_generation != self.pcrs.generation:
            self._pcrs_part = document.pcrs_part(self.pcrs.locked_values())
            self._pcrs_generation = self.pcrs.generation
        payload = document.payload(
            self._opening,
            timestamp=now,
            pcrs=self._pcrs_part,
            certificates=self._certificates_part,
            request=request,
        )
        return document.sign(payload, leaf.key)

    def _leaf_at(self, now: int) -> Leaf:
        """Return the leaf in office; issue it and encode the certificates if they changed."""
        chain = self._pki.chain(now)
        leaf = self._leaf
        seconds = now // 1000
        if leaf is None or not leaf.valid_from <= seconds < leaf.renewed_at:
            leaf = self._pki.issue_leaf(self.identity, now)
        if leaf is not self._leaf or chain is not self._chain:
            self._certificates_part = document.certificates_part(leaf.certificate, chain.cabundle)
            self._leaf, self._chain = leaf, chain
        return leaf


_DOES_NOT_FIT: dict[type[requests.Request], ErrorName] = {
    requests.ExtendPcr: ErrorName.BUFFER_TOO_SMALL,
    requests.LockPcr: ErrorName.BUFFER_TOO_SMALL,
    requests.LockPcrs: ErrorName.BUFFER_TOO_SMALL,
}


# ASSUMPTION: strict field limits answer InputTooLarge for a long field and InvalidArgument for an
# empty public key; the hardware enforces no limit, so there is nothing to observe.
def _check_field_limits(request: requests.Attestation) -> None:
    """Apply the AWS check list: public_key 1..1024 bytes, user_data and nonce 0..512 bytes."""
    public_key = request.public_key
    if public_key is not None and len(public_key) > PUBLIC_KEY_LIMIT:
        raise RequestRefusedError(ErrorName.INPUT_TOO_LARGE)
    for field in (request.user_data, request.nonce):
        if field is not None and len(field) > USER_DATA_LIMIT:
            raise RequestRefusedError(ErrorName.INPUT_TOO_LARGE)
    if public_key == b"":
        raise RequestRefusedError(ErrorName.INVALID_ARGUMENT)
