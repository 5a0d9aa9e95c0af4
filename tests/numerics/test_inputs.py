"""User input is read without losing a digit, or refused with one helpful line."""

import array
import re
import sys
import types
from collections import deque
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from scipy.sparse import csr_array

import stablelse
from stablelse import naive
from stablelse.numerics.formats import FORMATS
from stablelse.testing import assert_stable

RUNNING = (stablelse.RunningLogSumExp, stablelse.RunningNaive, stablelse.RunningShifted)

#: Every public function that takes numbers, as a function of only those.
FUNCTIONS = {
    **{
        f"{module.__name__}.{name}": getattr(module, name)
        for module in (stablelse, naive)
        for name in ("logsumexp", "softmax", "log_softmax")
    },
    **{
        f"stablelse.{name}": partial(getattr(stablelse, name), labels=0)
        for name in ("nll", "nll_grad")
    },
    "b": lambda x: stablelse.logsumexp(0.0, b=x),
    "weight": lambda x: stablelse.nll([[0.0, 1.0, 2.0]], [1], weight=x),
    "probabilities": lambda x: stablelse.nll([0.0, 1.0, 2.0], x),
    "compare": lambda x: str(stablelse.compare(x)),
    "prove": lambda x: str(stablelse.prove(x)),
    "sweep": lambda x: str(stablelse.sweep(x, formats=["float32"], points=5)),
    "compare_peers": lambda x: str(stablelse.compare_peers(x, peers=["naive"])),
    "scan": lambda x: str(stablelse.scan(x)),
    "ScanState": lambda x: str(stablelse.ScanState().update(x).result()),
    "StreamState": lambda x: str(stablelse.StreamState(["float64"]).update(x).result()),
    "assert_stable": assert_stable,
    **{state.__name__: lambda x, state=state: state().update(x).result() for state in RUNNING},
}


