"""Posterior means by importance sampling: sums of tiny terms with signs.

Bayes' rule fits a straight line to a thousand points. The samples come from the prior. The weight
of a sample is its likelihood, about e^-1400. We want the weighted mean of the slope, which is
negative in some samples and positive in others:

    E[slope] = sum_i w_i slope_i / sum_i w_i,  log|sum_i w_i slope_i| = logsumexp(log w, b=slope)

The priors are Gaussian and the size of the noise is known, so the right answer is known too.
"""

import numpy as np

from stablelse import logsumexp

POINTS, SAMPLES, SEED = 1_000, 200_000, 0
SLOPE, INTERCEPT = 0.02, -0.1


def log_likelihood(samples, t, y):
    """Return log p(y | slope, intercept) [S], for noise of standard deviation 1."""
    slope, intercept = samples.T
    # The squares of y - slope t - intercept, multiplied out, need no array of size S x N.
    squares = (
        y @ y
        - 2 * (slope * (t @ y) + intercept * y.sum())
        + slope**2 * (t @ t)
        + 2 * slope * intercept * t.sum()
        + intercept**2 * len(t)
    )
    return -0.5 * (squares + len(t) * np.log(2 * np.pi))


def main():
    rng = np.random.default_rng(SEED)
    t = np.linspace(-1, 1, POINTS)
    y = SLOPE * t + INTERCEPT + rng.standard_normal(POINTS)
    samples = rng.standard_normal((SAMPLES, 2))

    log_w = log_likelihood(samples, t, y)
    with np.errstate(invalid="ignore"):
        naive = (np.exp(log_w) @ samples[:, 0]) / np.exp(log_w).sum()
    log_total = logsumexp(log_w)
    log_mean, sign = logsumexp(log_w, b=samples[:, 0], return_sign=True)
    mean = sign * np.exp(log_mean - log_total)
    square = np.exp(logsumexp(log_w, b=samples[:, 0] ** 2) - log_total)
    effective = np.exp(2 * log_total - logsumexp(2 * log_w))

    design = np.stack([t, np.ones_like(t)], axis=1)
    covariance = np.linalg.inv(design.T @ design + np.eye(2))
    expected = covariance @ design.T @ y
    print(f"log-likelihoods   from {log_w.min():.0f} to {log_w.max():.0f}")
    print(f"effective samples {effective:.0f} of {SAMPLES:,}")
    print(f"slope, naive      {naive}")
    print(f"slope             {mean:+.4f} +- {np.sqrt(square - mean**2):.4f}")
    print(f"slope, known      {expected[0]:+.4f} +- {np.sqrt(covariance[0, 0]):.4f}")


if __name__ == "__main__":
    main()
