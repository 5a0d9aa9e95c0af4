"""--temperature: what is divided, how it is rounded, and what is refused."""

import json

import numpy as np
import pytest


def test_arguments_masks_and_every_method(run, tmp_path):
    (tmp_path / "mask.txt").write_text("1 0 1\n")
    arguments = ["1000", "1e308", "1002", "--mask", tmp_path / "mask.txt", "--temperature", "0.1"]
    for method in ("shifted", "exact"):
        done = run("softmax", *arguments, "-q", "-m", method)
        assert done == run("softmax", "10000", "-inf", "10020", "-q", "-m", method)
    for command in (["prove", "lse"], ["sweep"], ["peers"], ["lse"]):
        done = run(*command, "1", "3", "--temperature", "2")
        assert (done.code, done.out) == (0, run(*command, "0.5", "1.5").out)


@pytest.mark.parametrize("command", [["lse"], ["nll", "--label", "0"], ["sweep"], ["prove", "lse"]])
def test_json_says_what_x_was_divided_by(command, run):
    for given, recorded in ((["--temperature", "0.5"], 0.5), ([], None)):
        document = json.loads(run(*command, "1", "3", "--json", *given).out)
        assert document["temperature"] == recorded


def test_a_longdouble_is_divided_as_such(run):
    if np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("longdouble is float64 here")
    text = run("lse", "1", "--temperature", "3", "--dtype", "longdouble", "-q").out
    assert np.longdouble(text.strip()) == np.longdouble(1) / 3
