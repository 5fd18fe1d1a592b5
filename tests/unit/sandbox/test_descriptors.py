"""Descriptors get to their numbers in a child, whatever numbers they have here."""

import os

import pytest

from nitrosim.sandbox.descriptors import place_descriptors


def after(actions, table):
    """Return the table of descriptors of a child that does these actions, as posix_spawn does."""
    table = dict(table)
    for action, *numbers in actions:
        if action == os.POSIX_SPAWN_DUP2:
            source, target = numbers
            table[target] = table[source]
        else:
            assert (os.POSIX_SPAWN_CLOSE, 1) == (action, len(numbers))
            del table[numbers[0]]
    return table


@pytest.mark.parametrize(
    "placed",
    [
        {10: 3},
        {10: 3, 11: 4, 12: 5},
        {3: 3},
        {3: 4, 4: 3},
        {3: 4, 4: 5, 5: 3},
        {3: 5, 10: 3, 5: 4},
        {6: 5, 7: 6, 5: 7},
        {4: 3, 5: 4, 6: 5},
    ],
    ids=str,
)
def test_every_descriptor_gets_to_its_number(placed):
    table = {number: f"file {number}" for number in placed}

    assert table | {number: f"file {source}" for source, number in placed.items()} == after(
        place_descriptors(placed), table
    )


def test_other_descriptors_stay_where_they_are():
    table = {0: "input", 1: "output", 3: "mine", 4: "file 4", 10: "file 10"}

    assert table | {3: "file 4", 5: "file 10"} == after(place_descriptors({4: 3, 10: 5}), table)
