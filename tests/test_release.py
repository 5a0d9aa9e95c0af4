"""What a release says about itself is the same everywhere."""

import re
from pathlib import Path

import stablelse

ROOT = Path(__file__).parents[1]


def test_the_changelog_and_the_citation_name_this_version_and_its_day():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version, day = re.search(r"^## \[([\d.]+)\] - (\d{4}-\d\d-\d\d)$", changelog, re.M).groups()
    assert version == stablelse.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {version}" in citation
    assert f"date-released: {day}" in citation
