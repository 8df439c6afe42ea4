"""What the torch importer says where it cannot go on: one line, the node, what is allowed."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

from milliwatt.errors import ImportFailed, MilliwattError, ToolMissing, UnsupportedOp
from milliwatt.formats.torch import read_torch
from support.torch_nets import F, build, function, nn, torch

IMAGE = torch.ones(1, 4, 6, 6)


def fails(error: type[MilliwattError], module: Any, example: Any, *words: str) -> None:
    with pytest.raises(error) as caught:
        read_torch(module, example)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


class Nested(nn.Module):
    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(4, 4, 1), layer)

    def forward(self, x: Any) -> Any:
        return self.features(x)


def test_unknown_operator_names_module_operator_and_what_works() -> None:
    words = (
        "features.1 (torch.nn.GELU): aten.gelu has no kernel",
        "SiLU is the nearest",
        "docs/ops.md",
    )
    fails(UnsupportedOp, Nested(nn.GELU()), IMAGE, *words)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(4, 3, batch_first=True, bidirectional=True)

    def forward(self, x: Any) -> Any:
        return self.encoder(x)[0]


def test_a_layer_made_of_many_operators_is_named_itself() -> None:
    with pytest.raises(UnsupportedOp) as caught:
        read_torch(Recurrent(), torch.ones(1, 5, 4))
    assert str(caught.value).startswith("encoder (torch.nn.LSTM): ")
    assert "bidirectional=False wanted" in str(caught.value)
    assert len(str(caught.value)) < 160


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.Conv2d(4, 6, 3, groups=2), ("groups is 2", "1 or 4 (depthwise)")),
        (nn.ConvTranspose2d(4, 4, 2), ("transposed",)),
        (nn.MaxPool2d(2, dilation=2), ("dilation",)),
        (nn.AvgPool2d(2, divisor_override=3), ("divisor_override",)),
        (nn.AdaptiveAvgPool2d(4), ("[6, 6] is pooled to [4, 4]", "divide")),
        (nn.LogSoftmax(1), ("logits",)),
        (nn.ConstantPad2d(-1, 0.0), ("padding is", "0 or more")),
        (nn.ConstantPad2d(1, -np.inf), ("pad value",)),
    ],
)
def test_unsupported_options(layer: Any, words: tuple[str, ...]) -> None:
    fails(
        UnsupportedOp, Nested(layer), IMAGE, f"features.1 (torch.nn.{type(layer).__name__})", *words
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (lambda x: x[:, :1].expand(-1, 4, -1, -1), ("expand", "whole tensor")),
        (lambda x: x.clamp(2.0, 1.0), ("bounds", "low <= high")),
        (lambda x: x / (x + 3), ("div", "constant wanted")),
        (lambda x: x / 0, ("div", "other values")),
        (lambda x: torch.add(x, x, alpha=2), ("alpha is 2",)),
        (lambda x: F.max_pool2d(x, 2, return_indices=True)[1] * 1.0, ("second result",)),
        (lambda x: F.conv2d(x, x), ("weight is computed at run time",)),
        (lambda x: (x > 0) * 1.0, ("aten.gt",)),
        (lambda x: x.to(torch.float64), ("aten._to_copy",)),
        (
            lambda x: torch.cond(torch.ones(()) > 0, lambda y: y + 1, lambda y: y - 1, (x,)),
            ("branch",),
        ),
        (lambda x: F.conv3d(x[None], torch.ones(2, 1, 1, 1, 1)), ("5 axes",)),
    ],
)
def test_unsupported_functions(body: Any, words: tuple[str, ...]) -> None:
    fails(UnsupportedOp, function(body), IMAGE, *words)


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: Any) -> Any:
        self.count += 1
        return x + self.count


def test_state_between_calls() -> None:
    fails(UnsupportedOp, Counter(), IMAGE, "count")


def test_example_of_the_wrong_shape() -> None:
    net, _ = build("resnet")
    fails(ImportFailed, net, torch.ones(1, 10, 12, 3), "ResNet", "f32[1,10,12,3]", "3 channels")
    fails(ImportFailed, net, (IMAGE, IMAGE), "ResNet", "f32[1,4,6,6] and f32[1,4,6,6]")


@pytest.mark.parametrize(
    ("example", "words"),
    [
        ("x.npy", ("example 0 is str",)),
        (None, ("NoneType",)),
        (np.ones((1, 4), np.int64), ("torch.int64", "torch.float32")),
        (np.ones((0, 4), np.float32), ("shape [0, 4]",)),
    ],
)
def test_examples_that_are_none(example: Any, words: tuple[str, ...]) -> None:
    fails(ImportFailed, nn.Linear(4, 2), example, *words)


def test_not_a_module() -> None:
    fails(ImportFailed, lambda x: x, IMAGE, "function is not a torch.nn.Module")
    fails(ImportFailed, {"w": IMAGE}, IMAGE, "dict is not a torch.nn.Module")


def test_data_dependent_control_flow(capfd: pytest.CaptureFixture[str]) -> None:
    body = function(lambda x: x if x.sum() > 0 else -x)
    fails(ImportFailed, body, IMAGE, "Function", "cannot follow forward", "branch")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (lambda x: (x, None), ("returns a NoneType",)),
        (lambda x: {"a": x, "b": "text"}, ("returns a str",)),
        (lambda x: (x + 1, torch.ones(2)), ("does not depend",)),
    ],
)
def test_outputs_that_are_no_tensors(body: Any, words: tuple[str, ...]) -> None:
    fails(ImportFailed, function(body), IMAGE, *words)


def test_weights_that_are_not_finite() -> None:
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight[0, 1] = float("nan")
    fails(ImportFailed, nn.Sequential(layer), torch.ones(1, 4), "0.weight: 1 of 8 values are NaN")


def test_weights_of_another_type_or_place() -> None:
    half = nn.Linear(4, 2).to(torch.float16)
    fails(ImportFailed, half, torch.ones(1, 4), "weight is torch.float16", "module.float()")
    away = nn.Linear(4, 2, device="meta")
    fails(ImportFailed, away, torch.ones(1, 4), "weight is on meta", "module.cpu()")


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "torch":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    fails(ToolMissing, object(), IMAGE, 'pip install "milliwatt[torch]"')
