"""The linter: what it finds, what it leaves alone, and that its advice is right."""

import json

import mpmath
import numpy as np
import pytest
import scipy.special

import stablelse
from stablelse.analysis.lint import LintError, lint, rewritten
from stablelse.render.lint import RULES

HEAD = """\
import numpy as np, torch, math, jax
import jax.numpy as jnp
import tensorflow as tf
import torch.nn.functional as F
from torch import nn
from scipy.special import softmax, log_softmax, expit, logsumexp
"""

#: Naive formulas; lines are separated by semicolons.
BAD = {
    "LSE001": [
        "np.log(np.sum(np.exp(x)))",
        "np.log(np.exp(x).sum(axis=1))",
        "torch.exp(x).sum(-1).log()",
        "x.exp().sum(dim=1).log()",
        "torch.log(torch.mean(torch.exp(x), dim=0))",
        "np.log(np.dot(w, np.exp(x)))",
        "np.log(w @ np.exp(x))",
        "np.log((w*np.exp(x)).sum())",
        "math.log(sum(math.exp(v) for v in x))",
        "e = np.exp(x); s = e.sum(); y = np.log(s)",
        "jnp.log(jnp.sum(jnp.exp(x), axis=-1))",
        "tf.math.log(tf.reduce_sum(tf.exp(x), 1))",
        "np.log1p(np.sum(np.exp(x)))",
        "np.log(np.sum(np.exp(x)) + 1e-12)",
        "np.log(np.mean(np.exp(-x**2/2)))",
        "x = x - x.max(); f = lambda x: np.log(np.exp(x).sum())",
        "x = x - x.max(); def f(x):\n    return np.log(np.exp(x).sum())",
        "x = z; if a:\n    x = x - x.max()\ny = np.log(np.exp(x).sum())",
        "for x in xs:\n    e = np.exp(x)\n    y = np.log(e.sum())",
        "np.log(np.exp(np.exp(x).sub()).sum())",
        "np.log(np.sum(np.exp(x)))  # stablelse: ignore[LSE007]",
        "\x0c; y = 1  # stablelse: ignore; z = np.log(np.sum(np.exp(x)))",
        "from math import *; y = log(sum(exp(v) for v in x))",
        "import autograd.numpy as anp; y = anp.log(anp.sum(anp.exp(x)))",
        "pos = torch.exp(s.diag()); y = -torch.log(pos / torch.exp(s).sum(1))",
        "e = [math.exp(v) for v in x]; y = math.log(sum(e))",
    ],
    "LSE002": [
        "torch.log(F.softmax(x, dim=1))",
        "F.softmax(x, -1).log()",
        "np.log(softmax(x))",
        "jnp.log(jax.nn.softmax(x))",
        "p = torch.softmax(x, 1); y = p.log()",
        "torch.log(nn.Softmax(dim=1)(x))",
        "np.log(np.exp(x - x.max()) / np.sum(np.exp(x - x.max())))",
        "def softmax(x):\n    return f(x)\ny = np.log(softmax(x))",
        "class A:\n    def __init__(self):\n        self.softmax = nn.Softmax(1)\n"
        "    def f(self, x):\n        return torch.log(self.softmax(x))",
        "class A:\n    def __init__(self):\n        self.act = nn.Softmax(1)\n"
        "    def f(self, x):\n        return torch.log(self.act(x))",
        "torch.log(F.softmax(x, 1).gather(1, i))",
    ],
    "LSE003": [
        "torch.log(torch.sigmoid(x))",
        "np.log(expit(x))",
        "x.sigmoid().log()",
        "np.log(1/(1+np.exp(-x)))",
        "tf.math.log(tf.nn.sigmoid(x))",
    ],
    "LSE004": [
        "np.log(1 + np.exp(x))",
        "np.log1p(np.exp(x))",
        "torch.log(1 + torch.exp(-x))",
        "math.log(1 + math.exp(x))",
        "np.log(np.exp(-z) + 1.0)",
        "np.log(1 + np.exp(np.multiply(-x, y, out)))",
        "b = t > 0 and len(x) > 1 and x.max() > 1 and x == 2; np.log1p(np.exp(x / t))",
        "def f(x):\n    return x > 3\ny = np.log1p(np.exp(x))",
    ],
    "LSE005": [
        "np.log(np.exp(a) + np.exp(b))",
        "torch.log(a.exp() + b.exp())",
        "math.log(math.exp(a)+math.exp(b))",
    ],
    "LSE006": [
        "F.cross_entropy(F.softmax(x, 1), y)",
        "F.nll_loss(F.softmax(x, dim=1), y)",
        "nn.CrossEntropyLoss()(torch.softmax(x,1), y)",
        "loss = nn.CrossEntropyLoss(); p = torch.softmax(x, 1); l = loss(p, y)",
        "class A:\n    def __init__(self):\n        self.loss = nn.CrossEntropyLoss()\n"
        "    def f(self, x, y):\n        return self.loss(F.softmax(x, 1), y)",
        "F.binary_cross_entropy_with_logits(torch.sigmoid(x), y)",
        "tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=tf.nn.softmax(x))",
        "import optax; optax.softmax_cross_entropy(jax.nn.softmax(x), y)",
    ],
    "LSE007": [
        "np.exp(x) / np.sum(np.exp(x))",
        "e = np.exp(x); p = e / e.sum(axis=1, keepdims=True)",
        "e = torch.exp(x); e /= e.sum()",
        "[math.exp(v) / sum(math.exp(w) for w in x) for v in x]",
        "np.exp(-x**2/2) / np.exp(-x**2/2).sum()",
        "np.exp(x) / (1 + np.exp(x))",
        "x.exp() / x.exp().sum(-1, keepdim=True)",
        "logits = logits.exp(); probs = logits / logits.sum(dim=-1, keepdim=True)",
        "e = [math.exp(v) for v in x]; p = [v / sum(e) for v in e]",
        "w = pi * np.exp(-0.5 * x**2) / s; p = w / w.sum(axis=1)",
        "w = torch.exp(s); y = torch.einsum('bij,bjd->bid', w, v) / w.sum(-1)",
        "w = np.exp(x); mean = np.sum(w * f) / np.sum(w)",
        "np.exp(x, out=x); x /= x.sum()",
        "x.exp_(); x.div_(x.sum(1, keepdim=True))",
        "df['e'] = np.exp(df['x']); df['p'] = df['e'] / df.e.sum()",
        "np.exp(q + slope * np.arange(n)) / np.sum(np.exp(q + slope * np.arange(n)))",
    ],
    "LSE008": [
        "torch.where(g > 20, g, torch.log(1 + torch.exp(g)))",
        "jnp.where(x > 0, x, jnp.exp(x) - 1)",
        "torch.where(x > 0, x, alpha * torch.expm1(x))",
    ],
    "LSE009": ["np.log(1 - np.exp(x))", "torch.log(1 - torch.exp(-t))", "np.log(1.0 - np.exp(-x))"],
    "LSE010": [
        "torch.log(F.softmax(x, 1) + 1e-8)",
        "np.log(softmax(x) + eps)",
        "p = F.softmax(x, -1); y = (p + 1e-9).log()",
        "torch.log(torch.sigmoid(x) + 1e-10)",
        "torch.log(F.softmax(x, 1).clamp(min=1e-8))",
    ],
}

