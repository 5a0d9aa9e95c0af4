"""The pages of --help, and suggestions for mistyped words."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

Definition = tuple[str, str]

#: Other names of the functions, and words that are commands of other programs.
_SYNONYMS = {
    **{"logsumexp": "lse", "log-sum-exp": "lse", "cross-entropy": "nll", "loss": "nll"},
    **{"help": "--help", "version": "--version"},
}


def page(command: Any, context: Any, width: int, commands: Sequence[Definition] = ()) -> str:
    """Return the help of a command: usage, examples, what it does, and its options in groups."""
    usage = f"Usage: {context.command_path} {' '.join(command.collect_usage_pieces(context))}"
    lines = [usage, ""]
    for paragraph in textwrap.dedent(command.help).strip().split("\n\n"):
        is_kept = paragraph.startswith("\b\n")
        lines += paragraph[2:].splitlines() if is_kept else _wrapped(paragraph, width)
        lines.append("")
    lines += definitions("Commands", commands, width)
    for heading, rows in panels(command, context, "Options" if commands else "Output").items():
        lines += definitions(heading, rows, width)
    return "\n".join(lines).rstrip()


def panels(command: Any, context: Any, other: str) -> dict[str, list[Definition]]:
    """Return the options of a command with their meanings, by the heading of their group."""
    found: dict[str, list[Definition]] = {}
    for param in command.get_params(context):
        if (record := param.get_help_record(context)) is not None:
            found.setdefault(getattr(param, "rich_help_panel", None) or other, []).append(record)
    return found


def definitions(heading: str, rows: Sequence[Definition], width: int) -> Iterator[str]:
    """Yield a heading and a list of names with their meanings, or nothing without names."""
    if not rows:
        return
    yield f"{heading}:"
    indent = min(max(len(name) for name, _ in rows), 24) + 4
    margin = "\n" + " " * indent
    for name, meaning in rows:
        head = f"  {name}{margin}" if len(name) + 4 > indent else f"  {name}".ljust(indent)
        yield head + margin.join(_wrapped(meaning, width - indent))
    yield ""


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


def without_numbers(name: str, help_text: str) -> str:
    """Return six lines of help for a command without numbers."""
    examples = [line for line in help_text.splitlines() if line.startswith("  stablelse")]
    return "\n".join([
        *(help_text.partition("\n")[0], ""),
        "It needs numbers, as in these examples, or from a pipe:",
        *examples[:2],
        f"All options: stablelse {name} --help",
    ])  # fmt: skip


def wrong_command(args: Sequence[str], commands: Iterable[str]) -> str:
    """Return the error for an unknown command."""
    word = args[0]
    if is_number(word):
        return f"{word!r} is not a command: did you mean stablelse lse {shlex.join(args)}?"
    name = word.lower().replace("_", "-")
    known = {command: command for command in commands} | _SYNONYMS
    close = get_close_matches(name, known, 1)
    hint = f"did you mean {known[close[0]]}?" if close else f"choose from {', '.join(commands)}"
    return f"{word!r} is not a command: {hint}"


def is_number(word: str) -> bool:
    """Whether a word is a number."""
    try:
        float(word.replace("_", "?"))  # refuses underscores, which float() accepts
    except ValueError:
        return False
    return True


def with_hint(message: str) -> str:
    """Add to an error about an unknown word the closest known one, if any is close."""
    match = re.search(r"'([^']*)'(?=(?:: choose from| is not one of) (.*))", message)
    if match is None:
        return message
    known = {word.lower(): word for word in re.findall(r"[\w.>-]*\w", match[2])}
    parts = reversed(match[1].lower().split(":"))  # --fail-on has METHOD:VERDICT
    close = [known[word] for part in parts for word in get_close_matches(part, known, 1)]
    close = [word for word in close if word not in match[1].split(":")]
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{message[: match.end()]}{hint}{message[match.end() :]}"
