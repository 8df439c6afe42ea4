"""Small .tflite files by TensorFlow's own converter: the conformance suite's independent sample.

    python bench/converter_sample.py DIR
    python -m bench.conformance --folder DIR

Needs `pip install tensorflow tf_keras`, in an environment of its own as milliwatt does not: the
files are made once, outside the tests. Each file is one function of few operators, converted in
some of the modes float32, float16 weights, dynamic range, int8 and int16x8.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # its LSTM becomes one operator
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
import tf_keras as keras

ALL = ("float32", "float16", "dynamic", "int8", "int16x8")
INTEGER = ("float32", "int8", "int16x8")
FLOAT = ("float32",)
SAMPLES = 20
RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class Model:
    """A function of tensors, the shapes of its inputs, and the modes to convert it in."""

    call: Callable[..., Any]
    shapes: Sequence[Sequence[int]]
    modes: Sequence[str] = FLOAT
    dtypes: Sequence[str] = ()

    def specs(self) -> list[tf.TensorSpec]:
        """The inputs as TensorFlow wants them."""
        dtypes = self.dtypes or ["float32"] * len(self.shapes)
        return [tf.TensorSpec(s, t) for s, t in zip(self.shapes, dtypes, strict=True)]


def weights(*shape: int, spread: float = 0.5) -> tf.Tensor:
    """A constant of the network."""
    return tf.constant(RNG.normal(0, spread, shape).astype(np.float32))


IMAGE, WIDE, ROWS = (1, 8, 7, 4), (1, 9, 9, 6), (3, 10)
KERNEL, DEPTHWISE, DENSE = weights(3, 3, 4, 6), weights(3, 3, 4, 2), weights(10, 5)
BIAS, ALPHA, PICTURE = weights(6), weights(4), weights(2, 2, 5, 4)
RIGHT, TABLE, ROW = weights(1, 7, 6), weights(12, 4), weights(10)
NN = tf.nn


def matrix_models() -> dict[str, Model]:
    """Convolutions and matrix products."""
    return {
        "conv_same_relu": Model(
            lambda x: NN.relu(NN.conv2d(x, KERNEL, 1, "SAME") + BIAS), [IMAGE], ALL
        ),
        "conv_stride_relu6": Model(
            lambda x: NN.relu6(NN.conv2d(x, KERNEL, 2, "VALID") + BIAS), [IMAGE], INTEGER
        ),
        "conv_dilated": Model(
            lambda x: NN.conv2d(x, KERNEL, 1, "VALID", dilations=2), [(1, 12, 11, 4)], INTEGER
        ),
        "depthwise": Model(
            lambda x: NN.depthwise_conv2d(x, DEPTHWISE, [1, 2, 2, 1], "SAME"), [IMAGE], ALL
        ),
        "transpose_conv": Model(
            lambda x: NN.conv2d_transpose(x, PICTURE, (1, 16, 14, 5), 2, "SAME"), [IMAGE], INTEGER
        ),
        "transpose_conv_valid": Model(
            lambda x: NN.conv2d_transpose(x, weights(3, 3, 5, 4), (1, 17, 15, 5), 2, "VALID"),
            [IMAGE],
            INTEGER,
        ),
        "dense": Model(lambda x: NN.relu(x @ DENSE + 0.1), [ROWS], ALL),
        # Dynamic range quantizes weights of 1024 values and more.
        "dense_wide": Model(lambda x: NN.relu(x @ weights(64, 32)), [(2, 64)], ALL),
        "conv_wide": Model(
            lambda x: NN.conv2d(x, weights(3, 3, 16, 12, spread=0.1), 1, "SAME"),
            [(1, 6, 5, 16)],
            ALL,
        ),
        "batch_matmul": Model(tf.matmul, [(2, 5, 7), (2, 7, 6)], INTEGER),
        "batch_matmul_transposed": Model(
            lambda x, y: tf.matmul(x, y, transpose_b=True), [(2, 5, 7), (2, 6, 7)], INTEGER
        ),
        "batch_matmul_constant": Model(lambda x: tf.matmul(x, RIGHT), [(1, 5, 7)], INTEGER),
        "conv_pool_dense": Model(_small_network, [IMAGE], ALL),
        "residual": Model(_residual, [IMAGE], INTEGER),
    }


def _small_network(x: tf.Tensor) -> tf.Tensor:
    y = NN.relu(NN.conv2d(x, KERNEL, 1, "SAME") + BIAS)
    y = NN.avg_pool2d(y, 2, 2, "VALID")
    return NN.softmax(tf.reshape(y, (1, -1)) @ weights(72, 5))


def _residual(x: tf.Tensor) -> tf.Tensor:
    y = NN.relu(NN.conv2d(x, weights(3, 3, 4, 4), 1, "SAME"))
    return NN.relu(x + NN.conv2d(y, weights(1, 1, 4, 4), 1, "SAME"))


def reduce_models() -> dict[str, Model]:
    """Pools, reductions, searches, norms, resizing."""
    made = {
        "max_pool": Model(lambda x: NN.max_pool2d(x, 3, 2, "SAME"), [IMAGE], INTEGER),
        "average_pool": Model(lambda x: NN.avg_pool2d(x, 3, 2, "SAME"), [IMAGE], INTEGER),
        "arg_max": Model(lambda x: tf.argmax(x, 1, tf.int32), [ROWS], ("float32", "int8")),
        "arg_min": Model(lambda x: tf.argmin(x, 1, tf.int32), [ROWS], ("float32", "int8")),
        "softmax": Model(NN.softmax, [ROWS], INTEGER),
        "log_softmax": Model(NN.log_softmax, [ROWS], ("float32", "int8")),
        "l2_normalize": Model(lambda x: NN.l2_normalize(x, 1), [ROWS], ("float32", "int8")),
        "cumsum": Model(lambda x: tf.cumsum(x, 1), [ROWS], ("float32", "int8")),
        "reduce_all": Model(lambda x: tf.reduce_all(x > -1.0, 1), [ROWS]),
        "reduce_any": Model(lambda x: tf.reduce_any(x > 1.0, 1), [ROWS]),
        "resize_bilinear": Model(lambda x: tf.image.resize(x, (11, 9)), [IMAGE], INTEGER),
        "resize_nearest": Model(
            lambda x: tf.image.resize(x, (11, 9), "nearest"), [IMAGE], ("float32", "int8")
        ),
        "resize_align": Model(
            lambda x: tf.compat.v1.image.resize_bilinear(x, (5, 13), align_corners=True), [IMAGE]
        ),
    }
    for name in ("mean", "sum", "max", "min"):
        call = getattr(tf, f"reduce_{name}")
        made[f"reduce_{name}"] = Model(lambda x, call=call: call(x, (1, 2)), [IMAGE], INTEGER)
    return made


def pointwise_models() -> dict[str, Model]:
    """Arithmetic, activations, comparisons, logic."""
    both: list[Sequence[int]] = [IMAGE, IMAGE]
    made = {
        "add": Model(lambda x, y: x + y, both, INTEGER),
        "add_broadcast": Model(lambda x, y: x + y, [IMAGE, (4,)], INTEGER),
        "sub": Model(lambda x, y: x - y, both, INTEGER),
        "mul": Model(lambda x, y: x * y, both, INTEGER),
        "maximum": Model(tf.maximum, both, INTEGER),
        "minimum": Model(tf.minimum, both, INTEGER),
        "squared_difference": Model(tf.math.squared_difference, both, ("float32", "int8")),
        "div": Model(lambda x, y: x / (tf.abs(y) + 1.0), both),
        "floor_div": Model(lambda x, y: x // y, [ROWS, ROWS], FLOAT, ("int32", "int32")),
        "floor_mod": Model(lambda x, y: x % y, [ROWS, ROWS], FLOAT, ("int32", "int32")),
        "prelu": Model(lambda x: NN.relu(x) - ALPHA * NN.relu(-x), [IMAGE], ("float32", "int8")),
        "leaky_relu": Model(lambda x: NN.leaky_relu(x, 0.2), [IMAGE], INTEGER),
        "hard_swish": Model(lambda x: x * NN.relu6(x + 3.0) / 6.0, [IMAGE], ("float32", "int8")),
        "select": Model(lambda x, y: tf.where(x > y, x, y), both, ("float32", "int8")),
        "compare": Model(
            lambda x, y: tf.logical_or(tf.logical_and(x > y, x <= 1.0), tf.logical_not(x >= y)),
            both,
        ),
        "equal": Model(tf.equal, [ROWS, ROWS], FLOAT, ("int32", "int32")),
        "cast": Model(lambda x: tf.cast(tf.cast(x, tf.int32), tf.float32), [ROWS]),
        "cast_int8": Model(lambda x: tf.cast(x, tf.int8), [ROWS]),
        "add_n": Model(lambda x, y: tf.add_n([x, y, x]), both),
    }
    for name in ("abs", "exp", "sin", "cos", "square", "floor", "round", "tanh", "sigmoid"):
        modes = INTEGER if name in ("tanh", "sigmoid") else FLOAT
        made[name] = Model(getattr(tf, name), [ROWS], modes)
    made |= {
        "elu": Model(NN.elu, [ROWS], ("float32", "int8")),
        "ceil": Model(tf.math.ceil, [ROWS]),
        "neg": Model(tf.negative, [ROWS]),
        "sqrt_log": Model(lambda x: tf.math.log(tf.sqrt(tf.abs(x) + 0.5)), [ROWS]),
        "rsqrt": Model(lambda x: tf.math.rsqrt(tf.abs(x) + 0.5), [ROWS], ("float32", "int8")),
        "clip": Model(lambda x: tf.clip_by_value(x, -0.5, 1.5), [ROWS], ("float32", "int8")),
    }
    return made


def move_models() -> dict[str, Model]:
    """Slices, gathers, joins, turns."""
    eight = ("float32", "int8")
    return {
        "strided_slice": Model(lambda x: x[:, 1:7:2, ::-1, 1:], [IMAGE], INTEGER),
        "slice_shrink": Model(lambda x: x[:, 2, :, tf.newaxis], [IMAGE], INTEGER),
        "split": Model(lambda x: tf.split(x, 2, 3)[::-1], [IMAGE], INTEGER),
        "split_v": Model(lambda x: tf.split(x, [1, 3], 3), [IMAGE], eight),
        "unstack_stack": Model(lambda x: tf.stack(tf.unstack(x, axis=1)[::2], 2), [IMAGE], eight),
        "gather": Model(lambda x: tf.gather(x, [3, 0, 1, 1], axis=3), [IMAGE], eight),
        "gather_nd": Model(lambda x: tf.gather_nd(x, [[0, 1], [0, 5]]), [IMAGE], eight),
        "embedding": Model(lambda x: tf.gather(TABLE, x), [(1, 6)], FLOAT, ("int32",)),
        "concat": Model(lambda x, y: tf.concat([x, y], 3), [IMAGE, (1, 8, 7, 2)], INTEGER),
        "transpose": Model(lambda x: tf.transpose(x, (0, 3, 1, 2)), [IMAGE], INTEGER),
        "pad": Model(lambda x: tf.pad(x, [(0, 0), (1, 2), (0, 1), (0, 0)]), [IMAGE], INTEGER),
        "pad_value": Model(
            lambda x: tf.pad(x, [(0, 0), (1, 2), (0, 1), (0, 0)], constant_values=1.5),
            [IMAGE],
            eight,
        ),
        "mirror_pad": Model(
            lambda x: tf.pad(x, [(0, 0), (1, 2), (0, 1), (0, 0)], "REFLECT"), [IMAGE], eight
        ),
        "space_to_depth": Model(lambda x: NN.space_to_depth(x, 2), [(1, 8, 6, 4)], eight),
        "depth_to_space": Model(lambda x: NN.depth_to_space(x, 2), [IMAGE], eight),
        "space_to_batch": Model(
            lambda x: tf.space_to_batch(x, [2, 2], [[0, 0], [0, 1]]), [IMAGE], eight
        ),
        "batch_to_space": Model(
            lambda x: tf.batch_to_space(x, [2, 2], [[0, 0], [0, 1]]), [(4, 3, 3, 2)], eight
        ),
        "tile": Model(lambda x: tf.tile(x, (2, 3)), [ROWS]),
        "broadcast_to": Model(lambda x: tf.broadcast_to(x, (4, 3, 10)), [ROWS]),
        "reverse": Model(lambda x: tf.reverse(x, [1]), [ROWS]),
        "expand_squeeze": Model(lambda x: tf.squeeze(tf.expand_dims(x, 0), 0) + 1.0, [ROWS]),
        "fill": Model(lambda x: tf.fill((3, 10), 2.0) + x, [ROWS]),
        "zeros_like": Model(lambda x: tf.zeros_like(x) - x, [ROWS]),
        "update_slice": Model(
            lambda x, y: tf.raw_ops.XlaDynamicUpdateSlice(
                input=x, update=y, indices=tf.constant([1, 2])
            ),
            [ROWS, (1, 3)],
        ),
    }


def _grow(x: tf.Tensor) -> tf.Tensor:
    """A loop whose number of rounds depends on the data."""
    return tf.while_loop(
        lambda v, i: tf.logical_and(i < 6, tf.reduce_sum(v) < 40.0),
        lambda v, i: (v * 1.5 + 1.0, i + 1),
        (x, tf.constant(0)),
    )[0]


def control_models() -> dict[str, Model]:
    """Branches and loops."""
    return {
        "if": Model(
            lambda x: tf.cond(tf.reduce_sum(x) > 0.0, lambda: x * 2.0, lambda: x - 1.0), [ROWS]
        ),
        "while": Model(_grow, [ROWS]),
    }


class Counter(tf.Module):
    """Remembers its last inputs: variables of the converter."""

    def __init__(self) -> None:
        """Memory of four values, which do not start at zero."""
        super().__init__()
        self.memory = tf.Variable(tf.ones((1, 4)))

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32)])
    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """The running sum."""
        self.memory.assign(0.5 * self.memory + x)
        return tf.identity(self.memory.read_value())


def keras_models() -> dict[str, tuple[Any, Sequence[str]]]:
    """Recurrent layers."""
    made = {}
    for name, layer, modes in (
        ("lstm", keras.layers.LSTM(6, return_sequences=True), INTEGER),
        ("lstm_last", keras.layers.LSTM(5), FLOAT),
        ("gru", keras.layers.GRU(6, unroll=True), ("float32", "int8")),
        ("rnn", keras.layers.SimpleRNN(6, unroll=True), ("float32", "int8")),
        ("gru_loop", keras.layers.GRU(6), FLOAT),
        ("conv1d", keras.layers.Conv1D(4, 3, padding="same", activation="relu"), ALL),
        ("separable", keras.layers.SeparableConv1D(4, 3), ("float32", "int8")),
    ):
        keras.utils.set_random_seed(1)
        x = keras.Input(batch_shape=(1, 7, 5))
        made[name] = (keras.Model(x, layer(x)), modes)
    return made


def configure(converter: Any, mode: str, shapes: Sequence[tf.TensorSpec]) -> bytes:
    """Convert in one mode."""
    if mode != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if mode in ("int8", "int16x8"):
        rng = np.random.default_rng(0)

        def samples() -> Iterator[list[np.ndarray]]:
            for _ in range(SAMPLES):
                yield [rng.normal(0, 1, s.shape).astype(np.float32) for s in shapes]

        kinds = tf.lite.OpsSet
        wide = kinds.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [
            kinds.TFLITE_BUILTINS_INT8 if mode == "int8" else wide
        ]
        kind = tf.int8 if mode == "int8" else tf.int16
        converter.inference_input_type = converter.inference_output_type = kind
    made: bytes = converter.convert()
    return made


def conversions() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """(file stem, how to convert) of every model and mode."""
    families = (matrix_models, reduce_models, pointwise_models, move_models, control_models)
    for name, model in [pair for family in families for pair in family().items()]:
        for mode in model.modes:

            def convert(model: Model = model, mode: str = mode) -> bytes:
                concrete = tf.function(model.call, input_signature=model.specs())
                found = [concrete.get_concrete_function()]
                converter = tf.lite.TFLiteConverter.from_concrete_functions(found)
                return configure(converter, mode, model.specs())

            yield f"{name}_{mode}", convert
    for name, (network, modes) in keras_models().items():
        for mode in modes:

            def convert_keras(network: Any = network, mode: str = mode) -> bytes:
                converter = tf.lite.TFLiteConverter.from_keras_model(network)
                return configure(converter, mode, [tf.TensorSpec((1, 7, 5))])

            yield f"{name}_{mode}", convert_keras

    def convert_counter() -> bytes:
        counter = Counter()
        found = [counter.__call__.get_concrete_function()]
        converter = tf.lite.TFLiteConverter.from_concrete_functions(found, counter)
        converter.experimental_enable_resource_variables = True
        return configure(converter, "float32", [])

    yield "variable_float32", convert_counter


def main() -> None:
    """Convert every model into the folder given; those that the converter refuses are named."""
    parser = argparse.ArgumentParser(description="Write .tflite files with TensorFlow's converter")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    refused = written = 0
    for stem, convert in conversions():
        try:
            model = convert()
        except Exception as error:  # the converter raises anything
            refused += 1
            print(f"{stem}: refused by the converter: {str(error).splitlines()[0][:120]}")
            continue
        (folder / f"{stem}.tflite").write_bytes(model)
        written += 1
    print(f"{written} files in {folder}, {refused} refused by the converter")


if __name__ == "__main__":
    main()
