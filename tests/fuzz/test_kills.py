"""A few kills at random moments, the same each time; kills.py goes on for longer."""

import os

import pytest
from fuzz.kills import campaign

#: Runs of all kinds, the quick ones.
NAMES = ["npy", "json", "link", "svg", "spool of numbers", "spool of an array"]


@pytest.mark.skipif(os.name != "posix", reason="there are no such signals")
def test_the_old_file_or_the_new_one_is_left():
    found = campaign(NAMES, seed=0, is_over=lambda number: number == 24)
    assert [outcome for outcome in found if "wrong" in outcome] == []
    assert found["killed"] > 5
