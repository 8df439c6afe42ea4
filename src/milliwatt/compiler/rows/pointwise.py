"""Rows of: elementwise operators beyond add, sub and mul: math, comparison, logic, choice."""

from __future__ import annotations

from milliwatt.compiler.rows.row import Row

ROWS: tuple[Row, ...] = ()
