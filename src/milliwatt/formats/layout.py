"""Channels first -> channels last: removes the transposes that a torch import leaves.

Nothing is turned at run time that can be turned at import. The pass walks the graph once and keeps,
for every value, a node of the new graph and how the value's axes lie in it (a `_View`). A
transpose, and a reshape that only adds or drops axes of size 1, change the view and make no node.
An operator that does not care about the order of axes runs on the node as it lies; one that does
care (conv2d, pools) asks for the value itself, which by then lies channels-last already, so the
transposes have cancelled. A flatten of turned axes becomes a view with its last axis reordered,
which fully_connected takes up into the columns of its weight. Constants are turned in place.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from milliwatt.formats.layout_axes import (
    Axes,
    common_groups,
    completed,
    group_runs,
    is_sorted,
    kept,
    plain_axes,
    through,
)
from milliwatt.ir.attrs import Attrs, Concat, Mean, Pad, Reshape, Transpose
from milliwatt.ir.graph import Graph, Node, constant
from milliwatt.ir.ops import Op


def to_nhwc(graph: Graph) -> Graph:
    """The same function of the same inputs with as few transposes as the pass can leave.

    Removes every transpose from convolutional networks that were written channels-first, flatten
    before fully_connected included; one that cannot be removed (a permuted output, a reshape that
    mixes turned axes) stays and is correct, and never more elements move than before. Inputs and
    outputs keep order and types.
    """
    return min(_Layout().run(graph), graph, key=_moved)


@dataclass(frozen=True, eq=False)
class _View:
    """How a value of the given graph lies in a node of the new one.

    Axis i of the value is axis `axes[i]` of the node, or -1 where it has size 1; the node's other
    axes have size 1. With `order`, the shapes are equal and value[..., i] = node[..., order[i]].
    """

    node: Node
    axes: Axes
    order: np.ndarray | None = None


class _Layout:
    """The state of one run: views of old nodes, new nodes made on demand, names in use."""

    def __init__(self) -> None:
        self.views: dict[Node, _View] = {}
        self.made: dict[tuple[Node, Axes, Axes], Node] = {}
        self.recasts: dict[tuple[Node, Hashable], Node] = {}
        self.plains: dict[Node, Node] = {}
        self.names: set[str] = set()
        rules: dict[Op, Callable[[Node], _View | None]] = {
            Op.TRANSPOSE: self._transpose,
            Op.RESHAPE: self._reshape,
            Op.ADD: self._elementwise,
            Op.SUB: self._elementwise,
            Op.MUL: self._elementwise,
            Op.CONCAT: self._concat,
            Op.CLAMP: self._unary,
            Op.LOGISTIC: self._unary,
            Op.TANH: self._unary,
            Op.SOFTMAX: self._softmax,
            Op.MEAN: self._mean,
            Op.PAD: self._pad,
            Op.FULLY_CONNECTED: self._fully_connected,
        }
        self.rules = rules

    def run(self, graph: Graph) -> Graph:
        """The graph rebuilt."""
        for old in graph.nodes():
            rule = self.rules.get(old.op)
            view = rule(old) if rule else None
            self.views[old] = view or self._default(old)
        outputs = tuple(self.plain(n) for n in graph.outputs)
        updates = tuple((self.plain(s), self.plain(n)) for s, n in graph.updates)
        return Graph(tuple(self.plain(n) for n in graph.inputs), outputs, updates, graph.name)

    # --- making nodes

    def name(self, wanted: str) -> str:
        """`wanted`, with a number where it is taken."""
        fresh, count = wanted, 0
        while fresh in self.names:
            count += 1
            fresh = f"{wanted}_{count}"
        self.names.add(fresh)
        return fresh

    def again(self, old: Node, src: Sequence[Node], attrs: Attrs | None = None) -> Node:
        """`old` on new operands, under its own name the first time."""
        return Node(old.op, tuple(src), attrs or old.attrs, self.name(old.name))

    def recast(self, old: Node, key: Hashable, array: np.ndarray) -> Node:
        """The constant `old` holding `array`; one node per key, the first under its own name."""
        if (old, key) not in self.recasts:
            name = self.name(old.name)
            same = array is old.value and name == old.name
            self.recasts[old, key] = old if same else constant(array, name, old.type.quant)
        return self.recasts[old, key]

    def _default(self, old: Node) -> _View:
        """The operator on its operands as they are in the given graph."""
        node = old
        if old.op is Op.INPUT:
            self.names.add(old.name)
        elif (
            not old.is_constant
        ):  # constants take a name where they are used, in the form they are used
            node = self.again(old, [self.plain(s) for s in old.src])
        return _View(node, plain_axes(node.type.shape))

    def plain(self, old: Node) -> Node:
        """The value of `old` itself, its elements moved where its view says they lie elsewhere."""
        view = self.views[old]
        if view.order is None:
            return self.arrange(view, old.type.shape)
        if old not in self.plains:
            # A reordered last axis has no operator that undoes it; compute from operands in order.
            self.plains[old] = self.again(old, [self.plain(s) for s in old.src])
        return self.plains[old]

    def arrange(self, view: _View, shape: Sequence[int]) -> Node:
        """A node of `shape` whose axis i is axis `view.axes[i]` of the view's node (-1: size 1)."""
        key = (view.node, view.axes, tuple(shape))
        if key not in self.made:
            self.made[key] = self._arranged(view.node, view.axes, tuple(shape))
        return self.made[key]

    def _arranged(self, node: Node, axes: Axes, shape: Axes) -> Node:
        same = node.type.shape == shape and is_sorted(axes)
        if node.is_constant:
            real = [a for a in axes if a >= 0]
            flat = node.value.reshape([node.type.shape[a] for a in sorted(real)])
            turned = flat.transpose([sorted(real).index(a) for a in real]).reshape(shape)
            return self.recast(node, (axes, shape), node.value if same else turned)
        if same:
            return node
        if is_sorted(axes):
            return self._reshaped(node, shape)
        perm = completed(axes, node.type.shape)
        if len(perm) != len(node.type.shape):
            # Ranks differ: line the axes above size 1 up behind enough axes of size 1.
            real = sorted(a for a in axes if a >= 0)
            ones = len(shape) - len(real)
            node = self._reshaped(node, (1,) * ones + tuple(node.type.shape[a] for a in real))
            axes = tuple(ones + real.index(a) if a >= 0 else -1 for a in axes)
            perm = completed(axes, node.type.shape)
        return Node(Op.TRANSPOSE, (node,), Transpose(perm), self.name(f"{node.name}.transpose"))

    def _reshaped(self, node: Node, shape: Axes) -> Node:
        source = node.src[0] if node.op is Op.RESHAPE else node
        if source.type.shape == shape:
            return source
        return Node(Op.RESHAPE, (source,), Reshape(shape), self.name(f"{source.name}.reshape"))

    # --- rules: the view of one node, or None for `_default`

    def _transpose(self, old: Node) -> _View | None:
        view, attrs = self.views[old.src[0]], cast(Transpose, old.attrs)
        if view.order is not None:
            return None
        return _View(view.node, tuple(view.axes[p] for p in attrs.perm))

    def _unary(self, old: Node) -> _View:
        view = self.views[old.src[0]]
        return replace(view, node=self.again(old, [view.node]))

    def _softmax(self, old: Node) -> _View | None:
        view = self.views[old.src[0]]
        if view.axes[-1] != len(view.node.type.shape) - 1:
            return None
        return self._unary(old)

    def _mean(self, old: Node) -> _View | None:
        view, attrs = self.views[old.src[0]], cast(Mean, old.attrs)
        order = view.order
        if order is not None and len(view.axes) - 1 in attrs.axes:
            order = None
        axes = tuple(sorted(view.axes[a] for a in attrs.axes if view.axes[a] >= 0))
        if not axes:
            return None
        node = self.again(old, [view.node], replace(attrs, axes=axes))
        kept: list[int] = []
        for i, axis in enumerate(view.axes):
            if i in attrs.axes:
                kept += [-1] if attrs.keep_dims else []
            else:
                gone = 0 if attrs.keep_dims else sum(a < axis for a in axes)
                kept.append(axis - gone if axis >= 0 else -1)
        return _View(node, tuple(kept), order)

    def _pad(self, old: Node) -> _View | None:
        view, attrs = self.views[old.src[0]], cast(Pad, old.attrs)
        perm = completed(view.axes, view.node.type.shape)
        padded = [i for i, pair in enumerate(attrs.paddings) if any(pair)]
        last = len(perm) - 1
        if max(perm) >= len(view.node.type.shape) or (view.order is not None and last in padded):
            return None
        pairs = [(0, 0)] * len(view.node.type.shape)
        for i in padded:
            pairs[perm[i]] = attrs.paddings[i]
        node = self.again(old, [view.node], replace(attrs, paddings=tuple(pairs)))
        return _View(node, kept(perm, old.type.shape), view.order)

    def _fully_connected(self, old: Node) -> _View | None:
        view = self.views[old.src[0]]
        if view.order is not None:
            if not old.src[1].is_constant:
                return None
            weight = self._moved(old.src[1], view.order)
            node = self.again(old, [view.node, weight, *(self.plain(s) for s in old.src[2:])])
            return _View(node, plain_axes(node.type.shape))
        last = len(view.node.type.shape) - 1
        if is_sorted(view.axes) or view.axes[-1] != last:
            return None
        node = self.again(old, [view.node, *(self.plain(s) for s in old.src[1:])])
        return _View(node, (*view.axes[:-1], last if old.type.shape[-1] > 1 else -1))

    def _elementwise(self, old: Node) -> _View | None:
        shape = old.type.shape
        views = [self._with_rank(s, len(shape)) for s in old.src]
        order = self._common_order(old, views)
        if order is None:
            return None
        if order.size:
            src = [self._reordered(s, v, order) for s, v in zip(old.src, views, strict=True)]
            return _View(self.again(old, src), plain_axes(shape), order)
        perm, rank = self._target(old.src, views)
        trim = not all(s.is_constant for s in old.src)
        src = [self._turned(s, v, perm, rank, trim) for s, v in zip(old.src, views, strict=True)]
        return _View(self.again(old, src), kept(perm, shape))

    def _concat(self, old: Node) -> _View | None:
        shape, axis = old.type.shape, cast(Concat, old.attrs).axis
        views = [self.views[s] for s in old.src]
        if any(v.order is not None for v in views):
            if axis != len(shape) - 1:
                return None
            orders, parts, start = [], [], 0
            for source, view in zip(old.src, views, strict=True):
                size = source.type.shape[-1]
                own = np.arange(size) if view.order is None else view.order
                orders.append(start + own)
                parts.append(self.plain(source) if view.order is None else view.node)
                start += size
            return _View(self.again(old, parts), plain_axes(shape), np.concatenate(orders))
        perm, rank = self._target(old.src, views)
        src = [self._turned(s, v, perm, rank) for s, v in zip(old.src, views, strict=True)]
        node = self.again(old, src, replace(cast(Concat, old.attrs), axis=perm[axis]))
        return _View(node, kept(perm, shape))

    def _reshape(self, old: Node) -> _View | None:
        source = old.src[0]
        while source.op is Op.RESHAPE:
            source = source.src[0]
        view, shape = self.views[source], old.type.shape
        if view.order is not None:
            if shape[-1:] != source.type.shape[-1:]:
                return None
            node = self._reshaped(view.node, shape)
            return _View(node, plain_axes(shape), view.order)
        groups = common_groups(source.type.shape, shape)
        runs = group_runs(view.axes, groups)
        if runs is not None:
            return self._regrouped(view, shape, groups, runs)
        return self._flattened(view, shape, groups) or self._gathered(view, shape, groups)

    def _regrouped(
        self, view: _View, shape: Axes, groups: list[tuple[Axes, Axes]], runs: list[int]
    ) -> _View:
        """A reshape inside groups of axes that lie together in the node."""
        if all(len(old) == len(new) == 1 for old, new in groups):
            axes = {new[0]: view.axes[old[0]] for old, new in groups}
            return _View(view.node, tuple(axes.get(i, -1) for i in range(len(shape))))
        laid = [axis for k in runs for axis in groups[k][1]]
        if laid == sorted(laid):
            return _View(self._reshaped(view.node, shape), plain_axes(shape))
        ones = len(shape) - len(laid)
        node = self._reshaped(view.node, (1,) * ones + tuple(shape[i] for i in laid))
        axes = {axis: ones + place for place, axis in enumerate(laid)}
        return _View(node, tuple(axes.get(i, -1) for i in range(len(shape))))

    def _gathered(self, view: _View, shape: Axes, groups: list[tuple[Axes, Axes]]) -> _View:
        """A reshape that needs a transpose: one that brings each group's axes together, no more."""
        runs = sorted(range(len(groups)), key=lambda k: min(view.axes[i] for i in groups[k][0]))
        laid = [i for k in runs for i in groups[k][0]]
        axes = tuple(view.axes[i] for i in laid)
        node = self.arrange(replace(view, axes=axes), [view.node.type.shape[a] for a in axes])
        places = {i: place for place, i in enumerate(laid)}
        together = tuple(places.get(i, -1) for i in range(len(view.axes)))
        return self._regrouped(_View(node, together), shape, groups, runs)

    def _flattened(self, view: _View, shape: Axes, groups: list[tuple[Axes, Axes]]) -> _View | None:
        """A flatten of turned axes into the last one: the node's elements in their own order."""
        *leading, (old, new) = groups
        if new != (len(shape) - 1,):
            return None
        first = min(view.axes[i] for i in old)
        before = [view.axes[i] for group, _ in leading for i in group]
        if before != sorted(before) or (before and before[-1] > first):
            return None
        laid = sorted(view.axes[i] for i in old)
        index = np.arange(shape[-1]).reshape([view.node.type.shape[a] for a in laid])
        order = index.transpose([laid.index(view.axes[i]) for i in old]).ravel()
        return _View(self._reshaped(view.node, shape), plain_axes(shape), order)

    # --- operands of elementwise and concat

    def _with_rank(self, old: Node, rank: int) -> _View:
        """The view with leading axes of size 1 up to `rank`, as broadcasting adds them."""
        view = self.views[old]
        return replace(view, axes=(-1,) * (rank - len(view.axes)) + view.axes)

    def _common_order(self, old: Node, views: list[_View]) -> np.ndarray | None:
        """The reordering all operands share; empty for none; None where they cannot agree."""
        orders = [v.order for v in views if v.order is not None]
        if not orders:
            return np.empty(0, np.int64)
        size = old.type.shape[-1]
        for source, view in zip(old.src, views, strict=True):
            small = not source.type.shape or source.type.shape[-1] == 1
            if view.order is None and not source.is_constant and not small:
                return None
            if view.order is not None and not np.array_equal(view.order, orders[0]):
                return None
        return orders[0] if orders[0].size == size else None

    def _reordered(self, old: Node, view: _View, order: np.ndarray) -> Node:
        if view.order is not None:
            return view.node
        if old.is_constant and old.type.shape[-1:] == (order.size,):
            return self._moved(old, order)
        return self.plain(old)

    def _moved(self, old: Node, order: np.ndarray) -> Node:
        """A constant whose last axis meets a value reordered by `order`."""
        return self.recast(old, order.tobytes(), old.value[..., np.argsort(order)])

    def _target(self, sources: Sequence[Node], views: list[_View]) -> tuple[Axes, int]:
        """The layout that moves the fewest elements: value axis i at perm[i]; and its rank."""
        running = [i for i, s in enumerate(sources) if not s.is_constant] or [0]

        def cost(i: int) -> tuple[int, int, bool]:
            perm = completed(views[i].axes, views[i].node.type.shape)
            moved = sum(
                sources[j].type.size
                for j in running
                if not is_sorted(through(views[j].axes, perm, len(perm)))
            )
            return moved, -sources[i].type.size, is_sorted(views[i].axes)

        best = views[min(running, key=cost)]
        shape = best.node.type.shape
        return completed(best.axes, shape), max(len(shape), len(best.axes))

    def _turned(self, old: Node, view: _View, perm: Axes, rank: int, trim: bool = False) -> Node:
        """The operand laid out as `_target` says; `trim` drops a constant's leading axes of 1."""
        if not old.type.shape:
            return self.plain(old)
        sizes = (1,) * (len(perm) - len(old.type.shape)) + old.type.shape
        shape = [1] * rank
        for i, place in enumerate(perm):
            shape[place] = sizes[i]
        axes = through(view.axes, perm, rank)
        while old.is_constant and trim and len(shape) > 1 and shape[0] == 1:
            shape, axes = shape[1:], axes[1:]
        return self.arrange(replace(view, axes=axes), shape)


def _moved(graph: Graph) -> int:
    """Elements that transposes move at run time."""
    return sum(node.type.size for node in graph.nodes() if node.op is Op.TRANSPOSE)
