"""How fast a layer can be at best on a core, and what stands in the way.

No kernel that multiplies every weight by every value and touches every byte once can be faster:
MACs at the core's best rate, operands and results moved by words, and weights read once from flash.
Of a table that is looked up a run may read any part: it is not counted. Where a core issues a
multiplication and a load together, the slower of the two counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from milliwatt.compiler.bind import Call
from milliwatt.compiler.board import Board
from milliwatt.compiler.cost import MULTIPLIES, stall_cycles, weight_bytes
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.types import DType

_DUAL_ISSUE = ("cortex-m7",)
_READ_WHOLE = (
    Op.CONV2D,
    Op.DEPTHWISE_CONV2D,
    Op.CONV2D_ADD,
    Op.BY_ROWS,
    Op.TRANSPOSE_CONV2D,
    Op.FULLY_CONNECTED,
    Op.BATCH_MATMUL,
    Op.SVDF,
    Op.LSTM,
)
"""Operators that use every weight in every run."""


@dataclass(frozen=True)
class Bound:
    """Least cycles of a call; `limit` is a word for the largest part of them, `why` a sentence."""

    cycles: int
    limit: str
    why: str


def lower_bound(node: Node, call: Call, board: Board) -> Bound | None:
    """The bound of a call on a board; None for the host and for `if`, `while` and `scan`."""
    if board.is_host or call.inner:
        return None
    kinds = [s.type for s in node.src]
    macs = OPS[node.op].macs(node.attrs, node.type, kinds)
    # A kernel that needs fewer multiplications than the plain formula says so (Winograd).
    products = call.work.get(MULTIPLIES, macs)
    rate, unit = _best_rate(node, board)
    multiply = products * rate
    constants = weight_bytes(node, call) if node.op in _READ_WHOLE else 0
    moved = sum(s.type.nbytes for s in {*node.src} if not s.is_constant) + node.type.nbytes
    words = (moved + constants) / 4
    stall = stall_cycles(constants, board)
    together = max(multiply, words) if board.core in _DUAL_ISSUE else multiply + words
    fewer = f" of {products / macs:.2f} multiplications a MAC" if products < macs else ""
    reasons = (
        (multiply, unit, f"{rate:g} cycles/MAC ({unit}){fewer}"),
        (words, "words", f"{moved + constants:,} bytes moved, 4 a cycle"),
        (stall, "flash", f"{constants:,} bytes of constants once from flash"),
    )
    _, limit, why = max(reasons)
    return Bound(round(together + stall), limit, why)


def _best_rate(node: Node, board: Board) -> tuple[float, str]:
    """Cycles of a multiply-accumulate at best, and the instruction."""
    kind = node.src[0].type.dtype if node.src else node.type.dtype
    if kind.is_float:
        if not board.fpu or kind is not DType.F32:
            return 0.0, "float"  # a library's, whose cycles hang on the values
        return (1.0, "VMLA") if board.core in _DUAL_ISSUE else (2.0, "VMUL VADD")
    if board.dsp and kind in (DType.S8, DType.S16):
        return 0.5, "SMLAD"
    if board.is_arm and board.core != "cortex-m0plus":
        return (1.0, "MLA") if board.dsp else (2.0, "MLA")
    return 2.0, "MUL ADD"