#: Stable formulas, and what only looks like a naive one.
GOOD = [
    "x - np.max(x)",
    "m = x.max(); np.log(np.sum(np.exp(x - m))) + m",
    "m = np.max(x, axis=1, keepdims=True); e = np.exp(x - m); p = e / e.sum(1, keepdims=True)",
    "x = x - x.max(); p = np.exp(x)/np.exp(x).sum()",
    "x -= x.max(); p = np.exp(x)/np.exp(x).sum()",
    "np.logaddexp(0, x)",
    "np.log1p(np.exp(-np.abs(x)))",
    "torch.where(x > 0, x, torch.exp(torch.minimum(x, z)))",
    "F.cross_entropy(x, y)",
    "F.nll_loss(F.log_softmax(x,1), y)",
    "np.exp(x - logsumexp(x))",
    "np.log(np.sum(x))",
    "np.log(p)",
    "m, _ = x.max(-1); p = (x - m).exp(); p = p / p.sum()",
    "np.log(1 + np.exp(-np.abs(x)))",
    "torch.exp(x - x.max(dim=1, keepdim=True)[0]).sum(1).log()",
    "np.exp(a) / np.sum(b)",
    "math.log(sum(x))",
    "m = max(x); math.log(sum(math.exp(v - m) for v in x))",
    "m = x.max(); z = np.log(np.exp(np.subtract(x, m)).sum())",
    "np.log(np.exp(x))",
    "1/(1+np.exp(-x))",
    "amax = torch.amax(x, 1, True); y = torch.log(torch.sum(torch.exp(x - amax), 1, True)) + amax",
    "np.log(-np.expm1(x))",
    "log_p = F.log_softmax(x, 1); log_p.exp().sum()",
    "def f(x):\n    x = x - x.max()\n    return np.log(np.exp(x).sum())",
    "x.sub_(x.max(1, keepdim=True)[0]); y = x.exp() / x.exp().sum(1)",
    "x = x.sub(x.max(1, keepdim=True)[0]); y = x.exp() / x.exp().sum(1)",
    "np.subtract(x, x.max(), out=x); np.exp(x, out=x); x /= x.sum()",
    "m = x[0, argmax(x)]; y = m + torch.log(torch.sum(torch.exp(x - m.view(1, -1))))",
    "i = np.argmax(x); e = np.exp(x - x[i]); p = e / e.sum()",
    "low = u.min(); f = low - T * np.log(np.sum(np.exp(-(u - low) / T)))",
    "w = np.exp(-0.5 * (np.arange(n) - c)**2 / s); w /= w.sum()",
    "w = np.exp(-np.square(np.linspace(-3, 3, 7))); w /= w.sum()",
    "g = [math.exp(-(x - 5)**2 / 9.0) for x in range(11)]; g = torch.Tensor(g); k = g / g.sum()",
    "i, j = np.mgrid[-3:4, -3:4]; g = np.exp(-(i**2 + j**2) / (2 * s**2)); g /= g.sum()",
    "i, j = np.meshgrid(a, b); g = np.exp(-(i**2 + j.pow(2)) / s); k = g / np.sum(g)",
    "np.log1p(np.exp(-x.pow(2)))",
    "np.exp(df['a']) / np.exp(df['b']).sum()",
    "np.log(expit(x) + np.exp(-y))",
    "beta = np.sum(w * (1 - np.exp(-e))); y = np.log(1 / (beta / (1 - beta)))",
    "torch.where(x > c, torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(x)))",
    "if x >= 0:\n    y = 1\nelse:\n    z = math.exp(x)\n    y = z / (1 + z)",
    "x if x > 30 else math.log(1 + math.exp(x))",
    "small = x < 20; y[small] = np.log1p(np.exp(x[small]))",
    "safe = torch.where(x > 20, torch.zeros_like(x), x); y = torch.log1p(torch.exp(safe))",
    "if a < b:\n    a, b = b, a\ny = a + math.log1p(math.exp(b - a))",
    "np.log1p(np.exp(-np.abs(x) * np.log(2)))",
    "top = x.topk(1).values; e = torch.exp(x - top); p = e / e.sum()",
    "np.log(np.sum(np.exp(x)))  # stablelse: ignore",
    "np.log(np.sum(np.exp(x)))  # stablelse: ignore[LSE007, LSE001]",
]


