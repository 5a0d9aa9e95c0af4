"""Attention with a causal mask, in float16: a finite sentinel leaks, and `where` does not.

Every position attends to itself and to earlier positions. The scores of later ones are masked, and
their softmax is exactly 0. Many programs subtract 1e4 from these scores instead. That works until
scores are as large as 1e4: then the mask leaks, and a position sees the future. A position of
padding may attend to nothing and has no softmax; `empty` says what it gets.
"""

import numpy as np

from stablelse import softmax

LENGTH, WIDTH, SEED = 6, 16, 2
SENTINEL = np.float16(-1e4)
# Scores of this size are beyond what a sentinel of -1e4 can hide.
SCALE = 80


def by_where(scores, may_attend):
    """Return the softmax over the positions that the mask allows."""
    return softmax(scores, axis=-1, where=may_attend)


def by_sentinel(scores, may_attend):
    """Return the softmax of the scores, after 1e4 is subtracted at the other positions."""
    return softmax(np.where(may_attend, scores, scores + SENTINEL), axis=-1)


def main():
    rng = np.random.default_rng(SEED)
    queries, keys, values = rng.standard_normal((3, LENGTH, WIDTH)).astype(np.float16)
    scores = (queries * SCALE) / np.float16(np.sqrt(WIDTH)) @ (keys * SCALE).T
    causal = np.tri(LENGTH, dtype=bool)
    print("mask       weight of the future   first position is its own value   row sums")
    for name, weigh in (("where=", by_where), ("x - 1e4", by_sentinel)):
        weights = weigh(scores, causal)
        future = np.triu(weights, 1).max()
        own = np.array_equal((weights @ values)[0], values[0])
        sums = np.unique(weights.sum(axis=1, dtype=np.float32)).tolist()
        print(f"{name:9}  {future:<21}  {own!s:31}  {sums}")

    is_padding = np.arange(LENGTH) >= LENGTH - 2
    may_attend = causal & ~is_padding[:, np.newaxis]
    for empty in ("nan", "zero"):
        weights = softmax(scores, axis=-1, where=may_attend, empty=empty)
        sums = weights.sum(axis=1, dtype=np.float32).tolist()
        print(f"two positions of padding, empty={empty!r}: row sums {sums}")


if __name__ == "__main__":
    main()
