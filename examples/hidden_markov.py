"""Which die was it? The forward algorithm of a hidden Markov model, in log space.

The occasionally dishonest casino of R. Durbin, S. Eddy, A. Krogh & G. Mitchison, "Biological
sequence analysis" (1998), section 3.2: now and then a fair die is replaced by one that
shows a six every second time. The probability of a sequence of rolls is a sum over all sequences of
dice, which is computed step by step:

    log f_t(j) = log e_j(roll_t) + logsumexp_i(log f_(t-1)(i) + log a_ij)
"""

import numpy as np

from stablelse import logsumexp, softmax

ROLLS, SEED = 10_000, 0
START = np.array([0.5, 0.5])
CHANGE = np.array([[0.95, 0.05], [0.10, 0.90]])  # from (row) fair, loaded to (column) the same
SHOWS = np.array([[1 / 6] * 6, [1 / 10] * 5 + [1 / 2]])


def sampled(rng):
    """Return the dice [T] and their rolls [T], from 0 to 5."""
    dice = [rng.choice(2, p=START)]
    while len(dice) < ROLLS:
        dice.append(rng.choice(2, p=CHANGE[dice[-1]]))
    return np.array(dice), np.array([rng.choice(6, p=SHOWS[die]) for die in dice])


def forward(rolls):
    """Return log f_t(j) [T, 2]."""
    log_f = np.empty((len(rolls), 2))
    log_f[0] = np.log(START) + np.log(SHOWS[:, rolls[0]])
    for t in range(1, len(rolls)):
        paths = log_f[t - 1][:, np.newaxis] + np.log(CHANGE)
        log_f[t] = np.log(SHOWS[:, rolls[t]]) + logsumexp(paths, axis=0)
    return log_f


def underflow(rolls):
    """Return the first roll, from 1, at which the textbook's product is zero."""
    f = START * SHOWS[:, rolls[0]]
    for t, roll in enumerate(rolls[1:], 2):
        f = f @ CHANGE * SHOWS[:, roll]
        if not f.any():
            return t
    return None


def scaled(rolls):
    """Return log p(rolls) the usual way: scale every f_t to the sum 1."""
    f, log_p = START * SHOWS[:, rolls[0]], 0.0
    for roll in rolls[1:]:
        log_p += np.log(f.sum())
        f = f / f.sum() @ CHANGE * SHOWS[:, roll]
    return log_p + np.log(f.sum())


def main():
    dice, rolls = sampled(np.random.default_rng(SEED))
    log_f = forward(rolls)
    log_p = logsumexp(log_f[-1])
    loaded = softmax(log_f, axis=1)[:, 1]
    right = np.mean((loaded > 0.5) == (dice == 1))
    print(f"log p of {ROLLS:,} rolls  {log_p:.6f}")
    print(f"scaled at every roll  {scaled(rolls):.6f}")
    print(f"as a product          zero from roll {underflow(rolls)} on")
    print(f"the die is named      rightly for {right:.1%} of the rolls")


if __name__ == "__main__":
    main()
