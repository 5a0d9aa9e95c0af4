"""A pytest plugin: puts this library's functions in the place of SciPy's own, for SciPy's tests."""

import scipy.special
from scipy._lib import _array_api

import stablelse

for name in ("logsumexp", "softmax", "log_softmax"):
    theirs, ours = getattr(scipy.special, name), getattr(stablelse, name)
    # SciPy looks up by function which tests are for it, and with which arrays.
    _array_api.xp_capabilities_table[ours] = _array_api.xp_capabilities_table[theirs]
    setattr(scipy.special, name, ours)


def pytest_collection_modifyitems(items):
    assert items, "SciPy came without its tests"
    for item in items:
        assert item.module.logsumexp is stablelse.logsumexp
        assert item.module.softmax is stablelse.softmax
        assert item.module.log_softmax is stablelse.log_softmax
