"""The command line as tests see it: how a call ended, and the files it is given."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ERROR = re.compile(r"mw: error: [^\n]+\n")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    def fails(self, text: str, code: int = 1) -> None:
        """Assert exit code `code`, nothing on stdout, and one line on stderr with `text` in it."""
        assert (self.code, self.out) == (code, ""), self
        assert ERROR.fullmatch(self.err), self.err
        assert text in self.err


Run = Callable[..., Done]


@dataclass(frozen=True)
class Files:
    """A float model, its int8 form, and arrays that fit them: one input and a stack of three."""

    float_model: Path
    model: Path
    one: Path
    three: Path
