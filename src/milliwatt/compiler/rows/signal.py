"""Rows of: the audio front end: window, FFT, filter bank, PCAN."""

from __future__ import annotations

from milliwatt.compiler.rows.row import Row

ROWS: tuple[Row, ...] = ()
