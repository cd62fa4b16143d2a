# SPDX-License-Identifier: Apache-2.0
"""python -m tareconv check, on files of each format; those that need a framework to be written are skipped where it is not installed."""

import json
import os
import pathlib
import struct

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tareconv
from tareconv import Constraint, _check
from tareconv._files import BadFile, read

RULE = Constraint("sum=0", (5, 5), 2)


def weights(shape=(3, 2, 5, 5), name="fp32"):
    w = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return tareconv.round(w - w.mean((-1, -2), keepdims=True), Constraint("sum=0", shape[2:], shape[1]), name)


def checked(capsys, path, *options):
    status = _check.main([str(path), "--json", *options])
    out = capsys.readouterr()
    return status, [json.loads(line) for line in out.out.splitlines()], out.err


def safetensors(path, tensors, metadata=None):
    kinds, header, data = {"float32": "F32", "int8": "I8", "float16": "F16"}, {}, b""
    for name, value in tensors.items():
        header[name] = {"dtype": kinds[str(value.dtype)], "shape": value.shape, "data_offsets": [len(data), len(data) + value.nbytes]}
        data += value.tobytes()
    text = json.dumps({**header, **({"__metadata__": metadata} if metadata else {})}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def field(number, value):
    """One field of a protocol buffer."""
    def varint(n):
        out = b""
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])
    return varint(number << 3) + varint(value) if isinstance(value, int) else varint(number << 3 | 2) + varint(len(value)) + value


def onnx(path, kernel, kind="Conv", scale=None):
    def tensor(name, value, code):
        return field(5, b"".join(field(1, n) for n in value.shape) + field(2, code) + field(8, name) + field(9, value.tobytes()))
    graph = tensor(b"w", kernel, 1 if kernel.dtype == np.float32 else 3)
    source = b"w"
    if scale is not None:
        graph += tensor(b"s", scale, 1) + field(1, field(1, b"w") + field(1, b"s") + field(2, b"d") + field(4, b"DequantizeLinear"))
        source = b"d"
    graph += field(1, field(1, b"x") + field(1, source) + field(2, b"y") + field(4, kind.encode()))
    path.write_bytes(field(1, 8) + field(7, graph))


def test_safetensors_by_its_own_rules_and_by_yours(tmp_path, capsys):
    q = weights(name="int8")
    path = tmp_path / "model.safetensors"
    rules = json.dumps([{"tensor": "a.weight", "rule": "sum=0"}, {"tensor": "b.weight", "rule": "sum=0"}])
    safetensors(path, {"a.weight": q.weights, "b.weight": q.integers.astype(np.int8), "b.weight_scale": q.scale[:, 0], "c.bias": np.zeros(3, np.float32)},
                {"rules": rules})
    status, reports, _ = checked(capsys, path)
    assert status == 0 and [(r["name"], r["exact"], r["units"], r["type"]) for r in reports] == [("a.weight", True, 6, "F32"), ("b.weight", True, 6, "I8")]
    status, reports, _ = checked(capsys, path, "--constraint", "order=1", "--tensor", "b.weight")
    assert status == 1 and len(reports) == 1 and reports[0]["exact_units"] < 6
    assert checked(capsys, path, "--constraint", "order=99")[0] == 2
    assert "there: a.weight, b.weight" in checked(capsys, path, "--tensor", "z")[2]


def test_multiples_of_filters_obey_over_their_divisor(tmp_path, capsys):
    path = tmp_path / "thirds.safetensors"
    q = tareconv.round(np.full((2, 1, 5, 5), 0.01), tareconv.Constraint("sum=1/10", (5, 5)), "int8", allow_divisor=True)
    entries = [{"tensor": "a.weight", "rule": "sum=1/10", "divisor": q.divisor}, {"tensor": "b.weight", "rule": "sum=1/10", "divisor": q.divisor}]
    safetensors(path, {"a.weight": q.weights, "b.weight": q.integers.astype(np.int8), "b.weight_scale": q.scale[:, 0]}, {"rules": json.dumps(entries)})
    status, reports, _ = checked(capsys, path)
    assert q.divisor == 5 and status == 0 and [r["exact_units"] for r in reports] == [2, 2]
    assert checked(capsys, path, "--constraint", "sum=1/2")[0] == 1


def test_onnx_floats_integers_and_transposed(tmp_path, capsys):
    path, q = tmp_path / "model.onnx", weights(name="int8")
    for arguments in ((q.weights,), (q.integers.astype(np.int8), "Conv", q.scale[:, 0]), (np.ascontiguousarray(q.weights.swapaxes(0, 1)), "ConvTranspose")):
        onnx(path, *arguments)
        status, reports, _ = checked(capsys, path, "--constraint", "sum=0@filter")
        assert status == 0 and reports[0]["units"] == 3
    status, _, error = checked(capsys, path)
    assert status == 2 and "give one with --constraint" in error
    onnx(path, q.weights + np.float32(2.0**-9))
    status, reports, _ = checked(capsys, path, "--constraint", "sum=0")
    assert status == 1 and eval_fraction(reports[0]["residual"]) == 25 / 512


def eval_fraction(text):
    top, _, bottom = text.partition("/")
    return int(top) / int(bottom or 1)


