"""Rows of: operators that move values: slices, gathers, broadcasts, mirrors."""

from __future__ import annotations

from milliwatt.compiler.rows.row import Row

ROWS: tuple[Row, ...] = ()
