"""A short search for input that breaks a rule, the same each time.

python -m pytest --hypothesis-profile=search tests/fuzz searches longer, each time elsewhere.
"""

from base64 import b64decode
from pathlib import Path

import pytest
from fuzz.properties import PROPERTIES, read_every_way
from fuzz.strategies import PACKINGS, SEEDS, seeds
from hypothesis import given, settings

#: How many cases take about a second, where that is not the usual number.
EXAMPLES = {"printed": 16, "written": 100, "commands": 150}

#: Small files that a coverage-guided search found, one for each of their outcomes; or that once
#: broke a rule. Each line is a file.
CORPUS = sorted(Path(__file__).parent.joinpath("corpus").glob("*.base64"))


@pytest.mark.parametrize("name", PROPERTIES)
def test_no_rule_is_broken(name):
    pytest.importorskip("pyarrow")
    strategy, check = PROPERTIES[name]
    more = settings.default.max_examples // settings.get_profile("suite").max_examples

    @settings(max_examples=EXAMPLES.get(name, 50) * more)
    @given(strategy)
    def attempt(case):
        check(case)

    attempt()


@pytest.mark.parametrize("kind", SEEDS)
def test_whole_and_truncated_at_every_byte(kind):
    """Of a small file; a longer one at every byte near its ends, and at some between."""
    pytest.importorskip("pyarrow")
    for data in seeds(kind):
        read_every_way(data)
    for data in seeds(kind)[::8]:
        is_lost = [isinstance(found, str) for found in truncated(data)]
        # A stream of Arrow may end after any message, without a mark.
        assert all(is_lost) or kind in ("text", "json", "magic") or data.startswith(b"\xff")


@pytest.mark.parametrize("name", PACKINGS)
def test_truncated_when_packed(name):
    """Without its end mark, nothing is read; but one of two streams is whole."""
    pytest.importorskip("pyarrow")
    data = PACKINGS[name](seeds("npy")[0])
    assert sum(not isinstance(found, str) for found in truncated(data)) <= 1


def truncated(data):
    places = {*range(min(len(data), 60)), *range(max(0, len(data) - 40), len(data))}
    for place in sorted(places | {*range(0, len(data), max(1, len(data) // 40))}):
        yield read_every_way(data[:place])


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_was_found_before(path):
    pytest.importorskip("pyarrow")
    for line in path.read_bytes().splitlines():
        read_every_way(b64decode(line))
