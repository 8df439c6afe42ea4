"""Where blocks lie: offsets for bytes of which the planner knows from when to when they are used.

Best-fit placement under several orders, then random swaps of the best, stopped at the lower bound.
The work is bounded: the more blocks meet each other, the fewer orders are tried, and where too many
do, one pass in the order of time has to be enough.
"""

from __future__ import annotations

import heapq
import itertools
import random
from bisect import bisect_left, insort
from dataclasses import dataclass

ALIGN = 8
_TRIES = 400
_SEED = 1
_MOST_PAIRS = 200_000
"""Pairs of blocks alive together above which placing them once is all that is done."""
_WORK = 150_000
"""Blocks and pairs looked at while swapping, some 0.3 s; 400 tries for nets of 300 blocks."""


@dataclass(frozen=True)
class Block:
    """Arena bytes in use from step `first` to step `last`, both included (-1: before the run)."""

    name: str
    nbytes: int
    first: int
    last: int
    offset: int = 0

    def meets(self, other: Block) -> bool:
        """True where the two are alive at one step."""
        return self.first <= other.last and other.first <= self.last

    def at(self, offset: int) -> Block:
        """The same block at this offset."""
        return Block(self.name, self.nbytes, self.first, self.last, offset)


def live_bytes(blocks: list[Block]) -> tuple[int, int]:
    """Largest sum of sizes alive at one step, and the first such step; no arena can be smaller."""
    changes: dict[int, int] = {}
    for block in blocks:
        changes[block.first] = changes.get(block.first, 0) + block.nbytes
        changes[block.last + 1] = changes.get(block.last + 1, 0) - block.nbytes
    alive, peak, when = 0, 0, -1
    for step in sorted(changes):
        alive += changes[step]
        if alive > peak:
            peak, when = alive, step
    return peak, when


def live_at(blocks: list[Block], steps: int) -> tuple[int, ...]:
    """Sum of sizes alive before the run (-1), at each of `steps` steps and after the last."""
    changes = [0] * (steps + 3)
    for block in blocks:
        changes[block.first + 1] += block.nbytes
        changes[block.last + 2] -= block.nbytes
    return tuple(itertools.accumulate(changes[:-1]))


def place_blocks(blocks: list[Block], bound: int) -> list[Block]:
    """The blocks with offsets; those alive at one step share no byte. `bound`: no need to beat."""
    meeting = _meetings(blocks)
    if meeting is None:
        return _in_order_of_time(blocks)
    indices = range(len(blocks))
    keys = (
        lambda i: (-blocks[i].nbytes, blocks[i].first),
        lambda i: (blocks[i].first, -blocks[i].nbytes),
        lambda i: (-(blocks[i].last - blocks[i].first), -blocks[i].nbytes),
        lambda i: (-blocks[i].nbytes * (blocks[i].last - blocks[i].first + 1),),
    )
    best: tuple[int, list[int], list[int]] | None = None

    def offer(order: list[int]) -> bool:
        nonlocal best
        offsets = _best_fit(blocks, order, meeting)
        height = max((offsets[i] + blocks[i].nbytes for i in indices), default=0)
        if best is None or height <= best[0]:
            best = (height, order, offsets)
        return best[0] <= bound

    if not any(offer(sorted(indices, key=key)) for key in keys):
        chance = random.Random(_SEED)
        work = len(blocks) + sum(map(len, meeting))
        for _ in range(min(_TRIES, _WORK // work)):
            assert best is not None
            order = list(best[1])
            a, b = chance.sample(indices, 2)
            order[a], order[b] = order[b], order[a]
            if offer(order):
                break
    assert best is not None
    return [block.at(best[2][i]) for i, block in enumerate(blocks)]


def _meetings(blocks: list[Block]) -> list[list[int]] | None:
    """For each block those alive together with it; None where there are too many pairs."""
    meeting: list[list[int]] = [[] for _ in blocks]
    alive: list[int] = []
    pairs = 0
    for index in sorted(range(len(blocks)), key=lambda i: blocks[i].first):
        alive = [j for j in alive if blocks[j].last >= blocks[index].first]
        pairs += len(alive)
        if pairs > _MOST_PAIRS:
            return None
        for other in alive:
            meeting[index].append(other)
            meeting[other].append(index)
        alive.append(index)
    return meeting


def _best_fit(blocks: list[Block], order: list[int], meeting: list[list[int]]) -> list[int]:
    """Offsets, block by block: the smallest gap among those alive with it that holds it."""
    offsets = [-1] * len(blocks)
    for index in order:
        nbytes = blocks[index].nbytes
        taken = sorted(
            (offsets[j], offsets[j] + blocks[j].nbytes) for j in meeting[index] if offsets[j] >= 0
        )
        choice, slack, free = None, None, 0
        for start, stop in taken:
            gap = start - free
            if gap >= nbytes and (slack is None or gap < slack):
                choice, slack = free, gap
            free = max(free, stop)
        offsets[index] = free if choice is None else choice
    return offsets


def _in_order_of_time(blocks: list[Block]) -> list[Block]:
    """As a heap would: at its first step each block takes the smallest free gap that holds it."""
    gaps = _Gaps()
    offsets = [0] * len(blocks)
    expiring: list[tuple[int, int]] = []
    for index in sorted(range(len(blocks)), key=lambda i: (blocks[i].first, -blocks[i].nbytes)):
        while expiring and expiring[0][0] < blocks[index].first:
            gone = heapq.heappop(expiring)[1]
            gaps.give(offsets[gone], blocks[gone].nbytes)
        offsets[index] = gaps.take(blocks[index].nbytes)
        heapq.heappush(expiring, (blocks[index].last, index))
    return [block.at(offsets[i]) for i, block in enumerate(blocks)]


class _Gaps:
    """Free bytes of an arena that grows at its end; neighbouring gaps are one."""

    def __init__(self) -> None:
        self.end = 0
        self._sizes: list[tuple[int, int]] = []
        self._starts: dict[int, int] = {}
        self._stops: dict[int, int] = {}

    def take(self, nbytes: int) -> int:
        """Offset of `nbytes` bytes that are free no longer."""
        found = bisect_left(self._sizes, (nbytes, 0))
        if found < len(self._sizes):
            size, start = self._sizes[found]
        else:
            # Grow: from the gap that touches the end, if there is one.
            start = self._stops.get(self.end, self.end)
            size = self.end - start
            self.end = start + nbytes
        self._drop(start, size)
        self._add(start + nbytes, size - nbytes)
        return start

    def give(self, start: int, nbytes: int) -> None:
        """Free what `take` gave."""
        stop = start + nbytes
        before, after = self._stops.get(start, start), stop + self._starts.get(stop, 0)
        self._drop(before, start - before)
        self._drop(stop, after - stop)
        self._add(before, after - before)

    def _add(self, start: int, nbytes: int) -> None:
        if nbytes > 0:
            insort(self._sizes, (nbytes, start))
            self._starts[start], self._stops[start + nbytes] = nbytes, start

    def _drop(self, start: int, nbytes: int) -> None:
        if nbytes > 0:
            del self._sizes[bisect_left(self._sizes, (nbytes, start))]
            del self._starts[start], self._stops[start + nbytes]
