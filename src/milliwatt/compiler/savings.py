"""Options with less and less flash: which kernels to do without, where to keep fewer weights."""

from __future__ import annotations

from collections.abc import Iterator

from milliwatt.compiler.cost import code_bytes, weight_bytes
from milliwatt.compiler.staircase import Option, Options
from milliwatt.ir.graph import Node

_CALL_BYTES = 85
"""Code and parameters of a layer's own call."""
_LEVELS = 200
"""Savings that are made at most; networks have some tens of them."""


def flash_bytes(options: Options, flag: str) -> int:
    """Code and constants of the fastest options; a kernel file that many nodes use counts once."""
    files = {path for found in options.values() for path in found[0].call.files}
    weights = sum(weight_bytes(node, found[0].call) for node, found in options.items())
    return code_bytes(files, flag) + weights + _CALL_BYTES * len(options)


def levels(options: Options, flag: str) -> Iterator[Options]:
    """`options`, then again and again those that save flash for the fewest cycles a byte.

    Args: flag: -O2 or -Os, which says what a kernel's code takes.
    """
    portable = _portable(options)
    for _ in range(_LEVELS):
        yield options
        best: tuple[float, Options] | None = None
        size, cycles = flash_bytes(options, flag), _cycles(options)
        for narrowed in (
            *_without_files(options),
            *_fewer_weights(options),
            *_all_portable(options, portable),
        ):
            saved = size - flash_bytes(narrowed, flag)
            if saved > 0:
                price = (_cycles(narrowed) - cycles) / saved
                if best is None or price < best[0]:
                    best = price, narrowed
        if best is None:
            return
        options = best[1]


def _cycles(options: Options) -> float:
    return sum(found[0].cycles for found in options.values())


def _without_files(options: Options) -> Iterator[Options]:
    """The options without one kernel file, for each that every node can do without."""
    for path in sorted({path for found in options.values() for path in found[0].call.files}):
        kept = {
            node: tuple(o for o in found if path not in o.call.files)
            for node, found in options.items()
        }
        if all(kept.values()):
            yield kept


def _portable(options: Options) -> Options:
    """Only portable calls, of the nodes that have one."""
    found = {
        node: tuple(o for o in found if not any(f.endswith("_dsp.c") for f in o.call.files))
        for node, found in options.items()
    }
    return {node: calls for node, calls in found.items() if calls}


def _all_portable(options: Options, portable: Options) -> Iterator[Options]:
    """The options with portable calls for one operator, and for all.

    Several special kernels may have to go before the general one pays that replaces them, and that
    one may have gone before.
    """
    for op in dict.fromkeys(node.op for node in portable):
        yield {**options, **{node: calls for node, calls in portable.items() if node.op is op}}
    yield {**options, **portable}


def _fewer_weights(options: Options) -> Iterator[Options]:
    """The options with only those calls of one kind of layer that keep fewer constants.

    Layers of one kernel go together: only then its code may go too.
    """
    heavy: dict[str, dict[Node, tuple[Option, ...]]] = {}
    for node, found in options.items():
        size = weight_bytes(node, found[0].call) if len(found) > 1 else 0
        lighter = tuple(o for o in found if size and weight_bytes(node, o.call) < size)
        if lighter:
            heavy.setdefault(found[0].call.kernel, {})[node] = lighter
            yield {**options, node: lighter}
    for nodes in heavy.values():
        if len(nodes) > 1:
            yield {**options, **nodes}
