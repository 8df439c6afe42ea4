"""How a command ends: one line on stderr and an exit code, a traceback only with --debug.

0 success, 1 failure, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import typer

from milliwatt.errors import MilliwattError

# The classes behind typer's own exception: their home differs between versions of typer.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
_ClickError: type[Exception] = typer.BadParameter.__mro__[2]
INTERRUPTED = 130


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning in one line, without the place in the code that Python adds."""
    print(f"mw: warning: {message}", file=sys.stderr)


def run(app: Callable[..., Any], arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; errors are printed, never raised."""
    debug = "--debug" in arguments
    try:
        # Taken out here so that it may stand anywhere, after a command too.
        rest = [argument for argument in arguments if argument != "--debug"]
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = app(rest, prog_name="mw", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`mw boards | head -1`); Python must not try to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except _ClickError as error:
        return _usage(error)
    except MilliwattError as error:
        return _fail(str(error), debug)
    except MemoryError as error:
        found = " ".join(str(error).split())[:200]
        return _fail(
            f"not enough memory{f' ({found})' if found else ''}; a smaller model, fewer samples "
            "at once or a machine with more memory wanted",
            debug,
        )
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{(error.strerror or str(error)).lower()}", debug)
    except Exception as error:
        found = " ".join(str(error).split())[:200]
        return _fail(
            f"{type(error).__name__}: {found} (this is a bug in milliwatt; "
            "run again with --debug for a traceback to report)",
            debug,
        )
    if code == INTERRUPTED:
        print("mw: interrupted", file=sys.stderr)
    return code if isinstance(code, int) else 0


def _fail(text: str, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    print(f"mw: error: {text}", file=sys.stderr)
    return 1


def _usage(error: Any) -> int:
    """A wrong command line, with the command whose help says what is right."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "mw"
    message = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")
    print(f"mw: error: {message} (`{path} --help` lists what is allowed)", file=sys.stderr)
    return 2 if isinstance(error, _UsageError) else 1
