"""The files and the functions of the package that one run of the command passes through.

Usage: python tests/benchmarks/path.py [--list] [ARGUMENT...]

A file counts if one of its functions runs. Comprehensions count as part of their functions.
"""

import contextlib
import inspect
import io
import sys
from pathlib import Path
from types import CodeType

import stablelse
from stablelse.cli.main import main

PACKAGE = str(Path(stablelse.__file__).parent)
ARGUMENTS = ["lse", "1000", "1001", "1002"]


def path_of(arguments: list[str]) -> list[tuple[str, str]]:
    """Run the command, and return the file and the name of every function that it calls."""
    called: dict[CodeType, None] = {}

    def watch(frame: object, event: str, _: object) -> None:
        if event == "call":
            called[frame.f_code] = None  # type: ignore[attr-defined]

    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        sys.setprofile(watch)
        try:
            main(arguments)
        finally:
            sys.setprofile(None)
    return [
        (code.co_filename.removeprefix(PACKAGE + "/"), code.co_qualname)
        for code in called
        if code.co_filename.startswith(PACKAGE)
        and code.co_flags & inspect.CO_OPTIMIZED
        and not code.co_name.endswith(("comp>", "expr>"))
    ]


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--list"] or ARGUMENTS
    functions = path_of(arguments)
    files = dict.fromkeys(file for file, _ in functions)
    print(f"{len(files)} files, {len(functions)} functions: stablelse {' '.join(arguments)}")
    if "--list" in sys.argv:
        for file in files:
            print(f"  {file}: {', '.join(name for each, name in functions if each == file)}")
