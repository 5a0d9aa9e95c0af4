"""What a release says about itself, the workflow that makes it, and the action for others."""

import os
import re
import sys
from pathlib import Path

import pytest

import stablelse
from stablelse.numerics.kernel.build import PLATFORMS

ROOT = Path(__file__).parents[1]
ACTION = ROOT / ".github" / "actions" / "stablelse"


def test_the_changelog_and_the_citation_name_this_version_and_its_day():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version, day = re.search(r"^## \[([\d.]+)\] - (\d{4}-\d\d-\d\d)$", changelog, re.M).groups()
    assert version == stablelse.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {version}" in citation
    assert f"date-released: {day}" in citation


@pytest.fixture
def action(tmp_path, start):
    """Run the action's script with inputs, on a Python that has the package, and without pip."""
    python = tmp_path / "python"
    python.write_text(
        f"""#!/bin/sh
        case "$2" in
          venv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
          pip) shift 2 && echo "pip $*" ;;
          *) exec "{sys.executable}" "$@" ;;
        esac
        """
    )
    python.chmod(0o755)
    code = tmp_path / "a -v $(touch spam); 'b'"
    code.mkdir()
    (code / "-naive.py").write_text("import numpy as np\n\ny = np.log(np.sum(np.exp([1000.0])))\n")

    def run(**inputs):
        variables = {"PATHS": "", "ARGUMENTS": "", "VERSION": "", "PYTHON": str(python)}
        variables |= {"RUNNER_TEMP": str(tmp_path / "temp"), "GITHUB_ACTION_PATH": str(ACTION)}
        done = start("bash", ACTION / "run", cwd=code, **variables | inputs)
        assert [path.name for path in code.iterdir()] == ["-naive.py"], "an input was run"
        return done

    return run


def test_the_action_runs_a_command_and_takes_its_inputs_as_they_are(action, tmp_path):
    folder = next(tmp_path.glob("a *"))
    for paths in ("-naive.py", f"\n{folder}\n"):
        done = action(COMMAND="lint", PATHS=paths, ARGUMENTS="--rule=LSE001", VERSION="0.2.0")
        assert done.returncode == 1, done.stderr
        assert done.stdout.startswith("pip install --quiet stablelse==0.2.0\n")
        assert "-naive.py,line=3" in done.stdout
    done = action(COMMAND="lint", PATHS="$(touch spam)", ARGUMENTS="--format=plain")
    assert done.returncode == 2
    assert done.stderr.startswith("stablelse: error: ")
    assert "$(touch spam)" in done.stderr
    assert f"pip install --quiet {ACTION}/../../..\n" in done.stdout


def test_the_action_refuses_other_commands(action):
    for command in ("", "demo", "lint; touch spam", "lint --fix"):
        done = action(COMMAND=command, PATHS=".")
        assert (done.returncode, done.stderr) == (2, "")
        assert done.stdout == "::error::stablelse: the input 'command' must be scan or lint\n"


def read_yaml(text):
    return pytest.importorskip("yaml").safe_load(text)


def test_the_guide_uses_the_action_as_it_is():
    guide = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "examples/guide").glob("*.md"))
    inputs = read_yaml((ACTION / "action.yml").read_text(encoding="utf-8"))["inputs"]
    blocks = re.findall(r"^```yaml\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    for (step,) in map(read_yaml, blocks):
        folder = ACTION.relative_to(ROOT)
        assert step["uses"] == f"OWNER/stablelse/{folder}@v{stablelse.__version__}"
        assert set(step["with"]) <= set(inputs)
    assert blocks


def test_inputs_reach_scripts_only_as_variables():
    """In the text of a script, an input could run anything."""
    action = read_yaml((ACTION / "action.yml").read_text(encoding="utf-8"))
    *_, step = action["runs"]["steps"]
    assert {f"${{{{ inputs.{name} }}}}" for name in action["inputs"]} < set(step["env"].values())
    assert "${{" not in step["run"]
    script = (ACTION / "run").read_text(encoding="utf-8")
    assert [name for name in step["env"] if f'"${name}"' not in script.replace("{", "")] == []


def test_only_the_tried_wheels_of_a_tag_are_published():
    path = ROOT / ".github" / "workflows" / "release.yml"
    build, tried, publish = read_yaml(path.read_text(encoding="utf-8"))["jobs"].values()
    steps = [step for job in (build, tried, publish) for step in job["steps"]]
    assert all(re.search(r"@v\d[\d.]*$", step["uses"]) for step in steps if "uses" in step)
    assert ".ci/wheels dist" in [step.get("run") for step in build["steps"]]
    assert os.access(ROOT / ".ci" / "wheels", os.X_OK)
    assert (tried["needs"], publish["needs"]) == ("build", "try")
    assert publish["if"] == "github.ref_type == 'tag'"
    assert publish["permissions"] == {"id-token": "write"}
    assert len(tried["strategy"]["matrix"]["runner"]) == len(PLATFORMS)