@pytest.mark.parametrize("name, arguments", [("Conv2D", dict(filters=3, kernel_size=5)), ("DepthwiseConv2D", dict(kernel_size=5)), ("Conv2DTranspose", dict(filters=3, kernel_size=5)),
                                             ("SeparableConv2D", dict(filters=3, kernel_size=5))])
def test_keras_files_name_their_rules(tmp_path, capsys, name, arguments):
    keras = pytest.importorskip("keras")
    import tareconv.keras as tk
    model = keras.Sequential([keras.Input((9, 9, 2)), getattr(tk, name)(**arguments, kernel_constraint="sum=0", name="blind")])
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    status, reports, _ = checked(capsys, tmp_path / "m.keras")
    assert status == 0 and reports[0]["name"] == "blind" and reports[0]["rule"] == "sum=0" and reports[0]["size"] == [5, 5]
    assert checked(capsys, tmp_path / "m.weights.h5", "--constraint", "sum=0")[0] == 0


def test_torch_files_without_torch_running_anything(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 5), torch.nn.Linear(2, 2))
    layer[0].weight.data = torch.tensor(weights().weights)
    torch.save(layer.state_dict(), tmp_path / "state.pt")
    torch.save({"model": layer, "step": 3, "strided": torch.tensor(weights().weights).transpose(0, 1)}, tmp_path / "whole.pt")
    status, reports, _ = checked(capsys, tmp_path / "state.pt", "--constraint", "sum=0")
    assert status == 0 and reports[0]["name"] == "0.weight"
    status, reports, _ = checked(capsys, tmp_path / "whole.pt", "--constraint", "sum=0")
    assert status == 0 and [r["name"] for r in reports] == ["model.0.weight", "strided"]

    class Evil:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path}/ran",))

    torch.save({"w": torch.tensor(weights().weights), "evil": Evil()}, tmp_path / "evil.pt")
    assert checked(capsys, tmp_path / "evil.pt", "--constraint", "sum=0")[0] == 0 and not (tmp_path / "ran").exists()
    torch.save({"w": torch.tensor(weights().weights).bfloat16()}, tmp_path / "half.pt")
    assert read(tmp_path / "half.pt")[0].values.dtype == np.float32


def test_tflite_int8_keeps_the_sums_of_rounded_filters(tmp_path, capsys):
    tf = pytest.importorskip("tensorflow")
    q = weights((3, 2, 5, 5), "int8")
    depthwise = weights((2, 1, 5, 5), "int8").weights[:, 0].transpose(1, 2, 0)[..., None]

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 12, 12, 2))])
        def run(self, x):
            return tf.nn.conv2d(tf.nn.depthwise_conv2d(x, depthwise, [1, 1, 1, 1], "SAME"), q.weights.transpose(2, 3, 1, 0), 1, "VALID")

    model = Model()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([model.run.get_concrete_function()], model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: [[np.random.default_rng(i).normal(size=(1, 12, 12, 2)).astype(np.float32)] for i in range(4)]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    (tmp_path / "m.tflite").write_bytes(converter.convert())
    status, reports, _ = checked(capsys, tmp_path / "m.tflite", "--constraint", "sum=0")
    assert status == 0 and sorted((r["filters"], r["channels"], r["type"]) for r in reports) == [(2, 1, "int8"), (3, 2, "int8")]


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.pt", "m.safetensors", "m.onnx", "m.tflite", "m.txt"])
def test_what_is_no_such_file_is_said_in_one_line(tmp_path, capsys, name):
    path = tmp_path / name
    for data in (b"", b"PK\3\4 no", b"TFL3TFL3TFL3TFL3", bytes(range(256)) * 8):
        path.write_bytes(data)
        status, _, error = checked(capsys, path, "--constraint", "sum=0")
        assert status == 3 and error.count("\n") == 1 and name in error
    assert checked(capsys, tmp_path / f"missing-{name}")[0] == 3


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.sampled_from(["m.safetensors", "m.onnx"]), st.integers(0, 10**6), st.integers(0, 255), st.booleans())
def test_damaged_files_are_refused_or_read(tmp_path, name, place, byte, cut):
    path: pathlib.Path = tmp_path / name
    safetensors(path, {"w": weights().weights}) if name.endswith("s") else onnx(path, weights().weights)
    data = bytearray(path.read_bytes())
    place %= min(len(data), 200)  # where the structure is
    path.write_bytes(data[:place] if cut else data[:place] + bytes([byte]) + data[place + 1:])
    try:
        read(path)
    except BadFile:
        pass


def test_external_data_stays_beside_the_model(tmp_path):
    def entry(key, value):
        return field(13, field(1, key) + field(2, value))
    for place, good in ((b"w.bin", True), (b"../w.bin", False), (b"/etc/passwd", False)):
        tensor = field(5, b"".join(field(1, n) for n in (3, 2, 5, 5)) + field(2, 1) + field(8, b"w") + entry(b"location", place) + field(14, 1))
        (tmp_path / "m.onnx").write_bytes(field(7, tensor + field(1, field(1, b"x") + field(1, b"w") + field(2, b"y") + field(4, b"Conv"))))
        (tmp_path / "w.bin").write_bytes(weights().weights.tobytes())
        if good:
            assert read(tmp_path / "m.onnx")[0].values.shape == (3, 2, 5, 5)
        else:
            with pytest.raises(BadFile, match="beside"):
                read(tmp_path / "m.onnx")