def rules(code: str, head: str = HEAD) -> list[str]:
    return [found.rule for found in lint(head + code.replace("; ", "\n"))]


@pytest.mark.parametrize("rule", BAD)
def test_naive_formulas_are_found(rule):
    found = {code: rules(code) for code in BAD[rule]}
    assert {code: names[:1] for code, names in found.items()} == {code: [rule] for code in found}
    others = {name for names in found.values() for name in names} - {rule}
    assert others <= {"LSE004"}  # softplus inside where is naive itself


@pytest.mark.parametrize("code", GOOD)
def test_stable_formulas_are_left_alone(code):
    assert rules(code) == []


X = mpmath.mpf

#: For each rule: the formula, what to write instead, an x, and the true value.
PROOFS = {
    "LSE001": ("np.log(np.sum(np.exp(x)))", "np.logaddexp.reduce(x)", [1000, 1001],
        lambda x: x[1] + mpmath.log(1 + mpmath.exp(x[0] - x[1]))),
    "LSE002": ("np.log(softmax(x))", "log_softmax(x)", [0, -1000], lambda x: [0, -1000]),
    "LSE003": ("np.log(expit(x))", "-np.logaddexp(0, -x)", -1000, lambda x: x),
    "LSE004": ("np.log(1 + np.exp(x))", "np.logaddexp(0, x)", 1000, lambda x: x),
    "LSE005": ("np.log(np.exp(x[0]) + np.exp(x[1]))", "np.logaddexp(x[0], x[1])", [1000, 999],
        lambda x: x[0] + mpmath.log(1 + mpmath.exp(x[1] - x[0]))),
    "LSE006": ("stablelse.nll(softmax(x), 0)", "stablelse.nll(x, 0)", [20, 0],
        lambda x: mpmath.log(1 + mpmath.exp(-x[0]))),
    "LSE007": ("np.exp(x) / np.sum(np.exp(x))", "softmax(x)", [1000, 1000], lambda x: [0.5, 0.5]),
    "LSE009": ("np.log(1 - np.exp(x))", "np.log(-np.expm1(x))", -1e-17,
        lambda x: mpmath.log(-mpmath.expm1(x))),
    "LSE010": ("np.log(softmax(x) + 1e-8)", "log_softmax(x)", [0, -1000], lambda x: [0, -1000]),
}  # fmt: skip


