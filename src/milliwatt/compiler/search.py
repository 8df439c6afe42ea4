"""Which kernel computes which node: the choice that serves an aim best within its budgets.

Every node has options (`bind.choices`). Under a ranking of how much flash may be saved (`levels`)
each set of options gives a staircase from the fastest choice to the one of the smallest arena, and
the aim picks a stair. Passes that trade memory for time are tried both ways.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from milliwatt.compiler.aim import Aim
from milliwatt.compiler.alias import root
from milliwatt.compiler.bind import choices
from milliwatt.compiler.board import Board
from milliwatt.compiler.cost import layer_key, predict, weight_bytes
from milliwatt.compiler.lifetimes import LEAVES
from milliwatt.compiler.memory import arena_bytes
from milliwatt.compiler.pipeline import run_passes, variants
from milliwatt.compiler.program import Program, bind_program
from milliwatt.compiler.savings import flash_bytes, levels
from milliwatt.compiler.staircase import Option, Options, Stair, equally_fast, staircase
from milliwatt.compiler.target import PORTABLE, Target, target_of
from milliwatt.compiler.toolchain import OPTIMIZE
from milliwatt.errors import DoesNotFit
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.verify import verify

Measured = Mapping[str, float]
"""Cycles of layers that have run on the board, by `layer_key`."""

Rank = tuple[float, ...]

_MOST_TIMES, _MOST_BYTES = 1.4, 7168
"""Arena of the aims "speed" and "flash" at most: times the smallest one, and bytes on top."""


@dataclass(frozen=True)
class Spare:
    """Bytes that an image takes beside what is predicted, as a link has shown.

    `stack_bytes` of the RAM are what is kept for the stack.
    """

    flash_bytes: int = 0
    ram_bytes: int = 0
    stack_bytes: int = 0


@dataclass(frozen=True)
class Found:
    """What a search found: predicted cycles of each node and bytes; a better one's rank is less."""

    program: Program
    cycles: Mapping[Node, float]
    flash_bytes: int
    rank: Rank

    @property
    def total_cycles(self) -> float:
        """Predicted cycles of one inference."""
        return sum(self.cycles.values())


def search(
    graph: Graph,
    board: Board,
    aim: Aim,
    *,
    measured: Measured | None = None,
    spare: Spare | None = None,
    flag: str | None = None,
) -> Found:
    """Choose a kernel for every node of `graph`, which is as loaded, and plan its memory.

    Args:
        measured: cycles of layers that have run; the others are predicted.
        spare: what an earlier build took beside what was predicted; it counts for the budgets.
        flag: -O2 or -Os, of which the sizes of code are; the aim's own by default.
    Raises: InvalidGraph, UnsupportedOp naming a node; DoesNotFit naming the layer that needs the
        most where a budget cannot be met.
    """
    flag = flag or OPTIMIZE[aim.optimize]
    found = [
        _Candidates(verify(each), board, aim, measured or {}, spare or Spare(), flag)
        for each in graphs_of(verify(graph), board, aim)
    ]
    best = _best(found, _most_bytes(found, aim)) or _best(found, math.inf)
    if best is None:
        raise DoesNotFit(_why(found, board, aim))
    rank, candidates, stair = best
    return candidates.found(rank, stair)


def _best(found: Sequence[_Candidates], most: float) -> tuple[Rank, _Candidates, Stair] | None:
    """The best that keeps the budgets and a peak of `most` bytes, of all graphs, if any does."""
    best: tuple[Rank, _Candidates, Stair] | None = None
    for each in found:
        picked = each.pick(most)
        if picked is not None and (best is None or picked[0] < best[0]):
            best = picked[0], each, picked[1]
    return best


def _most_bytes(found: Sequence[_Candidates], aim: Aim) -> float:
    """The peak that a choice may have: "speed" and "flash" need RAM, but not at any price."""
    if aim.optimize not in ("speed", "flash") or aim.ram_bytes is not None:
        return math.inf
    return _MOST_TIMES * min(each.smallest.peak_bytes for each in found) + _MOST_BYTES


def graphs_of(graph: Graph, board: Board, aim: Aim) -> tuple[Graph, ...]:
    """What the passes make of `graph` for a board: one graph, or several to choose from.

    Portable kernels of the "speed" and "flash" aims have nothing to choose.
    """
    target = target_of(board)
    if target == PORTABLE and aim.optimize in ("speed", "flash") and aim.ram_bytes is None:
        return (run_passes(graph, target),)
    return variants(graph, target)


