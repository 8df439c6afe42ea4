"""Readable names for the nodes of a .tflite file, made from its tensors' names."""

from __future__ import annotations

import itertools
import re

# Last segments of TensorFlow names that repeat what the operator does; a digit is MLIR's counter.
_KINDS = re.compile(
    r"(Relu6?|Conv2D|depthwise|MatMul|BiasAdd|ReadVariableOp|resource|FusedBatchNormV3|AvgPool|"
    r"MaxPool|Mean|Reshape|Softmax|Sigmoid|Tanh|Pad|PadV2|Transpose|concat|add|sub|mul)\d*"
)
# Names that converters give to the model's inputs and outputs.
_WRAPPER = re.compile(r"(serving_default_)?(.*?)(:\d+)?(_int8)?", re.DOTALL)
_ANONYMOUS = ("", "Identity", "StatefulPartitionedCall", "PartitionedCall")


class Names:
    """Readable names, each given once; `exact` takes the file's own as they are."""

    def __init__(self, raw: list[str], exact: bool) -> None:
        self.exact = exact
        self._taken: dict[str, int] = {}
        self._scope = _common_scope([_layer(name) for name in raw])

    def give(self, wanted: str) -> str:
        """`wanted`, or `wanted_2`, `wanted_3` ... where it is taken."""
        name = wanted
        while name in self._taken:
            # Counting on from the last one keeps a file of equal names linear.
            self._taken[wanted] += 1
            name = f"{wanted}_{self._taken[wanted]}"
        self._taken[name] = 1
        return name

    def of_tensor(self, raw: str, fallback: str) -> str:
        """The layer a tensor belongs to without the scopes that all layers share."""
        return self.give(self.plain(raw, fallback))

    def plain(self, raw: str, fallback: str) -> str:
        """`of_tensor` for a message: the name may be given to others as well."""
        if self.exact and raw:
            return re.sub(r"[^A-Za-z0-9_./:;-]", "_", raw)
        segments = _layer(raw)
        if len(segments) > 1 and segments[: len(self._scope)] == self._scope:
            segments = segments[len(self._scope) :]
        plain = re.sub(r"[^A-Za-z0-9_./-]+", "_", "/".join(segments)).strip("_")
        return fallback if plain in _ANONYMOUS else plain


def _layer(raw: str) -> list[str]:
    """Scope segments of a tensor's layer: `model/relu/Relu;model/conv/BiasAdd` -> [model, conv].

    A converter that fuses operators joins their names with `;`, the one that computes last.
    """
    match = _WRAPPER.fullmatch(raw.rsplit(";", 1)[-1])
    segments = (match.group(2) if match else raw).split("/")
    while len(segments) > 1 and _KINDS.fullmatch(segments[-1]):
        segments.pop()
    return segments


def _common_scope(layers: list[list[str]]) -> list[str]:
    """The leading segments that all scoped layers share: `model` of model/conv and model/dense."""
    scoped = [layer[:-1] for layer in layers if len(layer) > 1]
    shared = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*scoped, strict=False))
    return [column[0] for column in shared]
