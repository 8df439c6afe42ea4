"""Arithmetic on axes for the layout pass.

`axes` says where a value's axes lie in a node: axis i at `axes[i]`, -1 for an axis of size 1.
"""

from __future__ import annotations

from collections.abc import Sequence

# Where the value's axes go when a choice is free: [N,C,H,W] in [N,H,W,C], [N,C,L] in [N,L,C].
_NATURAL = {3: (0, 2, 1), 4: (0, 3, 1, 2)}
Axes = tuple[int, ...]


def plain_axes(shape: Sequence[int]) -> Axes:
    """Every axis at its own place: the value is the node."""
    return tuple(i if d > 1 else -1 for i, d in enumerate(shape))


def is_sorted(axes: Sequence[int]) -> bool:
    """True where the axes of size above 1 lie in their own order: no element has to move."""
    real = [a for a in axes if a >= 0]
    return real == sorted(real)


def kept(perm: Axes, shape: Axes) -> Axes:
    """`perm` as the axes of a value of `shape`."""
    return tuple(p if d > 1 else -1 for p, d in zip(perm, shape, strict=True))


def through(axes: Axes, perm: Axes, rank: int) -> Axes:
    """`axes` of a value seen in the layout `perm`: entry k is for the layout's axis k."""
    seen = [-1] * max(rank, max(perm, default=-1) + 1)
    for axis, place in zip(axes, perm, strict=True):
        seen[place] = axis
    return tuple(seen)


def completed(axes: Axes, shape: Axes) -> Axes:
    """`axes` with a place for every axis of size 1 too, past the node's last where it is full."""
    natural = _NATURAL.get(len(axes), ())
    if natural and len(shape) == len(axes) and not is_plain(axes):
        fits = all(a in (-1, n) for a, n in zip(axes, natural, strict=True))
        if fits:
            return natural
    free = [k for k in range(max(len(shape), len(axes))) if k not in axes]
    return tuple(a if a >= 0 else free.pop(0) for a in axes)


def is_plain(axes: Axes) -> bool:
    """True where no axis lies at another's place."""
    return all(a in (-1, i) for i, a in enumerate(axes))


def common_groups(old: Axes, new: Axes) -> list[tuple[Axes, Axes]]:
    """The smallest runs of axes of two shapes that hold the same elements; size 1 left out."""
    groups: list[tuple[Axes, Axes]] = []
    left = [i for i, d in enumerate(old) if d > 1]
    right = [i for i, d in enumerate(new) if d > 1]
    while left:
        first, second = [left.pop(0)], [right.pop(0)]
        a, b = old[first[0]], new[second[0]]
        while a != b:
            if a < b:
                first.append(left.pop(0))
                a *= old[first[-1]]
            else:
                second.append(right.pop(0))
                b *= new[second[-1]]
        groups.append((tuple(first), tuple(second)))
    return groups


def group_runs(laid_at: Axes, groups: list[tuple[Axes, Axes]]) -> list[int] | None:
    """The groups in the order they lie in the node; None where one is turned or torn apart."""
    places = [[laid_at[i] for i in old] for old, _ in groups]
    runs = sorted(range(len(groups)), key=lambda k: places[k][0])
    laid = [p for k in runs for p in places[k]]
    return runs if laid == sorted(laid) else None
