"""Put a benchmark's output between its marks in the README and the guide."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "examples" / "guide").glob("*.md"))]


def write(name: str, text: str) -> None:
    """Replace everything between `<!-- name -->` and `<!-- end of name -->`."""
    first, last = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    pages = [page for page in PAGES if first in page.read_text("utf-8")]
    if not pages:
        print(f"no page has the mark {first.strip()}")
    for page in pages:
        before, _, rest = page.read_text("utf-8").partition(first)
        _, _, after = rest.partition(last)
        page.write_text(f"{before}{first}{text.strip()}\n{last}{after}", "utf-8")
        print(f"wrote {name} to {page.relative_to(ROOT)}")


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
