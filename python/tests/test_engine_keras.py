# SPDX-License-Identifier: Apache-2.0
"""The engine under Keras's convolutions, on the backend that KERAS_BACKEND names; and as TensorFlow's operators."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")
pytest.importorskip(keras.config.backend())
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from keras import ops  # noqa: E402

from tareconv._engine import keras_conv  # noqa: E402

BACKEND = keras.config.backend()


def near(a, b, tolerance=3e-5):
    a, b = ops.convert_to_numpy(a), ops.convert_to_numpy(b)
    assert a.shape == b.shape
    assert np.abs(a - b).max() <= tolerance * (np.abs(b).max() + 1e-3)


def used(monkeypatch):
    """How often the engine was taken from here on."""
    counts, run = [], keras_conv._BACKENDS[BACKEND]

    def counted(*arguments):
        y = run(*arguments)
        counts.append(y is not None)
        return y

    monkeypatch.setitem(keras_conv._BACKENDS, BACKEND, counted)
    return counts


@settings(max_examples=10)
@given(st.integers(1, 2), st.integers(1, 2), st.sampled_from(["same", "valid"]), st.sampled_from([(1, 1), (2, 1), (1, 2)]), st.integers(2, 4),
       st.booleans(), st.booleans(), st.integers(0, 99))
def test_as_keras_does_it(axes, groups, padding, steps, taps, depthwise, biased, seed):
    draw, (stride, dilation) = np.random.default_rng(seed), steps
    x = draw.standard_normal((2, *(9, 10)[:axes], 2 * groups)).astype(np.float32)
    kernel = draw.standard_normal((*(taps, 3)[:axes], 2 * groups if depthwise else 2, 3 * (1 if depthwise else groups))).astype(np.float32)
    plain, engine = (ops.depthwise_conv, keras_conv.depthwise_conv) if depthwise else (ops.conv, keras_conv.conv)
    arguments = ops.convert_to_tensor(x), ops.convert_to_tensor(kernel), stride, padding, "channels_last", dilation
    bias = draw.standard_normal(kernel.shape[-1] * (kernel.shape[-2] if depthwise else 1)).astype(np.float32) * biased
    ours = engine(*arguments, engine="tare", bias=ops.convert_to_tensor(bias) if biased else None)
    if BACKEND == "tensorflow" and groups > 1 and not depthwise:  # its own has no groups on the CPU
        parts = [plain(x[..., 2 * i:2 * i + 2], kernel[..., 3 * i:3 * i + 3], *arguments[2:]) for i in range(groups)]
        near(ours, ops.concatenate(parts, -1) + bias)
    else:
        near(ours, plain(*arguments) + bias)


def test_what_is_not_for_the_engine_is_kerass(monkeypatch):
    counts = used(monkeypatch)
    for x, kernel, engine in (((1, 8, 8, 2), (3, 3, 2, 2), "framework"), ((1, 6, 6, 6, 1), (3, 3, 3, 1, 1), "auto")):
        keras_conv.conv(ops.ones(x), ops.ones(kernel), 1, "valid", "channels_last", 1, engine)
    keras_conv.conv(ops.ones((1, 8, 8, 1), "bfloat16"), ops.ones((3, 3, 1, 1), "bfloat16"), 1, "same", "channels_last", 1, "auto")
    assert not counts
    with pytest.raises(ValueError, match="engine: expected"):
        keras_conv.conv(ops.ones((1, 8, 8, 1)), ops.ones((3, 3, 1, 1)), 1, "same", "channels_last", 1, "fast")


def test_a_kernel_is_not_cut_down_to_integers_for_images_of_integers():
    """The framework's own result, or its own refusal of two types."""
    arguments = ops.cast(ops.ones((1, 6, 6, 1)) * 200, "uint8"), ops.ones((3, 3, 1, 1)) / 9, 1, "valid", "channels_last", 1
    try:
        expected = ops.depthwise_conv(*arguments)
    except Exception as refusal:
        with pytest.raises(type(refusal)):
            keras_conv.depthwise_conv(*arguments, "auto")
    else:
        near(keras_conv.depthwise_conv(*arguments, "auto"), expected)


class Large(keras.layers.DepthwiseConv2D):
    """What a layer does to use it."""

    def build(self, shape):
        super().build(shape)
        self.supports_jit = self.supports_jit and not keras_conv.leaves_xla(self.kernel_size, "auto")

    def call(self, inputs):
        return keras_conv.depthwise_conv(inputs, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate)


def test_a_model_trains_with_it_and_learns_what_kerass_own_does(monkeypatch):
    counts = used(monkeypatch)
    x = np.random.default_rng(0).standard_normal((24, 24, 24, 8)).astype(np.float32)
    losses = []
    for layer in (Large, keras.layers.DepthwiseConv2D):
        keras.utils.set_random_seed(0)
        filters = [layer(21, padding="same", use_bias=False) for _ in range(2)]
        model = keras.Sequential([keras.Input((24, 24, 8)), *filters, keras.layers.GlobalAveragePooling2D()])
        model.compile("sgd", "mse")
        losses.append(model.fit(x, np.ones((24, 8)), batch_size=10, epochs=2, verbose=0).history["loss"])  # the last batch is smaller
    assert any(counts)
    np.testing.assert_allclose(*losses, rtol=1e-4)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow's operators")
