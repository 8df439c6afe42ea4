"""Draws of the family `reduce`."""

from __future__ import annotations

from milliwatt.ir.types import DType
from support.ops.core import Draw

OPERATORS: dict[str, Draw] = {}
# (operator, element type of its activations): what is compared with TensorFlow Lite Micro.
GRID: list[tuple[str, DType]] = []
