# SPDX-License-Identifier: Apache-2.0
"""tareconv.keras on the backend that KERAS_BACKEND names (JAX unless set)."""

import os
import warnings

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import pytest

keras = pytest.importorskip("keras")
from keras import ops  # noqa: E402

import tareconv  # noqa: E402
import tareconv.keras as tk  # noqa: E402
from tareconv._operations import NumPy  # noqa: E402

BACKEND = keras.config.backend()
JIT = BACKEND == "jax"  # what is quick to compile in small tests
LAYERS = {  # name: (arguments, input shape)
    "Conv1D": (dict(filters=4, kernel_size=5, padding="causal"), (20, 2)),
    "Conv2D": (dict(filters=4, kernel_size=5, strides=2, groups=1), (14, 14, 2)),
    "Conv3D": (dict(filters=3, kernel_size=3), (6, 6, 6, 2)),
    "DepthwiseConv1D": (dict(kernel_size=5, depth_multiplier=2), (20, 3)),
    "DepthwiseConv2D": (dict(kernel_size=5, padding="same"), (14, 14, 3)),
    "SeparableConv1D": (dict(filters=4, kernel_size=5), (20, 3)),
    "SeparableConv2D": (dict(filters=4, kernel_size=5), (14, 14, 3)),
    "Conv1DTranspose": (dict(filters=4, kernel_size=5, strides=2), (10, 2)),
    "Conv2DTranspose": (dict(filters=4, kernel_size=5, strides=2, padding="same"), (7, 7, 2)),
    "Conv3DTranspose": (dict(filters=3, kernel_size=3), (4, 4, 4, 2)),
}


