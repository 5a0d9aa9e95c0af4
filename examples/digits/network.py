"""A small softmax network in plain NumPy, with its forward and backward pass written out.

The network is ``relu(x W1 + b1) W2 + b2``; a softmax over its ten outputs, the logits, gives
the probability of each digit. Its loss is the negative log-likelihood of the labels:

    -log p(label | x) = logsumexp(logits) - logits[label]

Every array has the dtype of the images and the weights.

Symbols: N images of D pixels, H units of a layer, K digits.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from stablelse import log_softmax

Array = npt.NDArray[Any]

SEED = 0
HIDDEN_UNITS = 32
DIGITS = 10
BATCH_SIZE = 32
EPOCHS = 30
LEARNING_RATE = 0.05
MOMENTUM = 0.9
# Every fifth image is held out: a sample of the whole file that needs no random generator.
TEST_EVERY = 5
LARGEST_PIXEL = 16


class Images(NamedTuple):
    """Images x [N, D] with pixels from 0 to 1, and the digit that each one shows, labels [N]."""

    x: Array
    labels: Array


class Layer(NamedTuple):
    """The affine map x W + b: weight W [D, H], bias b [H]; also the gradient for the two."""

    weight: Array
    bias: Array


Network = tuple[Layer, ...]

#: From logits [N, K] and labels [N] to the loss of every image [N], and the gradient of their mean
#: with respect to the logits [N, K].
Loss = Callable[[Array, Array], tuple[Array, Array]]


class Step(NamedTuple):
    """A training step: its batch, the loss of each image in it, and the network.

    The network takes the step, in place, when the next step is requested.
    """

    batch: Images
    losses: Array
    network: Network


def load_images() -> tuple[Images, Images]:
    """Return the training and the test images."""
    pixels, labels = load_digits(return_X_y=True)
    is_test = np.arange(len(labels)) % TEST_EVERY == TEST_EVERY - 1
    x = pixels / LARGEST_PIXEL
    return Images(x[~is_test], labels[~is_test]), Images(x[is_test], labels[is_test])


def random_layer(rng: np.random.Generator, inputs: int, units: int) -> Layer:
    """Return a layer with bias 0 and weights of variance 2/D.

    A unit that is zero on half of its inputs then keeps the size of the numbers that pass through
    (He, Zhang, Ren & Sun 2015, "Delving deep into rectifiers", equation 10).
    """
    weight = rng.standard_normal((inputs, units)) * np.sqrt(2 / inputs)
    return Layer(weight, np.zeros(units))


def random_network(rng: np.random.Generator, inputs: int, hidden: int, outputs: int) -> Network:
    return random_layer(rng, inputs, hidden), random_layer(rng, hidden, outputs)


def layer_forward(x: Array, layer: Layer) -> Array:
    """Return x W + b [N, H] for x [N, D]."""
    return x @ layer.weight + layer.bias


def layer_backward(x: Array, layer: Layer, d_out: Array) -> tuple[Array, Layer]:
    """Return the gradients d_inputs [N, D] and (d_weight [D, H], d_bias [H]) from d_out [N, H]."""
    d_weight = x.T @ d_out
    d_bias = d_out.sum(axis=0)
    d_inputs = d_out @ layer.weight.T
    return d_inputs, Layer(d_weight, d_bias)


def hidden_units(x: Array, network: Network) -> Array:
    return np.maximum(layer_forward(x, network[0]), 0)


def network_logits(x: Array, network: Network) -> Array:
    """Return the logits [N, K] for the images x [N, D]."""
    return layer_forward(hidden_units(x, network), network[1])


def negative_log_likelihood(logits: Array, labels: Array) -> tuple[Array, Array]:
    """Return -log p(label | x) [N], and the gradient of its mean, d_logits [N, K].

    The gradient of logsumexp is softmax, hence that of the loss is (softmax - onehot) / N. Both
    come from the same log_softmax: neither can overflow, whatever the logits.
    """
    images = np.arange(len(labels))
    log_probability = log_softmax(logits, axis=1)
    d_logits = np.exp(log_probability)
    d_logits[images, labels] -= 1
    return -log_probability[images, labels], d_logits / len(labels)


def losses_and_gradient(images: Images, network: Network, loss: Loss) -> tuple[Array, Network]:
    """Return the loss of every image [N], and the gradient of their mean for every weight."""
    hidden = hidden_units(images.x, network)
    losses, d_logits = loss(layer_forward(hidden, network[1]), images.labels)
    d_hidden, d_second = layer_backward(hidden, network[1], d_logits)
    d_before_relu = d_hidden * (hidden > 0)
    _, d_first = layer_backward(images.x, network[0], d_before_relu)
    return losses, (d_first, d_second)


def shuffled_batches(rng: np.random.Generator, images: Images) -> Iterator[Images]:
    """Yield every image once, BATCH_SIZE at a time (the last batch takes what is left)."""
    order = rng.permutation(len(images.labels))
    for start in range(0, len(order), BATCH_SIZE):
        batch = order[start : start + BATCH_SIZE]
        yield Images(images.x[batch], images.labels[batch])


def descend(network: Network, velocity: Network, gradient: Network) -> None:
    """Take one step of gradient descent with momentum, in place."""
    for layer, layer_velocity, layer_gradient in zip(network, velocity, gradient, strict=True):
        for parameter, v, d_parameter in zip(layer, layer_velocity, layer_gradient, strict=True):
            v *= MOMENTUM
            v -= LEARNING_RATE * d_parameter
            parameter += v


def training(images: Images, loss: Loss, dtype: npt.DTypeLike = np.float64) -> Iterator[Step]:
    """Train a network on the images, from SEED and in one format, and yield every step."""
    rng = np.random.default_rng(SEED)
    drawn = random_network(rng, images.x.shape[1], HIDDEN_UNITS, DIGITS)
    network = tuple(Layer(*(parameter.astype(dtype) for parameter in layer)) for layer in drawn)
    velocity = tuple(Layer(*map(np.zeros_like, layer)) for layer in network)
    images = Images(images.x.astype(dtype), images.labels)
    for _ in range(EPOCHS):
        for batch in shuffled_batches(rng, images):
            losses, gradient = losses_and_gradient(batch, network, loss)
            yield Step(batch, losses, network)
            descend(network, velocity, gradient)


def train(images: Images) -> Network:
    """Return a network trained on the images in float64."""
    *_, last = training(images, negative_log_likelihood)
    return last.network


def accuracy(logits: Array, labels: Array) -> float:
    """Return the share of images whose largest logit is that of their label."""
    return float(np.mean(logits.argmax(axis=1) == labels))