class Array:
    """An object as in other libraries: it becomes an array when NumPy asks for one."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values


THIRD = Fraction(1, 3)

#: Accepted inputs, and the arrays that they become.
READ = {
    "objects": (np.array([1, 2.5, np.float32(0.1)], object), [1, 2.5, float(np.float32(0.1))]),
    "fractions": ([THIRD, THIRD * 2, Fraction(2**53 + 1)], [1 / 3, 2 / 3, 2.0**53]),
    "decimals": ([Decimal("0.1"), Decimal(3), Decimal("1e-400")], [0.1, 3.0, 0.0]),
    "a signaling NaN": ([Decimal("sNaN"), 1], [np.nan, 1.0]),
    "integer objects": (np.array([2**53 + 1, 2**63, 3], object), np.uint64([2**53 + 1, 2**63, 3])),
    "signed and unsigned": (np.array([np.int64(-1), np.uint64(2**63)], object), [-1.0, 2.0**63]),
    "huge integers": ([2**64, 2**64 + 1, 2**70 + 1], [2.0**64, 2.0**64, 2.0**70]),
    "range": (range(3), [0, 1, 2]),
    "tuple": ((0.5, 1, 2), [0.5, 1, 2]),
    "deque": (deque([0.5, 1, 2]), [0.5, 1, 2]),
    "array.array": (array.array("f", [0.5, 1, 2]), np.float32([0.5, 1, 2])),
    "memoryview": (memoryview(array.array("d", [0.5, 1, 2])), [0.5, 1, 2]),
    "a subclass": (np.array([0.5, 1, 2]).view(np.recarray), [0.5, 1, 2]),
    "negative stride": (np.array([2, 1, 0.5])[::-1], [0.5, 1, 2]),
    "big-endian": (np.array([0.5, 1, 2], ">f8"), [0.5, 1, 2]),
    "another array": (Array(np.float32([0.5, 1, 2])), np.float32([0.5, 1, 2])),
    "longdoubles": (np.longdouble([0.5, 1, 2]) / 3, np.longdouble([0.5, 1, 2]) / 3),
    "bools": ([True, False, True], [1.0, 0.0, 1.0]),
    "0-d arrays": ([np.array(0.5), np.array(1), np.array(2)], [0.5, 1, 2]),
}

MASK_WITH = "mask with where="
NUMPYS = np.array([(1.0, 2)], [("a", "f8"), ("b", "i4")])


#: Refused inputs: the error and its message.
REFUSED = {
    "masked": (np.ma.array([1.0, 2, 3], mask=[0, 1, 0]), TypeError, MASK_WITH),
    "masked by nothing": (np.ma.array([1.0, 2, 3]), TypeError, MASK_WITH),
    "masked rows": ([np.ma.array([1.0, 2, 3], mask=[0, 1, 0])], TypeError, MASK_WITH),
    "None": (None, TypeError, "expected numbers, not None$"),
    "a None": ([0.5, None, 2], TypeError, r"x\[1\] is None, .* numpy.nan for what is missing"),
    "string": ("1", TypeError, "not strings: pass .*astype"),
    "strings": (["1", "2", "3"], TypeError, "not strings: pass .*astype"),
    "bytes": ([b"1", b"2", b"3"], TypeError, "not byte strings: pass .*astype"),
    "a string": (np.array([1.5, "\x1b[31m", 2], object), TypeError, r"x\[1\] is '\\x1b\[31m'"),
    "generator": ((x for x in range(3)), TypeError, r"not a generator: pass list\(x\)"),
    "map": (map(float, [1, 2]), TypeError, r"not a map: pass list\(x\)"),
    "set": ({1.0, 2.0}, TypeError, r"not a set: pass list\(x\)"),
    "dict": ({"a": 1.0}, TypeError, r"not a dict: pass list\(x.values\(\)\)"),
    "views": ({"a": 1.0}.values(), TypeError, r"not a dict_values: pass list\(x\)"),
    "sparse": (csr_array(np.eye(2)), TypeError, r"csr_array: pass x.toarray\(\)"),
    "ragged": ([[1.0, 2.0], [3.0]], ValueError, "different lengths: pass one at a time, or pad"),
    "ragged objects": (np.array([[1.0, 2.0], [3.0]], object), TypeError,
        r"x\[0\] is a list, not a number: pass numpy.stack\(x\)"),
    "records": (NUMPYS, TypeError, r"records: pass one field, x\['a', 'b'\]"),
    "dates": (np.array(["2024-01-01"], "M8[D]"), TypeError, "not dates"),
    "durations": (np.array([1], "m8[s]"), TypeError, "not durations: pass x / numpy.timedelta64"),
    "saved bfloat16": (np.zeros(3, "V2"), TypeError, r"x.view\(ml_dtypes.bfloat16\)"),
    "too large": ([10**400], ValueError, r"x\[0\] is too large for float64"),
    "too large a number": (10**400, ValueError, "the number is too large for float64"),
    "too large a fraction": ([Fraction(10**400)], ValueError, r"x\[0\] is too large for float64"),
    "too large a decimal": ([Decimal("1e400")], ValueError, r"x\[0\] is too large for float64"),
    "a complex object": ([1, 1j, None], TypeError, r"x\[1\] is 1j, .*astype\(complex\)"),
    "an object": (object(), TypeError, "expected numbers, not an object$"),
    "a masked array in disguise": (Array(np.ma.array([1.0, 2, 3], mask=[0, 1, 0])), TypeError,
        MASK_WITH),
    "dates among numbers": (np.array([1, np.datetime64("2024-01-01")], object), TypeError,
        "datetime64, not a number"),
}  # fmt: skip

COMPLEX = {"stablelse.logsumexp", "b"}

#: What an error calls the argument, if not x.
CALLED = {"b": "b", "weight": "weight", "probabilities": "labels"}


def same(one, other):
    if isinstance(one, str) or one is None:
        return one == other
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True)


def spread(kinds):
    """Pair each kind with logsumexp and a few other functions, and each function with some."""
    pairs = [(name, kind) for name in FUNCTIONS for kind in kinds]
    return [pair for i, pair in enumerate(pairs) if i < len(kinds) or i % 5 == 0]


@pytest.mark.parametrize(("name", "kind"), spread(READ))
def test_what_is_read(name, kind):
    given, meant = READ[kind]
    with np.errstate(all="raise"):
        if name == "probabilities" and np.asarray(given).dtype.kind in "biuO":  # perhaps labels
            return
        try:
            right = FUNCTIONS[name](np.asarray(meant))
        except (ValueError, AssertionError) as error:  # such as probabilities above 1
            with pytest.raises(type(error)):
                FUNCTIONS[name](given)
        else:
            assert same(FUNCTIONS[name](given), right)


@pytest.mark.parametrize(("name", "kind"), spread(REFUSED))
def test_what_is_refused(name, kind):
    given, error, words = REFUSED[kind]
    if given is None and name in ("b", "weight", "prove"):  # their default
        return
    if called := CALLED.get(name):
        words = re.sub(r"\bx\b", called, words.replace("numbers, not", f"numbers as {called}, not"))
    with pytest.raises(error, match=words) as caught:
        FUNCTIONS[name](given)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - COMPLEX))
def test_complex_numbers_are_refused_where_they_mean_nothing(name):
    with pytest.raises(TypeError, match="complex"):
        FUNCTIONS[name]([1j, 2.0, 3.0])


def test_pandas():
    pandas = pytest.importorskip("pandas")
    right = stablelse.softmax([0.5, 1, 2])
    for dtype in ("float64", "Float64", object):
        assert np.array_equal(stablelse.softmax(pandas.Series([0.5, 1, 2], dtype=dtype)), right)
    frame = pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    assert stablelse.logsumexp(frame, axis=1).shape == (2,)
    with pytest.raises(TypeError, match=r"x\[0, 1\] is 'u', not a number: pass .*astype"):
        stablelse.logsumexp(frame.assign(b=["u", "v"]))
    with pytest.raises(TypeError, match=r"x\[1\] is a pandas.*NAType, .* numpy.nan"):
        stablelse.logsumexp(pandas.Series([1, pandas.NA], dtype=object))


def test_dask_arrays():
    dask_array = pytest.importorskip("dask.array")
    x = np.array([0.5, 1, 2])
    lazy = dask_array.from_array(x)
    eager = FUNCTIONS.keys() - {f"stablelse.{name}" for name in ("softmax", "log_softmax")}
    for name in eager - {"stablelse.logsumexp", "probabilities"}:
        assert same(FUNCTIONS[name](lazy), FUNCTIONS[name](x))
    masked = dask_array.ma.masked_array(x, mask=[True, False, False])
    for function in FUNCTIONS.values():
        with pytest.raises(TypeError, match=MASK_WITH):
            function(masked)
    with pytest.raises(TypeError, match=r"Dask array of objects .* pass x.astype\(float\)"):
        stablelse.softmax(dask_array.from_array(x.astype(object), chunks=3))


@pytest.mark.filterwarnings("ignore:.*converting a masked element")
def test_no_number_of_a_list_is_masked():
    masked = np.ma.masked
    lists = ([1.0, masked], (masked, 1), [[1.0, 2.0], [3.0, masked]], [1j, masked])
    for x in lists:
        with pytest.raises(TypeError, match=r"mask of a number would be lost .*-numpy.inf"):
            stablelse.logsumexp(x)
    assert np.isnan(stablelse.logsumexp([1.0, np.nan]))
    assert np.isnan(stablelse.softmax([[1.0, np.nan]])).all()
    with pytest.raises(TypeError, match="mask of a masked array would be lost"):
        stablelse.softmax([[0.5, 1.0]], axis=0, out=np.ma.zeros((1, 2)))


def described(result):
    return str(getattr(result, "result", lambda: result)())


def test_one_name_is_a_sequence_of_one():
    x = [0.5, 1.0]
    for function, options in (
        (stablelse.compare, {"formats": "float16", "methods": "naive", "shifts": 1.5}),
        (stablelse.prove, {"formats": "float16"}),
        (stablelse.scan, {"formats": "float16"}),
        (
            partial(stablelse.sweep, points=5),
            {"methods": "naive", "formats": "float32", "shifts": "max"},
        ),
        (stablelse.compare_peers, {"formats": "float32", "peers": "naive"}),
        (lambda x, formats: stablelse.StreamState(formats).update(x), {"formats": "float16"}),
    ):
        several = {name: [value] for name, value in options.items()}
        assert described(function(x, **options)) == described(function(x, **several))


def test_labels():
    logits, labels = [[40.0, 0.0], [1.0, 2.0]], [1, 0]
    for function in (stablelse.nll, stablelse.nll_grad):
        for dtype in (int, bool, np.uint8):
            for axis in (0, 1):
                hot = np.moveaxis(np.eye(2, dtype=dtype)[labels], 1, axis)
                x = np.moveaxis(np.array(logits), 1, axis)
                assert same(function(x, hot, axis=axis), function(x, labels, axis=axis))
        assert same(function(logits, np.array([1, np.int64(0)], object)), function(logits, labels))
        with pytest.raises(ValueError, match=r"label 18446744073709551516 at \[0\] is not"):
            function(logits[:1], np.array([2**64 - 100], np.uint64))
        for wrong in ([[1, 1], [0, 1]], [[0, 0], [0, 1]], [[2, -1], [0, 1]]):
            with pytest.raises(ValueError, match="one-hot, with a single 1 in each vector"):
                function(logits, wrong)


@pytest.mark.parametrize("name", FORMATS)
def test_a_dtype_has_the_name_of_a_format(name):
    for module in (stablelse, naive):
        assert module.logsumexp([0.5, 1.0], dtype=name).dtype == FORMATS[name].dtype
        assert module.softmax([0.5, 1.0], dtype=name).dtype == FORMATS[name].dtype
    assert stablelse.nll([0.5, 1.0], 0, dtype=name, reduction="none").dtype == FORMATS[name].dtype


class Tensor:
    """Behaves like torch.Tensor: NumPy's conversion fails where PyTorch does not have it."""

    def __init__(self, bits, dtype, requires_grad=False):
        self.bits, self.dtype, self.requires_grad = bits, dtype, requires_grad

    def __array__(self, dtype=None, copy=None):
        return self.numpy()

    def numpy(self, *, force=False):
        if self.requires_grad and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        if self.dtype not in ("torch.float32", "torch.int16", "torch.uint8", "torch.int64"):
            raise TypeError("Got unsupported ScalarType")
        return self.bits

    def is_floating_point(self):
        return "float" in self.dtype

    def detach(self):
        return Tensor(self.bits, self.dtype)

    def resolve_neg(self):
        return self

    def view(self, dtype):
        assert not self.requires_grad
        return Tensor(self.bits, dtype)


