"""Control flow: nodes as .tflite operators. Variables are the file writer's own business."""

from __future__ import annotations

from typing import Any

from milliwatt.formats.tflite_write.written import Writer, Written
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op


def _if(node: Node, a: Any) -> Written:
    return Written("IF", 92, subgraphs={0: a.then, 1: a.otherwise})


def _while(node: Node, a: Any) -> Written:
    return Written("WHILE", 93, subgraphs={0: a.condition, 1: a.body})


WRITERS: dict[Op, Writer] = {Op.IF: _if, Op.WHILE: _while}
