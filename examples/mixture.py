"""Fit a mixture of Gaussians to handwritten digits by expectation maximisation.

The density of 64 pixels may be too small for floating point. Then the density of every outlier is
0, and no component is responsible for it. So the mixture is computed in logarithms:
log p(x) = logsumexp_k(log w_k + log N(x; m_k, v_k)). The responsibilities, the share of each
component in an image, are a softmax of the same numbers.
"""

import numpy as np
from scipy import special, stats
from sklearn.datasets import load_digits

from stablelse import logsumexp, softmax

COMPONENTS, STEPS, SEED = 10, 20, 0
LARGEST_PIXEL = 16
# Without it, a pixel that is black in all images of a component would have the variance 0.
LEAST_VARIANCE = 1e-3


def joint_log_density(x, weights, means, variances):
    """Return log w_k + log N(x; m_k, v_k) [N, K] for Gaussians with independent pixels."""
    scaled = (x[:, np.newaxis, :] - means) ** 2 / variances
    log_norm = np.log(2 * np.pi * variances).sum(axis=1)
    return np.log(weights) - 0.5 * (scaled.sum(axis=2) + log_norm)


def maximised(x, responsibilities):
    """Return the weights [K], means and variances [K, D] of the most likely mixture."""
    counts = responsibilities.sum(axis=0)[:, np.newaxis]
    means = responsibilities.T @ x / counts
    variances = responsibilities.T @ x**2 / counts - means**2
    return counts[:, 0] / len(x), means, np.maximum(variances, 0) + LEAST_VARIANCE


def report(name, x, parameters):
    """Print the log-likelihood of images, with and without logarithms."""
    joint = joint_log_density(x, *parameters)
    log_likelihood = logsumexp(joint, axis=1)
    with np.errstate(divide="ignore"):
        naive = np.log(np.exp(joint).sum(axis=1))
    lost = np.count_nonzero(np.isinf(naive))
    print(f"{name:15} {log_likelihood.mean():19.3f}   -inf for {lost:4} of {len(x)}")


def main():
    x = load_digits().data / LARGEST_PIXEL
    rng = np.random.default_rng(SEED)
    parameters = maximised(x, rng.dirichlet(np.ones(COMPONENTS), len(x)))
    print("images          mean log-likelihood   log(sum(exp))")
    for step in range(STEPS):
        if step % 10 == 0:
            report(f"after {step} steps", x, parameters)
        joint = joint_log_density(x, *parameters)
        parameters = maximised(x, softmax(joint, axis=1))
    report(f"after {STEPS} steps", x, parameters)
    report("inverted", 1 - x, parameters)  # no such image was ever seen

    weights, means, variances = parameters
    theirs = stats.norm.logpdf(x[:, np.newaxis, :], means, np.sqrt(variances)).sum(axis=2)
    ours = logsumexp(joint_log_density(x, *parameters), axis=1)
    difference = np.abs(special.logsumexp(theirs + np.log(weights), axis=1) - ours)
    agrees = difference.max() <= 1e-12 * np.abs(ours).max()
    print(f"the same as from scipy.stats, to twelve digits: {agrees}")


if __name__ == "__main__":
    main()