@pytest.mark.parametrize("rule", PROOFS)
def test_the_formula_breaks_and_the_advice_is_right(rule):
    bad, good, x, truth = PROOFS[rule]
    if rule != "LSE006":  # its loss is the library's own here
        assert rules(bad) == [rule]
    names = {"np": np, "stablelse": stablelse, "x": np.array(x, float), **vars(scipy.special)}
    with mpmath.workdps(50):
        true = np.array(truth([X(v) for v in x] if isinstance(x, list) else X(x)), float)
    with np.errstate(all="ignore"):
        wrong, right = eval(bad, names), eval(good, names)
    assert not np.all(np.abs(wrong - true) <= 2**40 * np.spacing(np.abs(true)))
    assert np.all(np.abs(right - true) <= 4 * np.spacing(np.abs(true)))


def test_the_gradient_of_where_is_nan_and_the_advice_is_right():
    torch = pytest.importorskip("torch")
    x = torch.tensor([100.0], requires_grad=True)
    torch.where(x > 20, x, torch.log(1 + torch.exp(x))).sum().backward()
    assert x.grad.isnan().all()
    x.grad = None
    bounded = torch.log(1 + torch.exp(torch.minimum(x, torch.tensor(20.0))))
    torch.where(x > 20, x, bounded).sum().backward()
    assert x.grad.tolist() == [1.0]


@pytest.mark.parametrize("rule", RULES)
def test_rules_break_in_float32_and_are_explained(run, rule):
    done = run(f"lint --explain {rule}")
    assert (done.code, done.err) == (0, "")
    assert rule in done.out.splitlines()[0]
    assert "naive" in done.out
    assert "✗" in done.out or "≈" in done.out


