"""Plain tables for terminals and files: rich's, with one look for the whole product."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

TEXT_WIDTH = 120
"""Columns of tables that do not go to a terminal."""

Fact = tuple[str, str, str, str]
"""Label, value, unit, remark."""


def columns(
    heads: Iterable[str], rows: Iterable[Iterable[str]], *, left: int = 1
) -> RenderableType:
    """A table; the first `left` columns are text, the others numbers aligned to the right.

    No text cell is broken and no word: a table that is wider than the terminal stays so.
    """
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    heads, cells = list(heads), [tuple(row) for row in rows]
    for index, head in enumerate(heads):
        column = [row[index] for row in cells]
        whole = column if index < left else [word for cell in column for word in cell.split()]
        table.add_column(
            head,
            justify="left" if index < left else "right",
            min_width=max(map(cell_len, [*head.split(), *whole]), default=0),
        )
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    return table


def facts(rows: Iterable[Fact]) -> RenderableType:
    """Aligned lines of label, value, unit and remark."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    table.add_column(overflow="fold")
    for label, value, unit, remark in rows:
        table.add_row(label, Text(value, "bold"), unit, Text(remark, "dim"))
    return table


def heading(text: str) -> Text:
    """A line in bold."""
    from rich.text import Text

    return Text(text, "bold")


def as_text(*parts: RenderableType, width: int = TEXT_WIDTH) -> str:
    """What a terminal of `width` columns would show, without colours."""
    from rich.console import Console

    out = Console(file=io.StringIO(), width=width, color_system=None)
    for part in parts:
        out.print(part, crop=False)
    assert isinstance(out.file, io.StringIO)
    return "\n".join(line.rstrip() for line in out.file.getvalue().splitlines())