def options_of(
    graph: Graph, board: Board, target: Target, measured: Measured
) -> dict[Node, tuple[Option, ...]]:
    """Every step's options with their cycles, the fastest first.

    Where all of a node's candidates have been measured that decides, else what is predicted.
    """
    found: dict[Node, tuple[Option, ...]] = {}
    for node in graph.nodes():
        if node.op in LEAVES or root(node) is not node:
            continue
        calls = choices(node, target)
        known = [measured.get(layer_key(node, call)) if measured else None for call in calls]
        if None in known:
            known = [predict(node, call, board).total for call in calls]
        pairs = zip(calls, known, strict=True)
        options = [Option(call, cycles) for call, cycles in pairs if cycles is not None]
        found[node] = tuple(sorted(options, key=functools.partial(_rank, node)))
    return found


def _rank(node: Node, option: Option) -> tuple[float, int, int]:
    call = option.call
    return (option.cycles, call.workspace_bytes, weight_bytes(node, call))


class _Candidates:
    """One graph after the passes, what may compute it, and which of that the aim prefers."""

    def __init__(
        self, graph: Graph, board: Board, aim: Aim, measured: Measured, spare: Spare, flag: str
    ) -> None:
        """Price every node's options."""
        self.graph, self.board, self.aim, self.spare = graph, board, aim, spare
        self.flag = flag
        self.options = options_of(graph, board, target_of(board), measured)

    @functools.cached_property
    def stairs(self) -> list[Stair]:
        """All stairs, from the fastest to the one of the smallest arena."""
        return list(staircase(self.graph, self.options))

    @property
    def smallest(self) -> Stair:
        """The stair of the smallest arena."""
        return min(self.stairs, key=lambda stair: stair.peak_bytes)

    def pick(self, most: float) -> tuple[Rank, Stair] | None:
        """The best stair within the budgets and a peak of `most` bytes, with its rank, if any."""
        for options in self._levels():
            for rank, stair in sorted(self._stairs(options), key=lambda pair: pair[0]):
                if stair.peak_bytes <= most and self._fits(stair):
                    return rank, stair
        return None

    def _levels(self) -> Sequence[Options]:
        """Options by the flash that they take, what the aim prefers first."""
        if self.aim.optimize == "flash":
            return list(levels(self.options, self.flag))[::-1]
        if self.aim.flash_bytes is not None:
            return list(levels(self.options, self.flag))
        return [self.options]

    def _stairs(self, options: Options) -> list[tuple[Rank, Stair]]:
        """The stairs that may be wanted, each with its rank."""
        stairs = list(staircase(self.graph, equally_fast(options)))
        stairs += self.stairs if options is self.options else staircase(self.graph, options)
        return [(self._rank(stair), stair) for stair in stairs]

    def _rank(self, stair: Stair) -> Rank:
        """What the aim wants least of comes first; then what else is saved."""
        cycles, peak = stair.cycles, stair.peak_bytes
        match self.aim.optimize:
            case "ram":
                return (peak, cycles)
            case "balanced":
                return (cycles * math.sqrt(peak), peak)
            case "flash":
                return (self.flash_bytes(stair), cycles, peak)
        return (cycles, peak)

    def flash_bytes(self, stair: Stair) -> int:
        """Flash that the image will take."""
        chosen = {node: (option,) for node, option in stair.chosen.items()}
        return flash_bytes(chosen, self.flag) + self.spare.flash_bytes

    def ram_bytes(self, stair: Stair) -> int:
        """RAM that the image will claim."""
        return arena_bytes(stair.lives) + self.spare.ram_bytes

    def latency_ms(self, stair: Stair) -> float:
        """Predicted time of one inference."""
        return stair.cycles / self.board.clock_hz * 1e3

    def _fits(self, stair: Stair) -> bool:
        aim = self.aim
        return (
            (aim.flash_bytes is None or self.flash_bytes(stair) <= aim.flash_bytes)
            and (aim.latency_ms is None or self.latency_ms(stair) <= aim.latency_ms)
            and (aim.ram_bytes is None or self.ram_bytes(stair) <= aim.ram_bytes)
        )

    def extremes(self) -> tuple[Stair, Stair, Stair]:
        """The stairs that need the least flash, the least RAM and the fewest cycles."""
        *_, least = levels(self.options, self.flag)
        return next(staircase(self.graph, least)), self.smallest, self.stairs[0]

    def found(self, rank: Rank, stair: Stair) -> Found:
        """The program of a stair."""
        cycles = {node: option.cycles for node, option in stair.chosen.items()}
        program = bind_program(self.graph, stair.call)
        return Found(program, cycles, self.flash_bytes(stair) - self.spare.flash_bytes, rank)

    def under(self, aim: Aim) -> _Candidates:
        """The same for another aim."""
        made = copy.copy(self)
        made.aim = aim
        return made


