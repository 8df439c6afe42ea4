"""What imported values are called, and how messages name a place in the user's module."""

from __future__ import annotations

import re
from typing import Any

WORKS = "see docs/ops.md for what works"
# The nearest thing that works, by a word in the module's class, torch function or ATen operator.
_NEAREST = {
    "lstm|gru|rnn": "a padded batch in one direction is the nearest",
    "gelu|mish|elu|leaky|softplus|hardshrink|softshrink": "ReLU, Hardswish or SiLU is the nearest",
    "layer_?norm|group_?norm|instance_?norm|rms_?norm": "BatchNorm is the nearest",
    "attention|transformer|bmm|matmul": "only products with constant weights work (Linear)",
    "narrow|unbind": "x[:, a:b] is the nearest",
    "upsample|interpolate": "resize the input before the model",
    "exp|log|sqrt|pow": "compute it before or behind the model",
}
# ATen operators whose name is torch's own business -> what we call their results.
_READABLE = {
    "_adaptive_avg_pool2d": "adaptive_avg_pool2d",
    "_native_batch_norm_legit_no_training": "batch_norm",
    "_softmax": "softmax",
    "addmm": "linear",
    "constant_pad_nd": "pad",
    "max_pool2d_with_indices": "max_pool2d",
    "mm": "linear",
    "permute": "transpose",
    "view": "reshape",
}


def _module(fx: Any) -> tuple[str, str]:
    """Path and class (with its Python module) of the innermost module that makes a call."""
    stack = list((fx.meta.get("nn_module_stack") or {}).values())
    path, kind = (str(part) for part in stack[-1]) if stack else ("", "")
    return path.split("@")[0], kind


def _is_layer(kind: str) -> bool:
    """Whether a class is one layer of torch.nn: its path says all, a user's may make many calls."""
    return kind.startswith("torch.nn.modules.") and ".container." not in kind


def _snake(kind: str) -> str:
    """torch.nn.modules.pooling.MaxPool2d -> max_pool2d, ...ReLU -> relu."""
    return re.sub("(?<=[a-z])(?=[A-Z][a-z])", "_", kind.rsplit(".", 1)[-1]).lower()


def _target(fx: Any) -> str:
    return str(fx.target).removesuffix(".default")


def _function(fx: Any) -> str:
    """The name of a call outside torch's layers: what it does, numbered as torch numbers it."""
    name = str(fx.name)
    operator = _target(fx).split(".")[1] if "." in _target(fx) else ""
    readable = _READABLE.get(operator, "")
    if operator == "convolution":
        value = fx.meta["val"]
        readable = "conv1d" if value.dim() == 3 else "conv2d"
    return readable + name.removeprefix(operator) if readable else name


def node_name(fx: Any) -> str:
    """The path of the layer that makes the call; for functions the call's own name is added.

    A layer that a Sequential or a list only numbers gets its class: `features.conv2d_0`.
    """
    path, kind = _module(fx)
    if not path or not _is_layer(kind):
        return f"{path}.{_function(fx)}" if path else _function(fx)
    parent, _, last = path.rpartition(".")
    if not last.isdigit():
        return path
    return f"{parent}.{_snake(kind)}_{last}".removeprefix(".")


def place(fx: Any) -> str:
    """Where a call is, for messages: `encoder (torch.nn.LSTM)`, or `block.gt (aten.gt.Scalar)`."""
    path, kind = _module(fx)
    if _is_layer(kind):
        name = kind.rsplit(".", 1)[-1]
        return f"{path or 'the module'} (torch.nn.{name})"
    return f"{node_name(fx)} ({_target(fx)})"


def is_recurrent(fx: Any) -> bool:
    """Whether a call is part of an LSTM, GRU or RNN: no step of theirs is worth naming."""
    return _module(fx)[1].startswith("torch.nn.modules.rnn.")


def no_kernel(fx: Any) -> str:
    """The message for a call that nothing here computes, with the nearest thing that works."""
    _, kind = _module(fx)
    layer = _is_layer(kind)
    function = (fx.meta.get("torch_fn") or ("", ""))[1]
    searched = kind.rsplit(".", 1)[-1] if layer else f"{function} {_target(fx)}"
    found = (text for words, text in _NEAREST.items() if re.search(words, searched.lower()))
    nearest = next(found, "")
    what = f"{_target(fx)} has no kernel" if layer else "no kernel for this operator"
    if is_recurrent(fx):
        what = "no kernel for recurrent layers"
    return f"{place(fx)}: {what}; " + (f"{nearest}; " if nearest else "") + WORKS
