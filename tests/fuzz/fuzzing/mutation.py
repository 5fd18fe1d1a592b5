"""Changes of one input: as a blind fuzzer makes them, and as somebody who knows the format would.

Flipping bits in a document mostly breaks a length near its beginning. So most changes here are
made in the tree (`fuzzing.tree`): one element, somewhere between the envelope and the last object
identifier, is changed, doubled, moved, taken out or written in another form, and everything
around it is put right.

Nothing here is random by itself: the caller's generator decides, so a seed repeats everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from fuzzing.tree import Kind, Node, cbor_head, read, read_number, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    Havoc: TypeAlias = Callable[[bytes], bytes]

MAX_BYTES = 20_000
"""Inputs are cut there: a little more than the largest document that is looked at."""

_ARRAY, _MAP = 4, 5

TOKENS = (
    # CBOR: heads with a meaning of their own
    *(bytes.fromhex(token) for token in ("f4", "f5", "f6", "f7", "f93c00", "80", "a0", "40", "60")),
    *(bytes.fromhex(token) for token in ("bfff", "9fff", "5fff", "c24101", "1bffffffffffffffff")),
    *(b"\x64pcrs", b"\x6dnitrotpm_pcrs", b"\x69module_id", b"\x66SHA384", b"\x66digest"),
    *(b"\x69timestamp", b"\x68cabundle", b"\x6bcertificate", b"\x65nonce", b"\x69user_data"),
    b"\x58\x30" + bytes(48),
    # DER: extensions (basicConstraints, keyUsage, name constraints, policies, an unknown one)
    *(
        bytes.fromhex(token)
        for token in (
            "300f0603551d130101ff040530030101ff",
            "30120603551d130101ff040830060101ff020100",
            "300c0603551d130101ff04023000",
            "300e0603551d0f0101ff040403020186",
            "300b0603551d0f0404030206c0",
            "300a0603551d1e040330010030",
            "30090603551d2004023000",
            "300c06032a03040101ff04020500",
        )
    ),
    *(
        bytes.fromhex(token)
        for token in ("020100", "0201ff", "020101", "02020080", "0101ff", "0500")
    ),
    *(b"\x17\x0d260601120000Z", b"\x18\x0f20500601120000Z", b"\x18\x0f99991231235959Z"),
    bytes.fromhex("300a06082a8648ce3d040303"),
    bytes.fromhex("300a06082a8648ce3d040302"),
)
"""Encoded elements that mean something."""


def mutate(data: bytes, random: Random, havoc: Havoc | None = None) -> bytes:
    """Change `data` a little; `havoc` changes bytes blindly and may be a fuzzer's own."""
    blind = havoc or (lambda octets: blindly(octets, random))
    if not data or random.random() < 0.15:
        return blind(data)[:MAX_BYTES]
    tree = read(data)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        _edit(tree, random, blind)
    return write(tree)[:MAX_BYTES]


def crossed(one: bytes, other: bytes, random: Random) -> bytes:
    """Put an element of one input in the place of an element of another."""
    tree = read(one)
    parent, position = _somewhere(tree, random)
    source = read(other)
    donor, donor_position = _somewhere(source, random)
    if parent is None:
        return one
    parent.children[position] = source if donor is None else donor.children[donor_position]
    return write(tree)[:MAX_BYTES]


def blindly(data: bytes, random: Random) -> bytes:
    """Change bytes without looking at them: flip, insert, delete, repeat, cut, overwrite."""
    if not data:
        return random.randbytes(random.randint(1, 8))
    at = random.randrange(len(data))
    span = random.choice((1, 1, 1, 2, 4, 16))
    return random.choice(
        (
            lambda: data[:at] + bytes((data[at] ^ 1 << random.randrange(8),)) + data[at + 1 :],
            lambda: data[:at] + random.randbytes(span) + data[at + span :],
            lambda: data[:at] + random.randbytes(span) + data[at:],
            lambda: data[:at] + data[at + span :],
            lambda: data[: at + span] + data[at:],
            lambda: data[:at],
        )
    )()


