"""TRANSPOSE_CONV, BATCH_MATMUL: nodes as .tflite operators."""

from __future__ import annotations

from milliwatt.formats.tflite_write.written import Writer
from milliwatt.ir.ops import Op

WRITERS: dict[Op, Writer] = {}
