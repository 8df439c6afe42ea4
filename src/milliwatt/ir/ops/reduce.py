"""Reductions, searches along an axis, norms, resizing."""

from __future__ import annotations

from milliwatt.ir.ops.table import Op, OpDef

OPS: dict[Op, OpDef] = {}