def _why(found: Sequence[_Candidates], board: Board, aim: Aim) -> str:
    """The message for budgets that no choice keeps: what is missing, and the layer to look at."""
    ends = [(each, *each.extremes()) for each in found]
    lines = []
    least = min(ends, key=lambda end: end[0].flash_bytes(end[1]))
    flash = least[0].flash_bytes(least[1])
    if aim.flash_bytes is not None and flash > aim.flash_bytes:
        sizes = {node: weight_bytes(node, o.call) for node, o in least[1].chosen.items()}
        node = max(sizes, key=sizes.__getitem__)
        lines.append(
            f"{flash - aim.flash_bytes:,} bytes of flash are missing (the smallest choice takes "
            f"{flash:,}, {aim.flash_bytes:,} allowed; most by {node.name} ({node.op}), "
            f"{sizes[node]:,} of constants)"
        )
    least = min(ends, key=lambda end: end[0].ram_bytes(end[2]))
    ram = least[0].ram_bytes(least[2])
    if aim.ram_bytes is not None and ram > aim.ram_bytes:
        peak = least[2].peak_node
        where = f"; most at {peak.name} ({peak.op})" if peak else ""
        stack = least[0].spare.stack_bytes
        if ram - aim.ram_bytes < stack:
            where += f"; {stack:,} are the stack's: a run says how much it uses, --stack sets it"
        lines.append(
            f"{ram - aim.ram_bytes:,} bytes of RAM are missing (the smallest choice takes {ram:,} "
            f"with the stack, {aim.ram_bytes:,} allowed{where})"
        )
    least = min(ends, key=lambda end: end[0].latency_ms(end[3]))
    latency = least[0].latency_ms(least[3])
    if aim.latency_ms is not None and latency > aim.latency_ms:
        slowest, option = max(least[3].chosen.items(), key=lambda pair: pair[1].cycles)
        lines.append(
            f"{latency - aim.latency_ms:.3g} ms are missing (the fastest choice takes a "
            f"predicted {latency:.4g}, {aim.latency_ms:g} allowed; most in {slowest.name} "
            f"({slowest.op}), {option.cycles / board.clock_hz * 1e3:.3g})"
        )
    if not lines:
        lines.append(f"each budget can be met, all together cannot: {_together(found, aim)}")
    return f"{board.name}: {' and '.join(lines)}"


def _together(found: Sequence[_Candidates], aim: Aim) -> str:
    """What the others leave of one budget: of the latency, or of flash where RAM takes it all."""
    if aim.latency_ms is not None:
        rest = replace(aim, optimize="speed", latency_ms=None)
        fastest = _best([each.under(rest) for each in found], math.inf)
        if fastest is not None:
            _, each, stair = fastest
            limits = " and ".join(
                f"{limit:,} bytes of {name}"
                for name, limit in (("flash", aim.flash_bytes), ("RAM", aim.ram_bytes))
                if limit is not None
            )
            return (
                f"within {limits} the fastest choice takes a predicted "
                f"{each.latency_ms(stair):.4g} ms, {aim.latency_ms:g} allowed"
            )
    rest = Aim("flash", ram_bytes=aim.ram_bytes)
    smallest = _best([each.under(rest) for each in found], math.inf)
    assert smallest is not None and aim.flash_bytes is not None and aim.ram_bytes is not None
    flash = smallest[1].flash_bytes(smallest[2])
    return (
        f"within {aim.ram_bytes:,} bytes of RAM the smallest choice takes {flash:,} bytes of "
        f"flash, {aim.flash_bytes:,} allowed"
    )
