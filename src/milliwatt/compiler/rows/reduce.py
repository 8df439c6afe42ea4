"""Rows of: reductions, searches along an axis, norms, resizing."""

from __future__ import annotations

from milliwatt.compiler.rows.row import Row

ROWS: tuple[Row, ...] = ()
