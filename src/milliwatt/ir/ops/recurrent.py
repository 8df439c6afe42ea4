"""Recurrent layers: SVDF and LSTM."""

from __future__ import annotations

from milliwatt.ir.ops.table import Op, OpDef

OPS: dict[Op, OpDef] = {}
