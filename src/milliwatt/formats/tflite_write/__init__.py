"""Nodes as operators of a .tflite file: one file an operator family, one function an operator."""

from __future__ import annotations

from milliwatt.formats.tflite_write import (
    control,
    core,
    matrix,
    move,
    pointwise,
    recurrent,
    reduce,
    signal,
)
from milliwatt.formats.tflite_write.written import Writer, Written
from milliwatt.ir.ops import Op

WRITERS: dict[Op, Writer] = {
    **core.WRITERS,
    **control.WRITERS,
    **matrix.WRITERS,
    **move.WRITERS,
    **pointwise.WRITERS,
    **recurrent.WRITERS,
    **reduce.WRITERS,
    **signal.WRITERS,
}

__all__ = ["WRITERS", "Writer", "Written"]