class TestTensorFlow:
    @staticmethod
    def functions():
        import tensorflow as tf

        from tareconv._engine import tf_op
        from tareconv._engine.problem import Geometry

        g = Geometry(None, 4, (9, None), 6, (3, 5), (1, 2), (1, 2), (1, 1))
        ours = lambda x, k, b: tf_op.convolve(g, "nhwc", x, tf.transpose(k, (3, 2, 0, 1)), b)  # noqa: E731
        theirs = lambda x, k, b: tf.nn.conv2d(tf.pad(x, [[0, 0], [1, 1], [2, 2], [0, 0]]), k, 1, "VALID")[:, :, ::2] + b  # noqa: E731
        draw = np.random.default_rng(0)
        return tf, ours, theirs, [tf.constant(draw.standard_normal(s), tf.float32) for s in ((2, 9, 11, 4), (3, 5, 4, 6), (6,))]

    def test_gradients_in_eager_mode_and_in_graphs_of_unknown_sizes(self):
        tf, ours, theirs, arrays = self.functions()

        def gradients(f, *arrays):
            with tf.GradientTape() as tape:
                tape.watch(arrays)
                y = tf.reduce_sum(f(*arrays) ** 2)
            return tape.gradient(y, arrays)

        shapes = [tf.TensorSpec((None, 9, None, 4)), tf.TensorSpec((3, 5, 4, 6)), tf.TensorSpec((6,))]
        graph = tf.function(lambda *arrays: gradients(ours, *arrays), input_signature=shapes, autograph=False)
        for found in (gradients(ours, *arrays), graph(*arrays)):
            for a, b in zip(found, gradients(theirs, *arrays)):
                near(a, b)

        def second(f):
            with tf.GradientTape() as tape:
                tape.watch(arrays)
                total = sum(tf.reduce_sum(g**2) for g in gradients(f, *arrays))
            return tape.gradient(total, arrays)

        for a, b in zip(second(ours), second(theirs)):
            near(a, b, 1e-4)

    def test_known_shapes(self):
        tf, ours, _, _ = self.functions()
        shape = tf.function(ours).get_concrete_function(tf.TensorSpec((None, 9, None, 4)), tf.TensorSpec((3, 5, 4, 6)), tf.TensorSpec((6,))).output_shapes
        assert shape.as_list() == [None, 9, None, 6]

    def test_wrong_arrays(self):
        tf, ours, _, (x, k, b) = self.functions()
        with pytest.raises(tf.errors.InvalidArgumentError, match="images and weights with the sizes of the problem"):
            ours(x[..., :3], k, b)
        with pytest.raises(tf.errors.InvalidArgumentError, match="a bias for each output"):
            ours(x, k, b[:5])

    @pytest.mark.parametrize("watched, passes", [([], 1), ([0], 3), ([1], 5), ([2], 1), ([0, 1], 7)])
    def test_forward_prepares_for_the_gradients_that_a_tape_wants(self, watched, passes):
        tf, ours, theirs, arrays = self.functions()
        taken = []

        def gradients(f, *arrays):
            with tf.GradientTape() as tape:
                tape.watch([arrays[i] for i in watched])
                y = f(*arrays)
            taken.extend(op.get_attr("passes") for op in y.graph.get_operations() if op.type == "TareconvConv") if f is ours else None
            return tape.gradient(y, [arrays[i] for i in watched])

        for a, b in zip(tf.function(lambda *a: gradients(ours, *a), autograph=False)(*arrays), gradients(theirs, *arrays)):
            near(a, b)
        assert taken == [passes]

    @pytest.mark.parametrize("gpus", [0, 1])
    def test_on_a_gpu_a_step_is_tensorflows_own_operations(self, monkeypatch, gpus):
        import tensorflow as tf

        import tareconv.keras as tk

        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: ["GPU:0"] * gpus)
        layers = [tk.Conv2D(2, 15, kernel_constraint="sum=0"), tk.DepthwiseConv2D(9, kernel_constraint="bayar")]
        model = keras.Sequential([keras.Input((32, 32, 1)), *layers, keras.layers.GlobalAveragePooling2D()])

        def step(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(model(x, training=True) ** 2)
            return tape.gradient(loss, model.trainable_variables)

        graph = tf.function(step, autograph=False).get_concrete_function(tf.TensorSpec((2, 32, 32, 1))).graph.as_graph_def()
        kinds = {node.op for part in (graph, *graph.library.function) for node in (part.node if part is graph else part.node_def)}
        assert not kinds & {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
        assert ("TareconvConv" in kinds) == (gpus == 0) and (not gpus or {"Conv2D", "DepthwiseConv2dNative"} <= kinds)

    def test_small_kernels_keep_xla(self):
        assert not keras_conv.leaves_xla((3, 3), "auto") and keras_conv.leaves_xla((7, 7), "auto") and keras_conv.leaves_xla((3, 3), "tare")
        assert not keras_conv.leaves_xla((31, 31), "framework")
