"""How accurate the libraries are: their largest errors, and how many results are not the nearest.

All installed libraries get the same vectors of each family. Their results are compared with the
correctly rounded ones. The short table has the worst family of each library, the long one all.

    python tests/benchmarks/accuracy.py [--vectors M] [--write]
"""

import argparse
from importlib.metadata import version
from importlib.util import find_spec

import pages
from speed import families

import stablelse
from stablelse.analysis.peers import PeerResult

FUNCTIONS = {"logsumexp": "lse", "softmax": "softmax", "log_softmax": "log-softmax"}
FORMATS = ["float64", "float32"]
LENGTHS = [3, 10, 200]
PACKAGES = {"numpy": "NumPy", "scipy": "SciPy", "torch": "PyTorch", "jax": "JAX"}


def measured(vectors: int) -> dict[tuple[str, str, str, str], tuple[float, float]]:
    """Return the largest error and the share of misrounded results.

    The key is (function, format, family, library). The error is in ulps.
    """
    found: dict[tuple[str, str, str, str], list[PeerResult]] = {}
    for n in LENGTHS:
        for family, x in families(vectors, n).items():
            for function in FUNCTIONS:
                compared = stablelse.compare_peers(x, function, formats=FORMATS)
                for result in compared.results:
                    key = (function, result.format, family, result.title)
                    found.setdefault(key, []).append(result)
    return {
        key: (
            max(float("inf") if r.broken else r.ulps for r in results),
            sum(r.misrounded for r in results) / sum(r.judged for r in results),
        )
        for key, results in found.items()
        if all(r.judged for r in results)
    }


def ulps(error: float) -> str:
    """Return an error as text."""
    if error == float("inf"):
        return "no digit"
    return f"{error:.0f}" if error < 1e4 else f"{error:.1e}"


def cell(error: float, share: float) -> str:
    """Return the largest error and the share of results that are not the nearest number."""
    return f"{ulps(error)} ({100 * share:.3g} %)"


def main() -> None:
    """Print the two tables, or write them to the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=int, default=2000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    results = measured(options.vectors)
    libraries = list(dict.fromkeys(key[3] for key in results))
    names = list(dict.fromkeys(key[2] for key in results))
    used = ", ".join(f"{PACKAGES[p]} {version(p)}" for p in PACKAGES if find_spec(p))
    lengths = ", ".join(map(str, LENGTHS))
    said = (
        f"Largest error in ulps, and the share of results that are not the nearest number. "
        f"{options.vectors:,} vectors each of {lengths} numbers. {used}."
    )
    shown = [library for library in libraries if library != "logaddexp"]
    long, short = [], []
    for function, title in FUNCTIONS.items():
        for format_ in FORMATS:
            worst = []
            for name in names:
                keys = [(function, format_, name, library) for library in libraries]
                cells = [cell(*results[key]) if key in results else "" for key in keys]
                long.append([title, format_, name, *cells])
            for library in shown:
                of = {n: results.get((function, format_, n, library)) for n in names}
                of = {n: value for n, value in of.items() if value}
                name = max(of, key=of.get, default="")
                where = f", {name}" if name and of[name][0] > 0 else ""
                worst.append(f"{ulps(of[name][0])}{where}" if name else "")
            short.append([f"{title}, {format_}", *worst])
    texts = {
        "accuracy": pages.table(["largest error, ulps", *shown], short)
        + f"\n{options.vectors:,} vectors each of {lengths} numbers. {used}.",
        "accuracy of families": said
        + "\n\n"
        + pages.table(["function", "format", "family", *libraries], long),
    }
    for name, text in texts.items():
        if options.write:
            pages.write(name, text)
        else:
            print(text, end="\n\n")


if __name__ == "__main__":
    main()
