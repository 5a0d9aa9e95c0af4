"""The files and the functions of the package that one run of the command passes through.

Usage: python tests/benchmarks/path.py [ARGUMENT...]

A file counts if one of its functions runs. Comprehensions count as part of their functions.
"""

import contextlib
import inspect
import io
import sys
from pathlib import Path

import stablelse
from stablelse.cli.main import main

PACKAGE = str(Path(stablelse.__file__).parent)
arguments = sys.argv[1:] or ["lse", "1000", "1001", "1002"]
called = {}


def watch(frame, event, _):
    code = frame.f_code
    is_own = code.co_filename.startswith(PACKAGE) and code.co_flags & inspect.CO_OPTIMIZED
    if event == "call" and is_own and not code.co_name.endswith(("comp>", "expr>")):
        names = called.setdefault(code.co_filename.removeprefix(f"{PACKAGE}/"), {})
        names[code.co_qualname] = True


with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    sys.setprofile(watch)
    main(arguments)
sys.setprofile(None)
functions = sum(map(len, called.values()))
print(f"{len(called)} files, {functions} functions: stablelse {' '.join(arguments)}")
for file, names in called.items():
    print(f"  {file}: {', '.join(names)}")
