"""The parent's side: ask an enclave for an attestation document, and check it.

Usage::

    client.py CID PORT --output document.cbor
    client.py CID PORT --pcr 0=HEX --pcr 1=HEX --pcr 2=HEX
    client.py CID PORT --pcr 0=HEX --pcr 1=HEX --pcr 2=HEX --root-pem ca.pem

The first form only fetches the document. With ``--pcr`` the document is verified as well,
against the AWS root, or, in the simulator, against the root of the simulated instance
(``nitrosim ca --pem``). The values to expect are printed by ``nitro-cli build-enclave``.

The exit status is 0 when the document was fetched and, if asked for, verified; 1 when not.
"""

import argparse
import os
import socket
import struct
import sys
from pathlib import Path

from nitrosim.attestation import AttestationError, Pcrs, Verifier

NONCE_SIZE = 32
MAX_ANSWER = 16 * 1024
STATUS_DOCUMENT = 0
TIMEOUT_SECONDS = 10


class NoDocumentError(Exception):
    """The enclave could not be asked, or did not give a document."""


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """Read `size` bytes: a stream may deliver them in any number of pieces."""
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise NoDocumentError(f"the answer ended after {len(data)} of {size} bytes")
        data += piece
    return bytes(data)


def fetch_document(cid: int, port: int, nonce: bytes) -> bytes:
    """Ask the enclave `cid` for a document with this nonce in it."""
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        try:
            connection.connect((cid, port))
            connection.sendall(struct.pack(">I", len(nonce)) + nonce)
            (length,) = struct.unpack(">I", receive_exactly(connection, 4))
            if not 1 <= length <= MAX_ANSWER:
                raise NoDocumentError(f"an answer of {length} bytes, expected 1 to {MAX_ANSWER}")
            status, *body = receive_exactly(connection, length)
        except OSError as error:
            raise NoDocumentError(
                f"cannot talk to port {port} of enclave {cid}: {error}"
            ) from error
    if status != STATUS_DOCUMENT:
        raise NoDocumentError(f"the enclave refused: {bytes(body).decode(errors='replace')}")
    return bytes(body)


def verify_document(
    document: bytes, nonce: bytes, pcrs: dict[int, bytes], root_pem: Path | None
) -> None:
    """Check that the document is genuine, fresh, for our nonce, and from the expected image."""
    verifier = Verifier(roots=[root_pem.read_bytes()]) if root_pem else Verifier.aws()
    verified = verifier.verify(document, Pcrs(pcrs), nonce=nonce)
    print(f"verified: {verified.module_id} at {verified.timestamp:%Y-%m-%d %H:%M:%S} UTC")


def pcr_argument(text: str) -> tuple[int, bytes]:
    """Read ``N=HEX``."""
    index, _equals, value = text.partition("=")
    try:
        return int(index), bytes.fromhex(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected N=HEX, got {text!r}") from error


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Get an attestation document from an enclave.")
    parser.add_argument("cid", type=int, help="the enclave's CID")
    parser.add_argument("port", type=int, help="the port it listens on")
    parser.add_argument("--nonce", type=bytes.fromhex, metavar="HEX", help="default: a fresh one")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the document to FILE")
    parser.add_argument(
        "--pcr",
        type=pcr_argument,
        action="append",
        metavar="N=HEX",
        help="verify the document and demand this PCR; repeat for more",
    )
    parser.add_argument(
        "--root-pem", type=Path, metavar="FILE", help="trust this root instead of the AWS root"
    )
    arguments = parser.parse_args()
    if arguments.root_pem and not arguments.pcr:
        parser.error("--root-pem needs --pcr: without it nothing is verified")
    if not arguments.pcr and not arguments.output:
        parser.error("nothing to do: give --output, --pcr or both")
    return arguments


def main() -> int:
    """Run the client."""
    arguments = parse_arguments()
    # A fresh nonce is what makes an old, recorded document useless to an attacker.
    nonce = os.urandom(NONCE_SIZE) if arguments.nonce is None else arguments.nonce
    try:
        document = fetch_document(arguments.cid, arguments.port, nonce)
        if arguments.output:
            arguments.output.write_bytes(document)
        print(f"received: {len(document)} bytes for nonce {nonce.hex()}")
        if arguments.pcr:
            verify_document(document, nonce, dict(arguments.pcr), arguments.root_pem)
    except (NoDocumentError, AttestationError, OSError) as error:
        print(f"client: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
