"""Rows of: recurrent layers: SVDF and LSTM."""

from __future__ import annotations

from milliwatt.compiler.rows.row import Row

ROWS: tuple[Row, ...] = ()
