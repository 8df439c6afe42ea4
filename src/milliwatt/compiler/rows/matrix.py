"""Rows of: matrix products beyond conv2d and fully_connected: transpose_conv2d, batch_matmul."""

from __future__ import annotations

from milliwatt.compiler.rows.row import Row

ROWS: tuple[Row, ...] = ()
