"""What the examples print, as `test_readme.py` holds it, says what they are there to show."""

import re
from pathlib import Path

TEXT = (Path(__file__).parents[2] / "examples" / "README.md").read_text(encoding="utf-8")


def printed(script):
    (lines,) = re.findall(rf"^\$ python examples/{script}\n(.*?)^```$", TEXT, re.M | re.S)
    return lines.splitlines()


def test_the_sentinel_leaks_and_where_does_not():
    where, sentinel, nan, zero = printed("attention.py")[1:]
    assert where.split()[1:3] == ["0.0", "True"]
    assert nan.count("1.0") == zero.count("1.0") == 4
    assert (nan.count("nan,"), zero.count(" 0.0")) == (1, 2)
    assert float(sentinel.split()[3]) > 0
    assert "False" in sentinel


def test_the_hidden_markov_model_agrees_with_the_scaled_recursion():
    ours, scaled = printed("hidden_markov.py")[:2]
    assert ours.split()[-1] == scaled.split()[-1]