def numpy(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def residual(layer):
    """The exact residual of the kernel as the layer uses it."""
    kernel = numpy(layer.kernel)
    return tareconv.residual(layer._kind.layout.columns(NumPy(), kernel, layer.constraint).T, layer.constraint)


def images(count=64, size=20, channels=1, scale=1.0, offset=0.0, seed=0):
    """Smooth images, each at its own brightness."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, size, size, channels)).cumsum(1).cumsum(2)
    x = x / x.std() + rng.normal(size=(count, 1, 1, 1))
    return (x * scale + offset).astype(np.float32)


def classifier(*first, norm=True, **compile_options):
    keras.utils.set_random_seed(1)
    rest = ([keras.layers.BatchNormalization()] if norm else []) + [keras.layers.ReLU(), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    model = keras.Sequential([*first, *rest])
    options = dict(optimizer=keras.optimizers.Adam(1e-2), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.compile(**{**options, **compile_options})
    return model


def labels(x):
    return (np.abs(np.diff(x, axis=1)).mean((1, 2, 3)) > 0.2).astype(np.int32)


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer_starts_trains_saves_and_loads(name, tmp_path):
    arguments, shape = LAYERS[name]
    layer = getattr(tk, name)(**arguments, kernel_constraint="sum=0")
    model = keras.Sequential([keras.Input(shape), layer, keras.layers.Flatten(), keras.layers.Dense(1)])
    assert residual(layer) == 0
    x = np.random.default_rng(0).normal(size=(8, *shape)).astype(np.float32)
    plain = getattr(keras.layers, name)(**arguments)
    plain.build((None, *shape))
    assert layer.compute_output_shape((8, *shape)) == plain.compute_output_shape((8, *shape))
    assert tuple(layer.kernel.shape) == tuple((plain.depthwise_kernel if "Separable" in name else plain.kernel).shape)
    model.compile("adam", "mse", jit_compile=JIT)
    before = numpy(layer.kernel)
    model.fit(x, np.arange(8.0), epochs=1, batch_size=4, verbose=0)
    assert residual(layer) == 0 and np.abs(numpy(layer.kernel) - before).max() > 1e-4
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(again.layers[0].kernel), numpy(layer.kernel))
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("rule", ["sum=0", "sum=1", "bayar", "symmetric; sum=0", "sum=0@filter", "sum=1/2"])
@pytest.mark.parametrize("optimizer", [lambda: keras.optimizers.Adam(1e-2), lambda: keras.optimizers.SGD(1e-2, momentum=0.9, weight_decay=1e-2)])
def test_the_rule_holds_after_every_step(rule, optimizer):
    x = images(40, channels=2)
    layer = tk.Conv2D(4, 5, kernel_constraint=rule)
    model = classifier(layer, optimizer=optimizer(), jit_compile=JIT)
    for first in range(0, 40, 8):
        before = numpy(layer._t) if layer.built else 0
        model.train_on_batch(x[first:first + 8], labels(x[first:first + 8]))
        found = residual(layer)
        assert found == 0 and found.exact_units == found.units and not np.array_equal(numpy(layer._t), before)


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("scale, offset", [(0.2, 0.5), (50.0, 128.0), (1.0, 0.0)])
def test_the_first_batch_sets_a_response_of_variance_one(scale, offset, norm):
    x = images(64, scale=scale, offset=offset)
    layer = tk.Conv2D(8, 7, kernel_constraint="sum=0")
    model = classifier(layer, norm=norm, optimizer=keras.optimizers.SGD(0.0))
    model.fit(x, labels(x), batch_size=64, epochs=1, verbose=0)
    assert np.var(numpy(layer(x))) == pytest.approx(1, abs=0.1)
    scale_found = float(ops.convert_to_numpy(layer._scale))
    model.fit(3 * x, labels(x), batch_size=64, epochs=1, verbose=0)
    assert float(ops.convert_to_numpy(layer._scale)) == scale_found
    other = tk.Conv2D(8, 7, kernel_constraint="sum=0")
    other.adapt(x)
    assert np.var(numpy(other(x))) == pytest.approx(1, abs=0.1)
    assert residual(layer) == 0 and residual(other) == 0


def test_adapt_scales_coefficients_of_other_bases_and_measures_for_whitened():
    x = images(64, scale=50)
    for basis in ("pivot", "orthonormal", "whitened", "whitened-full"):
        layer = tk.Conv2D(8, 5, kernel_constraint="sum=0", basis=basis)
        layer.adapt([(x[:32], "labels"), (x[32:], "labels")])
        assert np.var(numpy(layer(x))) == pytest.approx(1, abs=0.1)
        again = tk.Conv2D.from_config(layer.get_config())
        again.build(x.shape)
        again._t.assign(layer._t)
        np.testing.assert_allclose(numpy(again.kernel), numpy(layer.kernel), rtol=1e-4, atol=1e-5 * np.abs(numpy(layer.kernel)).max())
    with pytest.raises(ValueError, match="adapt"):
        tk.Conv2D(8, 5, kernel_constraint="sum=0", basis="whitened")(x)


def test_a_constant_image_gives_exactly_the_bias_under_bfloat16():
    layer = tk.DepthwiseConv2D(7, kernel_constraint="sum=0", dtype="mixed_bfloat16")
    layer.build((None, 16, 16, 4))
    assert layer.kernel.dtype == ops.zeros((), "bfloat16").dtype and residual(layer) == 0
    for value in (1, 3, 100, 255):
        assert not numpy(layer(np.full((1, 16, 16, 4), value, np.float32))).any()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_through_exact_kernels(policy):
    x = images(64)
    layer = tk.Conv2D(4, 7, kernel_constraint="sum=0", dtype=policy)
    model = classifier(keras.Input((20, 20, 1)), layer, jit_compile=JIT)
    before = numpy(layer._t)
    model.fit(x, labels(x), batch_size=32, epochs=2, verbose=0)
    assert residual(layer) == 0 and np.abs(numpy(layer._t) - before).max() > 1e-3 and layer._t.dtype == "float32"
    released = tk.release(model)
    kernel = released.layers[0].kernel
    cast = numpy(ops.cast(kernel, policy.removeprefix("mixed_")))
    np.testing.assert_array_equal(cast, numpy(kernel))
    assert tareconv.residual(cast.reshape(49, -1).T, layer.constraint) == 0


def test_gradient_is_that_of_the_composed_kernel():
    """Against the gradient for t that C's transpose gives of the plain layer's gradient."""
    x = images(4)
    layer, plain = tk.Conv2D(3, 5, kernel_constraint="bayar", input_scale=2.0), keras.layers.Conv2D(3, 5)
    layer.build(x.shape), plain.build(x.shape)
    plain.set_weights([numpy(layer.kernel), np.zeros(3)])
    weights = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype(np.float32))

    def gradient(of, variable):
        if BACKEND == "jax":
            import jax
            return jax.grad(lambda v: ops.sum(of.stateless_call([v] + [w.value for w in of.trainable_variables[1:]],
                                                                [w.value for w in of.non_trainable_variables], x)[0] * weights))(variable.value)
        if BACKEND == "tensorflow":
            import tensorflow as tf
            with tf.GradientTape() as tape:
                loss = ops.sum(of(x) * weights)
            return tape.gradient(loss, variable.value)
        of.zero_grad()
        ops.sum(of(x) * weights).backward()
        return variable.value.grad

    full = numpy(gradient(plain, plain.kernel)).reshape(25, 3)
    np.testing.assert_allclose(numpy(gradient(layer, layer._t)), 2 * layer.basis.transpose(full.T.astype(np.float64)).T.reshape(-1, 1, 3), rtol=2e-3, atol=2e-2)


def in_a_graph(function):
    """As a compiled model runs it."""
    if BACKEND == "tensorflow":
        import tensorflow

        return tensorflow.function(function)
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    return function


@pytest.mark.parametrize("rule", ["sum=1", "sum=1/2", "bayar", "sum=0"])
@pytest.mark.parametrize("size", [3, 5, 7, 11])
def test_the_rule_holds_in_a_graph(rule, size):
    """Compilers rewrite arithmetic: 64 units, so that vectors of it are at work; fresh, and as loaded."""
    layer = tk.Conv2D(64, size, kernel_constraint=rule, input_scale=1.0)
    layer.build((None, 16, 16, 1))
    for _ in range(2):
        kernel = numpy(in_a_graph(lambda: layer.kernel)())
        columns = layer._kind.layout.columns(NumPy(), kernel, layer.constraint)
        assert tareconv.residual(columns.T, layer.constraint) == 0
        layer.set_kernel(kernel)
        np.testing.assert_array_equal(numpy(layer.kernel), kernel)
    np.testing.assert_array_equal(numpy(in_a_graph(lambda: layer.kernel)()), kernel)


def test_weight_files_go_both_ways(tmp_path):
    x = images(8)
    ours, plain = classifier(keras.Input((20, 20, 1)), tk.Conv2D(4, 5, kernel_constraint="sum=0"), keras.layers.Conv2D(3, 3)), \
        classifier(keras.Input((20, 20, 1)), keras.layers.Conv2D(4, 5), keras.layers.Conv2D(3, 3))
    ours.save_weights(tmp_path / "ours.weights.h5")
    plain.load_weights(tmp_path / "ours.weights.h5")
    np.testing.assert_allclose(plain.predict(x, verbose=0), ours.predict(x, verbose=0), rtol=1e-5, atol=1e-5)
    assert tareconv.residual(numpy(plain.layers[0].kernel).reshape(25, -1).T, ours.layers[0].constraint) == 0
    plain.layers[0].kernel.assign(plain.layers[0].kernel + 0.25)
    plain.save_weights(tmp_path / "plain.weights.h5")
    before = numpy(ours.layers[0].kernel)
    with pytest.warns(UserWarning, match="does not obey 'sum=0'.*0.25"):
        ours.load_weights(tmp_path / "plain.weights.h5")
    np.testing.assert_allclose(numpy(ours.layers[0].kernel), before, atol=1e-5)
    assert residual(ours.layers[0]) == 0


def test_release_and_constrain():
    x = images(32)
    layer = tk.Conv2D(4, 7, kernel_constraint="sum=0", name="first")
    model = classifier(keras.Input((20, 20, 1)), layer, keras.layers.Conv2D(3, 3, name="second"))
    model.fit(x, labels(x), verbose=0)
    plain = tk.release(model)
    assert type(plain.layers[0]) is keras.layers.Conv2D and "tareconv" not in plain.to_json()
    np.testing.assert_allclose(plain.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        back = tk.constrain(plain, "sum=0", "first")
    np.testing.assert_array_equal(numpy(back.layers[0].kernel), numpy(layer.kernel))
    with pytest.warns(UserWarning, match="nearest one that does"):
        both = tk.constrain(plain, "order=1", ["first", "second"], basis="pivot")
    assert both.layers[1].rule == "order=1" and both.layers[0].basis.name == "pivot"
    both.fit(x, labels(x), verbose=0)
    with pytest.raises(ValueError, match="here: first, second"):
        tk.constrain(plain, "sum=0", "third")
    with pytest.raises(ValueError, match="found none"):
        tk.release(plain)


@pytest.mark.parametrize("rule", ["order=2", "moment(1,0)=0"])
def test_rules_that_need_a_lattice_are_exact_in_files(tmp_path, rule):
    layer = tk.Conv2D(4, 7, kernel_constraint=rule)
    model = classifier(keras.Input((20, 20, 1)), layer)
    model.fit(images(8), np.zeros(8), verbose=0)
    a, _ = layer.constraint.matrix()
    kernel = numpy(layer.kernel).reshape(49, -1)
    assert np.abs(a @ kernel).max() < 1e-4 * np.abs(kernel).max() and (rule != "order=2" or residual(layer) == 0)
    plain = tk.release(model).layers[0]
    assert tareconv.residual(numpy(plain.kernel).reshape(49, -1).T, layer.constraint) == 0


@pytest.mark.parametrize("make, shape", [(lambda e: tk.Conv2D(4, 7, kernel_constraint="sum=0", padding="same", input_scale=1.0, engine=e), (2, 16, 16, 3)),
                                         (lambda e: tk.DepthwiseConv2D(9, kernel_constraint="sum=0", input_scale=1.0, engine=e), (2, 16, 16, 3)),
                                         (lambda e: tk.Conv1D(4, 7, padding="causal", kernel_constraint="sum=0", activation="relu", engine=e), (2, 30, 3))])
def test_the_engine_computes_what_the_framework_does(make, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    ours, theirs = make("tare"), make("framework")
    ours.build(shape), theirs.build(shape)
    theirs.set_weights([value + 0.1 * (value.ndim == 1) for value in ours.get_weights()])
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(numpy(ours(x)), numpy(theirs(x)), rtol=1e-4, atol=1e-4 * np.abs(numpy(theirs(x))).max())


def test_clone_config_and_compiled_steps():
    x = images(32)
    model = classifier(keras.Input((20, 20, 1)),
                       tk.Conv2D(4, 7, kernel_constraint="sum=0", basis="spectral(0.5)", kernel_regularizer="l2", engine="framework"))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(x, verbose=0), model.predict(x, verbose=0))
    assert clone.layers[0].basis.name == "spectral(0.5)" and keras.layers.deserialize(keras.layers.serialize(model.layers[0])).rule == "sum=0"
    if BACKEND != "torch":
        model.compile("adam", "sparse_categorical_crossentropy", jit_compile=True)
        model.fit(x, labels(x), verbose=0)
        assert residual(model.layers[0]) == 0


def test_regulariser_and_initialiser_see_the_kernel():
    layer = tk.Conv2D(4, 5, kernel_constraint="sum=1", kernel_regularizer=keras.regularizers.L2(0.5), kernel_initializer=keras.initializers.Constant(3.0))
    with pytest.warns(UserWarning, match="nearest"):
        layer.build((None, 9, 9, 2))
    np.testing.assert_allclose(numpy(layer.kernel), np.full((5, 5, 2, 4), 1 / 25), rtol=1e-4)
    assert residual(layer) == 0
    assert float(numpy(layer.losses[0])) == pytest.approx(0.5 * 8 / 25, rel=1e-3)


def test_projection_constraint_initialiser_and_penalty():
    linear = tk.constraints.Linear("sum=0")
    x = images(16)
    layer = keras.layers.Conv2D(4, 5, kernel_constraint=linear, kernel_initializer=linear.initializer("he_normal"), kernel_regularizer=tk.regularizers.Linear("sum=1", 2.0))
    model = classifier(keras.Input((20, 20, 1)), layer, jit_compile=JIT)
    rule = tareconv.Constraint("sum=0", (5, 5))
    for _ in range(2):
        assert tareconv.residual(numpy(layer.kernel).reshape(25, -1).T, rule) == 0
        assert float(numpy(layer.losses[0])) == pytest.approx(8, rel=1e-5)
        model.fit(x, labels(x), verbose=0)
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.kernel_constraint.rule == "sum=0" and again.kernel_initializer.rule == "sum=0" and again.kernel_regularizer.strength == 2


@pytest.mark.parametrize("make, message", [
    (lambda: tk.Conv2D(4, 4, kernel_constraint="bayar"), "centre tap"),
    (lambda: tk.Conv2D(4, 7, kernel_constraint="sum=x"), "column 5"),
    (lambda: tk.Conv2D(4, 7, kernel_constraint="max_norm"), "column 1"),
    (lambda: tk.Conv2D(4, 7, kernel_constraint=keras.constraints.MaxNorm(1)), "Keras's own constraints"),
    (lambda: tk.Conv2D(4, 7, kernel_constraint=tareconv.Constraint("sum=0", (5, 5))), r"kernel of \(7, 7\)"),
    (lambda: tk.Conv2D(4, 7, kernel_constraint="sum=0", basis="fourier"), "unknown basis"),
    (lambda: tk.Conv2D(4, 7, kernel_constraint="sum=0", lora_rank=2), "low-rank"),
    (lambda: tk.DepthwiseConv2D(4, depthwise_constraint="bayar"), "centre tap"),
    (lambda: tk.Conv2D(4, 7, engine="gpu"), "engine"),
    (lambda: tk.Conv2D(4, 7).adapt([]), "at least one image"),
    (lambda: tk.constraints.Linear("sum=0", kind="dense"), "conv, depthwise, transposed"),
])
def test_wrong_use_is_a_value_error_with_a_reason(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_loading_the_wrong_shape_is_refused(tmp_path):
    layer = tk.Conv2D(4, 5, kernel_constraint="sum=0")
    layer.build((None, 9, 9, 2))
    with pytest.raises(ValueError, match=r"expected a kernel of shape \(5, 5, 2, 4\), found \(5, 5, 1, 4\)"):
        layer.set_kernel(np.zeros((5, 5, 1, 4)))
    with pytest.raises(ValueError, match="expected 2 variables"):
        layer.load_own_variables({"0": np.zeros((5, 5, 2, 4))})
    with pytest.raises(ValueError, match="LoRA"):
        layer.enable_lora(2)
