"""Elementwise operators beyond add, sub and mul: math, comparison, logic, choice."""

from __future__ import annotations

from milliwatt.ir.ops.table import Op, OpDef

OPS: dict[Op, OpDef] = {}
