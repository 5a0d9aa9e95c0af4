"""The lab's page: its numbers are those of the command line, and it works in a browser."""

import json
import shutil
import subprocess

import numpy as np
import pytest

import stablelse
from stablelse.analysis.lab import State
from stablelse.numerics.formats import FORMATS, installed_formats
from stablelse.numerics.functions import Function
from stablelse.render import lab as lab_page
from stablelse.render.lab import PAGE_FORMATS, page
from stablelse.render.numbers import bound_text

STATE = State((1000.0, 1001.0, 1002.0))
NAMES = [name for name in PAGE_FORMATS if FORMATS[name] in installed_formats()]


def script() -> str:
    """Return the part of the page's script that computes, and speaks."""
    text = page(STATE, "lab")
    return text[text.index("<script>") + 8 : text.index("// ---- The page")]


def in_node(code: str, *files) -> list:
    """Run JavaScript after the page's own, and return what it prints as JSON."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    read = "const read = k => { const b = require('fs').readFileSync(process.argv[k + 2]);"
    read += " return new Float64Array(b.buffer, b.byteOffset, b.length / 8); };"
    done = subprocess.run(
        ["node", "-", *map(str, files)],
        input=f"{script()}\n{read}\nconsole.log(JSON.stringify({code}));",
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def written(path, values) -> str:
    np.asarray(values, np.float64).tofile(path)
    return path


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_the_page_rounds_as_the_formats_do(name, tmp_path):
    format_ = FORMATS[name]
    if name == "float32":
        patterns = np.random.default_rng(1).integers(0, 2**32, 60_000, np.uint32).view(np.float32)
    else:
        patterns = np.arange(65_536, dtype=np.uint16).view(format_.dtype)
    with np.errstate(invalid="ignore"):
        x = patterns.astype(np.float64)
    finite = np.unique(np.abs(x[np.isfinite(x)]))
    middle = (finite[1:] + finite[:-1]) / 2
    beyond = float(format_.largest) * (1 + 2.0 ** -(format_.significand_bits + 1))
    near = [np.nextafter(middle, 0), middle, np.nextafter(middle, np.inf), [beyond, 1e300, 1e-300]]
    given = np.concatenate([x, *near])
    given = np.concatenate([given, -given])
    expected = format_.round(given).astype(np.float64)
    code = f"""(() => {{ const [given, wanted] = [read(0), read(1)];
      const format = LAB.formats.find(f => f.name === "{name}");
      return Array.from(given).filter((v, i) => !Object.is(rounded(v, format), wanted[i])); }})()"""
    wrong = in_node(code, written(tmp_path / "given", given), written(tmp_path / "out", expected))
    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_the_limits_of_the_page_are_those_of_the_formats(name):
    (limits,) = (f for f in in_node("LAB.formats") if f["name"] == name)
    format_ = FORMATS[name]
    assert limits["largest"] == float(format_.largest)
    assert limits["normal"] == float(format_.smallest_normal)
    assert limits["low"] == float(format_.underflow_threshold)
    assert limits["high"] == float(format_.overflow_threshold)
    assert limits["highText"] == bound_text(format_.overflow_threshold)


#: Vectors whose verdicts do not hang on the last digit of exp.
VECTORS = [
    [1000, 1001, 1002], [-1000, -1001], [0, -1000], [1, 2, 3], [88, 89, 3], [10, 11, 12, 13, 14],
    [60000, 1], [70000, 1], [5], [float("-inf"), 0], [float("inf"), 0], [1000, float("nan"), 3],
    [0, -40], [-87, -88, -105],
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("function", [f.value for f in Function])
def test_the_page_has_the_verdicts_and_the_exact_values_of_the_command(name, function):
    compared = [stablelse.compare(x, function, formats=[name], errors=False) for x in VECTORS]
    texts = json.dumps([[str(v) for v in x] for x in VECTORS])
    code = f"""{texts}.map(texts => {{
      Object.assign(state, {{ x: texts.map(numberOf), format: "{name}", name: "{function}" }});
      return computed().map(m => [m.verdict, m.right.map(String), why(m, state)]); }})"""
    for x, comparison, found in zip(VECTORS, compared, in_node(code), strict=True):
        naive, shifted, exact = comparison.results
        assert [verdict for verdict, *_ in found] == [naive.verdict.value, shifted.verdict.value], x
        right = np.array([float(v.replace("Infinity", "inf")) for v in found[0][1]])
        assert np.array_equal(right, np.ravel(exact.value).astype(float), equal_nan=True), x


def test_exact_values_in_double_double_are_correctly_rounded():
    rng = np.random.default_rng(2)
    for function in Function:
        x = (
            (rng.standard_normal((300, 4)) * rng.choice([1e-3, 1, 30, 300], (300, 1)))
            .round(3)
            .tolist()
        )
        code = f"""{json.dumps(x)}.map(x => exactValues("{function.value}", x, LAB.formats[0]))"""
        wanted = getattr(stablelse, function.value)(np.array(x), axis=1)
        assert np.array_equal(np.array(in_node(code)).reshape(wanted.shape), wanted)


def test_a_page_has_bfloat16_without_its_extra(monkeypatch):
    monkeypatch.setattr(lab_page, "lab_formats", lambda: ["float64", "float32", "float16"])
    code = """(() => { state.format = "bfloat16"; return computed().map(m => m.verdict); })()"""
    assert in_node(code) == ["overflow", "right"]


def test_input_is_escaped():
    text = page(STATE, "<script>{{data}}</script>")
    assert text.count("<script>") == 1
    assert "&lt;script&gt;{{data}}" in text


# ---- In a browser


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(params=[390, 1280])
def lab(browser, request, tmp_path):
    """Open the page, and check that it asked for nothing and complained about nothing."""
    path = tmp_path / "lab.html"
    path.write_text(page(STATE, "stablelse lab"), encoding="utf-8")
    tab = browser.new_page(viewport={"width": request.param, "height": 844})
    troubles, requests = [], []
    tab.on("console", lambda message: troubles.append(message.text))
    tab.on("pageerror", lambda error: troubles.append(str(error)))
    tab.on("request", lambda asked: requests.append(asked.url))
    tab.goto(path.as_uri())
    yield tab
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert (troubles, requests) == ([], [path.as_uri()])
    tab.close()


def results(tab) -> list[str]:
    return tab.locator("#methods .result").all_inner_texts()


def test_every_control_of_the_page(lab):
    assert results(lab) == ["∞ ✗ overflow", "1002.4076059644444 ✓ right"]
    lab.get_by_role("button", name="softmax", exact=True).click()
    assert results(lab) == ["NaN ✗ overflow", "✓ right"]
    lab.get_by_role("button", name="log-sum-exp").click()
    lab.get_by_label("t as a number").fill("-1000")
    lab.keyboard.press("Tab")
    assert all("2.407605964444380"[:15] in result for result in results(lab))
    lab.get_by_role("button", name="float16", exact=True).click()
    lab.get_by_label("t", exact=True).focus()
    lab.keyboard.press("End")
    assert "✗" in results(lab)[0]
    lab.get_by_role("button", name="float32").click()
    lab.get_by_label("t as a number").fill("0")
    lab.keyboard.press("Tab")
    lab.get_by_label("a as a number").fill("0")
    lab.keyboard.press("Tab")
    assert results(lab) == ["∞ ✗ overflow"] * 2
    lab.get_by_role("button", name="a = max").click()
    assert results(lab)[1] == "1002.4076 ✓ right"
    lab.get_by_label("x_3 as a number").fill("nonsense")
    lab.keyboard.press("Tab")
    assert lab.get_by_label("x_3 as a number").get_attribute("aria-invalid") == "true"
    lab.get_by_label("x_1", exact=True).focus()
    lab.keyboard.press("Home")
    assert "x_1" in lab.get_by_role("status").inner_text()
    lab.get_by_role("button", name="Add a number").click()
    assert lab.locator("#numbers .control").count() == 4
    for _ in range(3):
        lab.get_by_role("button", name="Remove the last").click()
    assert lab.get_by_role("button", name="Remove the last").is_disabled()


def test_predicting_hides_the_answer_until_the_guess(lab):
    lab.get_by_label("Predict first").check()
    lab.get_by_role("button", name="log-softmax").click()
    assert not lab.locator("#methods").is_visible()
    assert "naive" in lab.get_by_role("status").inner_text()
    lab.get_by_role("button", name="a number", exact=True).click()
    assert lab.get_by_role("status").inner_text().startswith("No, naive gives NaN.")
    assert lab.locator("#methods").is_visible()


def test_the_page_is_readable_without_eyes(lab, golden):
    golden("lab-page.txt", lab.locator("body").aria_snapshot() + "\n")
