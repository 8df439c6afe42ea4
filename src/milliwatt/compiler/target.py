"""What a program is compiled for: the instruction sets that kernels may use."""

from __future__ import annotations

from dataclasses import dataclass

from milliwatt.compiler.board import Board

DSP = "dsp"
"""The DSP extension of Armv7E-M and Armv8-M Mainline: SMLAD, SMMLA, SXTB16, SSAT and friends."""


@dataclass(frozen=True)
class Target:
    """Instruction-set extensions that kernels may use; none of them for the portable kernels."""

    isa: frozenset[str] = frozenset()

    def runs(self, isa: str) -> bool:
        """Whether a kernel written for `isa` ("" is portable C) runs here."""
        return not isa or isa in self.isa


PORTABLE = Target()


def target_of(board: Board) -> Target:
    """The target that a board is."""
    return Target(frozenset({DSP} if board.dsp else ()))
