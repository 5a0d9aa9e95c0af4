"""Attention with a causal mask, in float16: what a finite sentinel lets through, and -inf does not.

Every position attends to those up to itself: the scores of later ones are masked by -inf, whose
softmax is exactly 0. The habit of adding -1e4 instead does the same until scores are as large as
that: then the mask leaks, and a position sees the future.
"""

import numpy as np

from stablelse import softmax

LENGTH, WIDTH, SEED = 6, 16, 2
SENTINEL = np.float16(-1e4)
# Scores of this size are beyond what a sentinel of -1e4 can hide.
SCALE = 80


def attention(queries, keys, values, masked):
    """Return softmax(masked scores) values, and the softmax."""
    scores = queries / np.float16(np.sqrt(WIDTH)) @ keys.T
    weights = softmax(masked(scores), axis=-1)
    return weights @ values, weights


def by_infinity(scores):
    """Return the scores, those of later positions being -inf."""
    return np.where(np.tri(*scores.shape, dtype=bool), scores, np.float16(-np.inf))


def by_sentinel(scores):
    """Return the scores, those of later positions being lower by 1e4."""
    return np.where(np.tri(*scores.shape, dtype=bool), scores, scores + SENTINEL)


def main():
    rng = np.random.default_rng(SEED)
    queries, keys, values = rng.standard_normal((3, LENGTH, WIDTH)).astype(np.float16)
    queries, keys = queries * SCALE, keys * SCALE
    print("mask       weight of the future   first position is its own value   row sums")
    for name, masked in (("-inf", by_infinity), ("x - 1e4", by_sentinel)):
        out, weights = attention(queries, keys, values, masked)
        future = np.triu(weights, 1).max()
        own = np.array_equal(out[0], values[0])
        sums = np.unique(weights.sum(axis=1, dtype=np.float32)).tolist()
        print(f"{name:9}  {future:<21}  {own!s:31}  {sums}")


if __name__ == "__main__":
    main()
