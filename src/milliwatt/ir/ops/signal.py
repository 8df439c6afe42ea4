"""The audio front end: window, FFT, filter bank, PCAN."""

from __future__ import annotations

from milliwatt.ir.ops.table import Op, OpDef

OPS: dict[Op, OpDef] = {}