#: A formula, and its safe rewriting; None where there is none.
FIXES = {
    "np.log(np.sum(np.exp(x)))": "np.logaddexp.reduce(x, axis=None)",
    "np.log(np.sum(np.exp(x), axis=1, keepdims=True))":
        "np.logaddexp.reduce(x, axis=1, keepdims=True)",
    "torch.log(torch.sum(torch.exp(x), dim=1))": "torch.logsumexp(x, dim=1)",
    "x.exp().sum(-1).log()": None,
    "torch.exp(x).sum(-1).log()": "torch.logsumexp(x, -1)",
    "torch.exp(x).sum().log()": None,
    "torch.exp(x).sum(dim=None).log()": None,
    "jnp.log(jnp.sum(jnp.exp(x), 0))": "jax.nn.logsumexp(x, 0)",
    "tf.math.log(tf.reduce_sum(tf.exp(x), 1))": "tf.reduce_logsumexp(x, 1)",
    "np.log(np.sum(np.exp(x), axis=(0, -1)))": "np.logaddexp.reduce(x, axis=(0, -1))",
    "np.log(np.sum(np.exp(x) * 2))": None,
    "np.log(np.mean(np.exp(x)))": None,
    "np.log2(np.sum(np.exp(x)))": None,
    "torch.log(F.softmax(x, dim=1))": "F.log_softmax(x, dim=1)",
    "x.softmax(-1).log()": "x.log_softmax(-1)",
    "np.log(softmax(x))": None,
    "np.log1p(np.exp(f(x)))": "np.logaddexp(0, f(x))",
    "torch.log(1 + torch.exp(x))": "torch.nn.functional.softplus(x, threshold=40)",
    "torch.log(torch.exp(f(x, [1])) + 1.0)":
        "torch.nn.functional.softplus(f(x, [1]), threshold=40)",
    "np.log(\n    1 + np.exp(\n    x)\n)": "np.logaddexp(0, x)",
    "np.log(1 + np.exp(x  # why\n))": None,
    "math.log(1 + math.exp(x))": None,
    "self.softmax(x).log()": None,
    "F.softmax(x, 1).log()": "F.log_softmax(x, 1)",
}  # fmt: skip


@pytest.mark.parametrize("code", FIXES)
def test_safe_cases_are_rewritten(code):
    source = f"{HEAD}y = [1, {code}]\n"
    assert rewritten(source, lint(source)) == source.replace(code, FIXES[code] or code)


def test_places_are_those_of_the_source():
    (found,) = lint('import numpy as np\na = "ü"; y = np.log(np.exp(é).sum())\n', "m.py")
    assert (found.path, found.line, found.column) == ("m.py", 2, 14)
    assert found.source == "np.log(np.exp(é).sum())"


def test_notebooks_are_read_cell_by_cell():
    cells = [
        {"cell_type": "markdown", "source": ["np.log(np.exp(x).sum())"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "import numpy as np"]},
        {"cell_type": "code", "source": "%%bash\nexp(; done"},
        {"cell_type": "code", "source": "f, g = !ls \\\n  exp(\nnp.exp?\n?np.exp\nx = %sql exp(1"},
        {"cell_type": "code", "source": "if a:\n\n    !ls\ny = np.log(np.exp(x).sum())"},
    ]
    (found,) = lint(json.dumps({"cells": cells}), "a.ipynb")
    assert (found.cell, found.line, found.rule) == (5, 4, "LSE001")
    r = {"cells": [{"cell_type": "code", "source": "x <- exp(1)"}]}
    assert lint(json.dumps(r | {"metadata": {"language_info": {"name": "R"}}}), "a.ipynb") == []
    assert isinstance(lint('{"cells": "exp(x)"}', "a.ipynb")[0], LintError)


def test_growing_formulas_take_no_time():
    source = "import numpy as np\n" + "x = x * x + np.exp(x)\n" * 300
    assert lint(source + "y = np.log(x)\n") == []
    assert lint("exp(" * 5000 + ")" * 5000) != []  # an error, not a crash


# ---- The command


@pytest.fixture
def project(here):
    """A folder with a naive module, a stable one, and one that is not Python."""
    naive = "import numpy as np\ny = np.log(np.sum(np.exp(x), axis=0))\n"
    for name in ("src/a.py", "src/.hidden/a.py", "src/build/a.py", "tests/a.py"):
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(naive)
    (here / "src/good.py").write_text("import numpy as np\ny = np.exp(x - x.max())\n")
    return here


