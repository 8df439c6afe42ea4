"""Tables for narrow terminals."""

from __future__ import annotations

import milliwatt as mw
from milliwatt.debug.boards import boards_view
from milliwatt.debug.table import as_text


def test_names_stay_whole_on_a_narrow_terminal() -> None:
    """At 80 and at 40 columns every board's name and core stand in its row."""
    for width in (80, 40):
        lines = as_text(boards_view(mw.boards()), width=width).splitlines()
        rows = [line.split()[:2] for line in lines]
        for board in mw.boards():
            assert [board.name, str(board.core)] in rows
