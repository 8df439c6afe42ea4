"""Which values of an exported torch program have their channels on axis 1."""

from __future__ import annotations

from typing import Any

import numpy as np

# Operators whose first operand and result have their channels on axis 1.
_CHANNEL_OPS = (
    "aten.convolution",
    "aten._native_batch_norm_legit_no_training",
    "aten.max_pool2d_with_indices",
    "aten.avg_pool2d",
    "aten._adaptive_avg_pool2d",
    "aten.adaptive_max_pool2d",
)
_SQUEEZES = ("aten.unsqueeze", "aten.squeeze")
# Operators that mix axes, so that their operands say nothing about their result.
_MIXING_OPS = ("aten.permute", "aten.view", "aten.mean", "aten.linear", "aten.mm", "aten.addmm")


def channels_first(nodes: Any) -> set[Any]:
    """The values whose axis 1 holds channels: at the Graph's edges they become channels-last."""

    def kind(fx: Any) -> str:
        return str(fx.target).rsplit(".", 1)[0]

    def shape(fx: Any) -> tuple[int, ...]:
        value = fx.meta.get("val")
        value = value[0] if isinstance(value, (tuple, list)) else value
        return tuple(getattr(value, "shape", ()))

    def linked(fx: Any) -> set[Any]:
        """The operands and the result of a call whose axes 0 and 1 are the same axes."""
        if kind(fx) in _MIXING_OPS or (
            kind(fx) in _SQUEEZES and fx.args[1] not in (2, -2, [2], [-2])
        ):
            return set()
        operands = fx.all_input_nodes[:1] if kind(fx) in _CHANNEL_OPS else fx.all_input_nodes
        return {n for n in (fx, *operands) if len(shape(n)) in (3, 4)}

    calls = [fx for fx in nodes if fx.op == "call_function"]
    # Which of [N,C,H,W] lies on each axis of a value of four axes.
    labels: dict[Any, tuple[int, ...]] = {}
    for fx in nodes:
        if len(shape(fx)) != 4:
            continue
        operands = [n for n in fx.all_input_nodes if n in labels]
        permutes = [user.args[1] for user in fx.users if kind(user) == "aten.permute"]
        labels[fx] = (0, 1, 2, 3)
        if fx.op == "placeholder" and permutes and len(permutes) == len(fx.users):
            # The module turns this input itself, to [N,C,H,W] as torch's layers want it.
            labels[fx] = tuple(int(a) for a in np.argsort(permutes[0]))
        elif kind(fx) == "aten.permute":
            labels[fx] = tuple(labels[operands[0]][a] for a in fx.args[1])
        elif operands and kind(fx) not in (*_CHANNEL_OPS, "aten.view"):
            labels[fx] = labels[operands[0]]
    images = {fx for fx, order in labels.items() if order == (0, 1, 2, 3)}
    signals = {fx for fx in calls if kind(fx) in _CHANNEL_OPS and len(shape(fx)) == 3}
    # A layer marks the signal it reads or makes, and all that keeps its axes marks on.
    grown = True
    while grown:
        before = len(signals)
        for fx in calls:
            group = linked(fx)
            if group & signals:
                signals |= group
        grown = len(signals) > before
    return images | {fx for fx in signals if len(shape(fx)) == 3}
