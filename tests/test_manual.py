"""The man page and the API reference are what the help and the docstrings say now."""

import inspect
import re
import subprocess
import textwrap
from pathlib import Path
from shutil import which

import pytest
import typer

import stablelse
from stablelse import testing
from stablelse.cli import app
from stablelse.cli.help import panels

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "examples" / "guide"
RUN = "python -m pytest -n 0 --regenerate tests/test_manual.py"


def roff(text: str, macro: str = "") -> str:
    """Return a line of text for roff, or the arguments of a macro."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("^", r"\(ha")
    text = text.replace("~", r"\(ti").replace("`", r"\(ga").replace("'", r"\(aq")
    if macro:
        text = text.replace('"', r"\(dq")
        return f'.{macro} "{text}"'
    return rf"\&{text}" if text.startswith(".") else text


def paragraphs(text: str):
    """Yield the paragraphs of a help text; those that keep their lines have the heading first."""
    for paragraph in textwrap.dedent(f"    {text}").strip().split("\n\n"):
        if paragraph.startswith("\b\n"):
            heading, *lines = paragraph[2:].splitlines()
            yield from (".PP", roff(heading), ".EX", *map(roff, lines), ".EE")
        else:
            yield from (".PP", roff(" ".join(paragraph.split())))


def listed(rows):
    """Yield a list of terms with their meanings."""
    for term, meaning in rows:
        yield from (".TP", roff(term, "B"), roff(meaning))


def man_page() -> str:
    """Return the manual of all commands: what each does, then every option once."""
    group = typer.main.get_command(app.app)
    root = group.make_context("stablelse", [], resilient_parsing=True)
    commands, options = [], {}
    for name in app.COMMANDS:
        command = group.get_command(root, name)
        context = command.make_context(name, [], parent=root, resilient_parsing=True)
        records = panels(command, context, "Output")
        for heading, rows in records.items():
            for row in rows:
                options.setdefault(heading, {}).setdefault(row, []).append(name)
        flags = re.findall(
            r"--[\w-]+", " ".join(term for rows in records.values() for term, _ in rows)
        )
        usage = " ".join(["stablelse", name, *command.collect_usage_pieces(context)])
        commands += [roff(usage, "SS"), *paragraphs(command.help)]
        commands += [".PP", roff(f"Options: {', '.join(flags)}.")]
    summary, _, examples = group.help.partition("\n\n")
    lines = [
        rf".\" Made by {RUN}",
        f'.TH STABLELSE 1 "" "stablelse {stablelse.__version__}" "User Commands"',
        ".nh\n.ad l",  # an option is not hyphenated
        ".SH NAME",
        rf"stablelse \- {roff(summary)}",
        ".SH SYNOPSIS",
        ".B stablelse",
        f".I {' '.join(group.collect_usage_pieces(root))}",
        ".SH DESCRIPTION",
        *paragraphs(examples),
        ".SH COMMANDS",
        *commands,
        ".SH OPTIONS",
        *listed(row for rows in panels(group, root, "").values() for row in rows),
    ]
    for heading, rows in options.items():
        lines.append(roff(heading, "SS"))
        for (term, meaning), having in sorted(rows.items(), key=lambda row: by_name(row[0][0])):
            others = [name for name in app.COMMANDS if name not in having]
            of = f"all but {', '.join(others)}" if len(others) < len(having) else ", ".join(having)
            lines += [*listed([(term, meaning)]), ".br", roff(f"({of if others else 'all'})", "I")]
    codes = re.findall(r"^\| (\d+) \| (.*) \|$", (GUIDE / "output.md").read_text("utf-8"), re.M)
    lines += [".SH EXIT STATUS", *listed(codes)]
    return "\n".join(lines) + "\n"


def by_name(term: str) -> str:
    """Return an option's long name; arguments come first."""
    return "".join(re.findall(r"--[\w-]+", term)[:1])


def signature(function) -> str:
    """Return the arguments of a function and their defaults, without types."""
    found = inspect.signature(function)
    bare = [p.replace(annotation=p.empty) for p in found.parameters.values() if p.name != "self"]
    return str(found.replace(parameters=bare, return_annotation=found.empty))


def markdown(documentation: str):
    """Yield the lines of a NumPy docstring as Markdown."""
    first, *sections = re.split(r"^(\w+)\n-+\n", documentation, flags=re.MULTILINE)
    yield first.strip()
    for heading, body in zip(sections[::2], sections[1::2], strict=True):
        yield f"\n**{heading}**\n"
        if heading == "Examples":
            yield f"```python\n{body.strip()}\n\n```"
        elif heading == "Notes":
            yield body.strip()
        else:
            for entry in re.split(r"\n(?=\S)", body.strip()):
                term, *meaning = entry.splitlines()
                name, _, type_ = term.partition(" : ")
                yield f"- `{name}`" + (f" : {type_}" if type_ else "") + ("  " if meaning else "")
                yield from (line.removeprefix("  ") for line in meaning)


def members(class_: type):
    """Yield a line for each method and property of a class of ours."""
    for name, member in inspect.getmembers(class_):
        function = getattr(member, "fget", member)
        is_public = inspect.isfunction(function) and not name.startswith("_")
        if is_public and function.__module__.startswith("stablelse."):
            arguments = signature(member) if function is member else ""
            yield f"- `{name}{arguments}`: {inspect.getdoc(member).splitlines()[0]}"


def reference() -> str:
    """Return what the docstrings of all public names say, functions first."""
    pages = [(stablelse, ""), (stablelse.naive, "naive."), (testing, "testing.")]
    lines = [
        "# Reference",
        "",
        "What `help()` says of every public name. [Python](python.md) is an introduction.",
        "",
        f"`{RUN}` makes this page from the docstrings.",
    ]
    for module, prefix in pages:
        names = [name for name in module.__all__ if not name.startswith("_") and name != "naive"]
        if prefix:
            lines += ["", f"## stablelse.{prefix.rstrip('.')}", "", inspect.getdoc(module)]
        for name in sorted(names, key=lambda name: inspect.isclass(getattr(module, name))):
            public = getattr(module, name)
            text = inspect.getdoc(public)
            is_made = not inspect.isclass(public) or "\nParameters\n" in text
            lines += ["", f"{'###' if prefix else '##'} {prefix}{name}", ""]
            lines += [f"`{prefix}{name}{signature(public)}`", ""] if is_made else []
            lines += markdown(text)
            methods = list(members(public)) if inspect.isclass(public) else []
            lines += ["", "**Methods and properties**", "", *methods] if methods else []
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("name", "made"), [("stablelse.1", man_page), ("reference.md", reference)])
def test_the_manual_says_what_the_program_says(name, made, golden):
    golden(str(GUIDE / name), made(), has_results=False)


@pytest.mark.skipif(which("groff") is None, reason="groff is not installed")
def test_groff_has_no_complaint():
    command = ["groff", "-man", "-Tutf8", "-ww", str(GUIDE / "stablelse.1")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert done.stderr == ""
    assert "stablelse lse 1000 1001 1002 --quiet" in re.sub("\x1b\\[\\d*m", "", done.stdout)