@pytest.fixture
def torch(monkeypatch):
    """A stand-in for PyTorch; tests below use the real one if it is installed."""
    module = types.SimpleNamespace(Tensor=Tensor, int16="torch.int16", uint8="torch.uint8")
    monkeypatch.setitem(sys.modules, "torch", module)
    return module


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    ("name", "requires_grad"),
    [("float32", True), ("float32", False), ("bfloat16", True), ("float8_e5m2", False)],
)
def test_tensors(name, requires_grad):
    format_ = FORMATS[name]
    numbers = format_.round([0.5, 1, 2])
    bits = numbers.view({2: np.int16, 1: np.uint8}.get(numbers.itemsize, numbers.dtype))
    tensor = Tensor(bits, f"torch.{name}", requires_grad)
    found = stablelse.softmax(tensor)
    assert found.dtype == format_.dtype
    assert np.array_equal(found, stablelse.softmax(numbers))
    for function in FUNCTIONS.values():
        assert same(function(tensor), function(numbers))
    rows = stablelse.softmax([tensor, tensor], axis=1)
    assert np.array_equal(rows, stablelse.softmax(np.stack([numbers, numbers]), axis=1))
    labels = Tensor(np.array([2]), "torch.int64")
    assert stablelse.nll([[1.0, 2.0, 3.0]], labels) == stablelse.nll([[1.0, 2.0, 3.0]], [2])


@pytest.mark.usefixtures("torch")
def test_tensors_of_no_format_of_the_table():
    tensor = Tensor(np.zeros(3, np.uint8), "torch.float8_e4m3fnuz")
    with pytest.raises(TypeError, match=r"float8_e4m3fnuz is not .*: pass x.float\(\)"):
        stablelse.softmax(tensor)


def test_pytorch_itself():
    torch = pytest.importorskip("torch")
    x = torch.tensor([[0.5, 1, -2], [3, 4, 5]])
    for dtype in ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"):
        tensor = x.clone().to(getattr(torch, dtype)).requires_grad_(requires_grad=True)
        right = FORMATS[dtype].round(x.numpy())
        for given, meant in ((tensor, right), (tensor.T, right.T), (tensor[0], right[0])):
            assert same(stablelse.softmax(given, axis=-1), stablelse.softmax(meant, axis=-1))
    with pytest.raises(TypeError, match="to_dense"):
        stablelse.softmax(x.to_sparse())
    with pytest.raises(TypeError, match=r"x.float\(\)"):
        stablelse.softmax(x.to(torch.float8_e5m2fnuz))
