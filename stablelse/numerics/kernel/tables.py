"""Derive the kernel's constants with mpmath: `python tables.py` writes tables.h next to this file.

A test runs this script and compares. It prints the truncation errors that the bounds in the
kernel's comments use.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from mpmath import cos, expm1, factorial, floor, frexp, ldexp, log, lu_solve, matrix, mp, mpf, pi

mp.prec = 400
LN2 = log(mpf(2))


def cut(value: mpf, bits: int) -> float:
    """Return the first bits of a number."""
    significand, exponent = frexp(value)
    return float(ldexp(floor(ldexp(significand, bits)), exponent - bits))


def words(value: mpf) -> tuple[float, float]:
    """Return a number as the sum of two floats."""
    high = float(value)
    return high, float(value - mpf(high))


def through(f: Callable[[mpf], mpf], points: list[mpf]) -> list[float]:
    """Return the coefficients of the polynomial through f at the points."""
    n = len(points)
    powers, values = matrix(n, n), matrix(n, 1)
    for i, x in enumerate(points):
        values[i] = f(x)
        for j in range(n):
            powers[i, j] = x**j
    return [float(c) for c in lu_solve(powers, values)]


def worst(approximation: Callable[[mpf], mpf], half_width: mpf) -> float:
    """Return log2 of the largest error of an approximation of e^r over |r| <= half_width."""
    points = (half_width * (mpf(i) / 1000 - 1) for i in range(2001) if i != 1000)
    return float(log(max(abs(approximation(r) - expm1(r) - 1) for r in points), 2))


def polynomial(coefficients: list[float], r: mpf) -> mpf:
    """Return c0 + c1 r + ..."""
    return sum(mpf(c) * r**j for j, c in enumerate(coefficients))


def tables() -> tuple[str, dict[str, float]]:
    """Return the text of tables.h, and the truncation errors as log2."""
    out = ["/* Made by tables.py: do not edit. */"]

    def array(name: str, values: list[float]) -> None:
        rows = [values[i : i + 4] for i in range(0, len(values), 4)]
        text = ",\n".join("    " + ", ".join(v.hex() for v in row) for row in rows)
        out.append(f"static const double {name}[{len(values)}] ALIGNED = {{\n{text}}};")

    def define(**constants: mpf) -> None:
        out.extend(f"#define {name} {float(value).hex()}" for name, value in constants.items())

    # 2^(j/1024) = h e^l: pairs of h, l, and the rest of l.
    pairs, rest = [], []
    for j in range(1024):
        exact = mpf(2) ** (mpf(j) / 1024)
        low, lower = words(log(exact / mpf(float(exact))))
        pairs += [float(exact), low]
        rest.append(lower)
    array("POWERS", pairs)
    array("POWERS_LOW", rest)
    # 2^(j/16) = h + l
    sixteen = [words(mpf(2) ** (mpf(j) / 16)) for j in range(16)]
    array("POWERS16_HIGH", [h for h, _ in sixteen])
    array("POWERS16_LOW", [low for _, low in sixteen])

    # ln 2 / 1024 = STEP1 + STEP2, or STEP1 + NEAR2 + NEAR3, where NEAR2 times 18 bits is exact.
    step = LN2 / 1024
    step1, step2 = words(step)
    near2 = cut(step - mpf(step1), 35)
    define(STEPS=1 / step, STEP1=step1, STEP2=step2)
    define(NEAR2=near2, NEAR3=step - mpf(step1) - mpf(near2))
    wide1, wide2 = words(LN2 / 16)
    define(WIDE_STEPS=16 / LN2, WIDE_STEP1=wide1, WIDE_STEP2=wide2)
    # ln 2 = LN2_HIGH + LN2_LOW, where LN2_HIGH times 21 bits is exact.
    high = cut(LN2, 32)
    define(LN2_HIGH=high, LN2_LOW=LN2 - mpf(high))

    # e^r = 1 + r + r^2/2 + r^3 (1/6 + A4 r + r^2/120): A4 takes in most of r^6/720.
    half = LN2 / 2048 * mpf("1.00001")
    a4 = float(mpf(1) / 24 + mpf("0.8929") * (LN2 / 2048) ** 2 / 720)
    define(A3=mpf(1) / 6, A4=a4, A5=mpf(1) / 120)
    cubic = [1.0, 1.0, 0.5]
    errors = {
        "A": worst(
            lambda r: polynomial(cubic, r) + r**3 * (mpf(1) / 6 + mpf(a4) * r + r**2 / 120), half
        )
    }
    # e^r = 1 + r + r^2 (Q0 + Q1 r + .. + Q5 r^5)
    half = LN2 / 32 * mpf("1.0001")
    nodes = [s * half * cos(pi * k / 16) for k in (1, 3, 5) for s in (1, -1)]
    q = through(lambda r: (expm1(r) - r) / r**2, nodes)
    define(**{f"Q{j}": c for j, c in enumerate(q)})
    errors["Q"] = worst(lambda r: 1 + r + r**2 * polynomial(q, r), half)
    # e^r = 1 + r (N0 + N1 r + .. + N5 r^5)
    nodes = [half * cos(pi * (2 * i + 1) / 12) for i in range(6)]
    c = through(lambda r: expm1(r) / r, nodes)
    define(**{f"N{j}": v for j, v in enumerate(c)})
    errors["N"] = worst(lambda r: 1 + r * polynomial(c, r), half)
    # 1/3!, 1/4!, 1/5! in two words
    for j in (3, 4, 5):
        high, low = words(1 / factorial(j))
        define(**{f"F{j}": high, f"F{j}_LOW": low})
    return "\n".join(out) + "\n", errors


if __name__ == "__main__":
    text, errors = tables()
    (Path(__file__).parent / "tables.h").write_text(text)
    sys.stdout.write("".join(f"{name}: 2^{error:.3f}\n" for name, error in errors.items()))