def _edit(tree: Node, random: Random, blind: Havoc) -> None:
    parent, position = _somewhere(tree, random)
    if parent is None:
        if tree.kind is Kind.RAW:
            tree.replace(blind(tree.content))
        return
    random.choice(_EDITS)(parent, position, random, blind)


def _somewhere(tree: Node, random: Random) -> tuple[Node | None, int]:
    """Walk down from the root and stop at random: return an element's parent and position."""
    parent, position, node = None, 0, tree
    while node.children and (parent is None or random.random() < 0.8):
        parent, position = node, random.randrange(len(node.children))
        node = parent.children[position]
    return parent, position


def _change_content(parent: Node, position: int, random: Random, blind: Havoc) -> None:
    node = parent.children[position]
    while node.children:
        node = random.choice(node.children)
    number = read_number(node.content) if node.kind is Kind.RAW else None
    if number is None:
        node.replace(blind(node.content))
        return
    major, argument = number
    change = random.choice((-1, 1, 1 << random.randrange(64), random.randrange(1 << 16)))
    node.replace(cbor_head(major, (argument + change) % (1 << 64), random.choice((0, 0, 8))))


def _delete(parent: Node, position: int, _random: Random, _blind: Havoc) -> None:
    del parent.children[position]


def _delete_pair(parent: Node, position: int, _random: Random, _blind: Havoc) -> None:
    first = position & ~1 if parent.first == _MAP else position
    del parent.children[first : first + 2]


def _double(parent: Node, position: int, _random: Random, _blind: Havoc) -> None:
    parent.children.insert(position, _copy(parent.children[position]))


def _double_pair(parent: Node, position: int, _random: Random, _blind: Havoc) -> None:
    first = position & ~1
    parent.children[first:first] = map(_copy, parent.children[first : first + 2])


def _swap(parent: Node, position: int, random: Random, _blind: Havoc) -> None:
    other = random.randrange(len(parent.children))
    children = parent.children
    children[position], children[other] = children[other], children[position]


def _token(parent: Node, position: int, random: Random, _blind: Havoc) -> None:
    token = Node(Kind.RAW, 0, random.choice(TOKENS))
    if random.random() < 0.5:
        parent.children[position] = token
    else:
        parent.children.insert(position, token)


def _form(parent: Node, position: int, random: Random, _blind: Havoc) -> None:
    _other_form(parent.children[position], random)


def _other_form(node: Node, random: Random) -> None:
    """Write the same element with another head."""
    number = read_number(node.content) if node.kind is Kind.RAW else None
    if number is not None:
        node.replace(cbor_head(*number, random.choice((1, 2, 4, 8))))
    elif node.kind is Kind.CBOR and node.first in {_ARRAY, _MAP} and random.random() < 0.5:
        node.indefinite = not node.indefinite
    elif node.kind is not Kind.RAW:
        node.width = random.choice((1, 2, 3, 4))


def _other_type(parent: Node, position: int, random: Random, _blind: Havoc) -> None:
    node = parent.children[position]
    if node.kind is Kind.CBOR:
        node.first = random.randrange(2, 6)
    elif node.kind is Kind.DER:
        node.first = random.choice((0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x14, 0x16,
                                    0x17, 0x18, 0x1E, 0x30, 0x31, 0x80, 0x82, 0xA0, 0xA1, 0xA3,
                                    node.first ^ 0x20))  # fmt: skip


def _copy(node: Node) -> Node:
    return Node(node.kind, node.first, node.body(), node.width, node.indefinite, node.argument)


_EDITS = (
    *(_change_content,) * 5,
    *(_swap,) * 2,
    *(_token,) * 2,
    *(_form,) * 2,
    _other_type,
    _delete,
    _delete_pair,
    _double,
    _double_pair,
)