_LINE = (
    "src/a.py:2:5: LSE001 log of a sum of exp: it overflows above x = 88.7 in float32; "
    "use scipy.special.logsumexp, or np.logaddexp.reduce\n"
)
_TABLE = "[tool.stablelse]\n"


@pytest.mark.parametrize(
    ("args", "settings", "code", "out", "err"),
    [
        ("src", "", 1, _LINE, ""),
        ("src --format github", "", 1, "::error file=src/a.py,line=2,col=5,title=LSE001::log", ""),
        ("src/good.py", "", 0, "", ""),
        ("src --rule LSE007", "", 0, "", ""),
        ("tests src", _TABLE + 'exclude = ["tests"]', 1, _LINE, ""),
        ("src", _TABLE + 'rules = ["LSE002"]', 0, "", ""),
        ("src", _TABLE + 'rules = ["LSE2"]', 2, "", "for pyproject.toml: unknown rule 'LSE2'"),
        ("src", _TABLE + "exlude = []", 2, "",
         "exlude: only the lists exclude and rules are known"),
        ("src", _TABLE + "rules = 1", 2, "", "rules: only the lists exclude and rules are known"),
        ("src", "tool = ", 2, "", "pyproject.toml: Invalid value"),
        ("nowhere", "", 2, "", "nowhere does not exist: name files or folders"),
        ("src --rule lse001", "", 2, "", "'lse001' (did you mean LSE001?): choose from LSE001"),
        ("src --fix --diff", "", 2, "", "leave out --fix"),
        ("src bad", "", 2, _LINE, "cannot read bad/binary.py, line 1: invalid or missing encoding"),
        ("bad", "", 2, "", "cannot read bad/unfinished.py, line 1: '(' was never closed"),
    ],
)  # fmt: skip
def test_what_the_command_says(run, project, args, settings, code, out, err):
    (project / "bad").mkdir()
    (project / "bad/unfinished.py").write_text("y = exp(\n")
    (project / "bad/binary.py").write_bytes(b"exp(\xff")
    (project / "pyproject.toml").write_text(settings)
    done = run(f"lint {args}")
    assert (done.code, bool(done.out), bool(done.err)) == (code, bool(out), bool(err))
    assert done.out.startswith(out)
    assert err in done.err


def test_what_is_excluded_is_so_from_every_folder(run, project, monkeypatch):
    (project / "pyproject.toml").write_text(_TABLE + 'exclude = ["src/a.py"]')
    monkeypatch.chdir(project / "src")
    assert run("lint .").code == run(f"lint {project}/src").code == 0
    assert run("lint a.py").notes == ("a.py is left out: pyproject.toml excludes it",)
    assert run("lint ../tests").out.startswith("../tests/a.py:2:5: LSE001")


def test_every_form_is_valid(run, project):
    (project / "src/a.py").rename(project / "src/a b.py")
    (found,) = json.loads(run("lint src --format json").out)["findings"]
    assert (found["rule"], found["line"], found["fixable"]) == ("LSE001", 2, True)
    (sarif,) = json.loads(run("lint src --format sarif").out)["runs"]
    (place,) = sarif["results"][0]["locations"]
    assert place["physicalLocation"]["region"] == {"startLine": 2, "startColumn": 5}
    assert place["physicalLocation"]["artifactLocation"] == {"uri": "src/a%20b.py"}


def test_fix_and_diff(run, project):
    path = project / "src/a.py"
    before, naive = path.read_text(), "np.log(np.sum(np.exp(x), axis=0))"
    after = before.replace(naive, "np.logaddexp.reduce(x, axis=0)")
    done = run("lint src --diff")
    assert (done.code, path.read_text()) == (1, before)
    assert done.out.splitlines()[-2:] == [f"-y = {naive}", f"+{after.splitlines()[-1]}"]
    assert run("lint src --fix").code == 0
    assert path.read_text() == after


def test_nothing_is_imported_or_run(project, process):
    (project / "src/evil.py").write_text("import os\nos._exit(7)\nexp(1)\n")
    done = process("lint src/evil.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
