"""Rows of: state, operators of several results, control flow.

A state and a part are bytes of the arena, nothing runs for them. The call of an `if` or `while` is
generated from the programs of its graphs, see `bind`.
"""

from __future__ import annotations

from milliwatt.compiler.rows.row import Row

ROWS: tuple[Row, ...] = ()
