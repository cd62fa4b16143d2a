# SPDX-License-Identifier: Apache-2.0
"""check.py TARE FORWARD [memory]: exported files in onnxruntime give what the C network gives, and exact zeros where the rule promises them.
memory: without the network that is trained until it knows something, which runs no other code."""
import os
import subprocess
import sys
import tempfile

import numpy
import onnxruntime

tare, forward = (os.path.abspath(path) for path in sys.argv[1:3])
memory = sys.argv[3:] == ["memory"]
TAIL = "gap; dense 6"
NETS = {  # every layer and border of the line
    "plain": "conv 4x7 sum=0 spectral; bn; relu; conv 8x3 /2; bn; relu; " + TAIL,
    "borders": "conv 4x5 sum=0 pad=reflect; bn; relu; conv 6x3 pad=edge; bn; conv 4x5x3 pad=zero dilation=2 nobias; relu; conv 4x3 pad=2 groups=2; " + TAIL,
    "pools": "conv 4x3 sum=0; relu; maxpool 3 /2; conv 4x3; bn; avgpool 2; flatten; dense 8; relu; dropout 0.5; dense 6 nobias",
    "sort": "conv 6x5 sum=1@filter pad=reflect nobias; sort; conv 4x3; sort; " + TAIL,
    "spatial": "conv 3x9 /4 sum=0; bn; relu; dense 6",
    "means": "image-mean; conv 4x3 none; bn; relu; " + TAIL,
    "local": "local-mean 5; conv 4x3 none; relu; " + TAIL,
    "laplacian": "laplacian; conv 4x3 none; relu; " + TAIL,
    "gradients": "gradients; conv 4x3 none; relu; " + TAIL,
    "norm": "bn; conv 4x3 sum=0; relu; " + TAIL,
    "difference": "conv 4x5 sum=0 difference; bn; relu; " + TAIL,
    "bayar": "conv 4x5 bayar; bn; relu; " + TAIL,
    "image": "conv 4x7 sum=0 nobias",
}
failures = 0


def run(*words, code=0):
    done = subprocess.run([tare, *words], capture_output=True, text=True)
    if done.returncode != code:
        raise SystemExit(f"tare {' '.join(words)}: exit {done.returncode}, expected {code}: {done.stderr}")
    return done.stdout + done.stderr


def check(name, good, detail=""):
    global failures
    failures += not good
    print(f"{'ok' if good else 'not ok'} {name} {detail}", flush=True)


def infer(path, images):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # first_layer leaves weights unused
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, {"pixels_in": images})[0]


def in_c(model, images):
    numpy.save("in.npy", images)
    subprocess.run([forward, model, "in.npy", "out.npy"], check=True)
    return numpy.load("out.npy")


def difference(ours, theirs):
    return float(abs(ours.reshape(theirs.shape) - theirs).max() / abs(ours).max())


def same_outputs(images):
    for name, line in NETS.items():
        run("train", "leaves", "--images", "4", "--steps", "3", "--net", line if "dense" in line else line + "; bn; relu; " + TAIL, "--out", name + ".safetensors", "-q")
        for flags in ([], ["--fold"]):
            if flags and name in ("bayar", "norm"):
                continue
            run("export", name + ".safetensors", name + ".onnx", *flags)
            off = difference(in_c(name + ".safetensors", images), infer(name + ".onnx", images))
            check(f"{name} {' '.join(flags)}", off <= 1e-5, f"relative difference {off:.2g}")
    text = run("export", "bayar.safetensors", "bayar2.onnx", "--fold", code=2)
    check("batch norm is not folded into bayar", "fold" in text and text.count("\n") == 1, text.strip())
    check("a refused export leaves nothing", not os.path.exists("bayar2.onnx"))


def constant_images(model, kernel):
    """The first layer alone, all 256 values: exactly 0, and no other value."""
    values = numpy.arange(256, dtype=numpy.float32)[:, None, None, None] * numpy.ones((1, 1, kernel + 9, kernel + 6), numpy.float32)
    out = infer(model, values)
    other = infer(model, values * (numpy.arange(values.shape[3], dtype=numpy.float32) % 3))
    return out.shape[0] == 256 and bool((out == 0).all()) and bool((other[1:] != 0).any())


def exact_zeros():
    line = "conv 8x7 sum=0 nobias"
    run("train", "leaves", "--images", "4", "--steps", "20", "--net", line + "; bn; relu; " + TAIL, "--out", "z.safetensors", "-q")
    for format in ("fp32", "fp16", "bf16", "int8", "int4"):
        run("export", "z.safetensors", "z.onnx", "--format", format, "--grade", "grid")
        run("check", "z.onnx")
        check(f"{format} grid: constant images give 0", constant_images(first_layer("z.onnx"), 7))
        run("round", "z.safetensors", "r.safetensors", "--format", format)
        run("export", "r.safetensors", "r.onnx")
        text = run("check", "r.onnx")
        check(f"{format} exact: the rounded model, exported, keeps its certificate", "verified" in text)
        images = numpy.random.default_rng(2).integers(0, 256, (2, 1, 48, 48)).astype(numpy.float32)
        off = difference(in_c("r.safetensors", images), infer("r.onnx", images))
        check(f"{format} exact: outputs", off <= 1e-5, f"relative difference {off:.2g}")


def accuracy(model):
    import json
    return 100 * json.loads(run("eval", model, "leaves", "--images", "300", "--json", "-", "-q"))["accuracy"]


def int8_is_as_good():
    """A trained network, its filters in int8: what it knows, and the outputs of the exported file."""
    run("train", "leaves", "--steps", "400", "--net", "conv 8x7 sum=0 spectral; bn; relu; conv 16x3 /2; bn; relu; conv 32x3 /2; bn; relu; " + TAIL,
        "--out", "f.safetensors", "-q")
    run("round", "f.safetensors", "i.safetensors", "--format", "int8")
    run("export", "i.safetensors", "i.onnx")
    floats, integers = accuracy("f.safetensors"), accuracy("i.safetensors")
    check("int8 knows what fp32 knows", floats > 50 and abs(floats - integers) <= 0.5, f"{integers:.2f} % of the test patches, fp32 {floats:.2f} %")
    images = numpy.random.default_rng(3).integers(0, 256, (4, 1, 48, 48)).astype(numpy.float32)
    off = difference(in_c("i.safetensors", images), infer("i.onnx", images))
    check("int8 of a trained network: outputs", off <= 1e-5, f"relative difference {off:.2g}")


def first_layer(path):
    """The graph up to its first Conv: the same weights and nodes, another output."""
    import onnx
    model = onnx.load(path)
    conv = next(i for i, node in enumerate(model.graph.node) if node.op_type == "Conv")
    name = model.graph.node[conv].output[0]
    del model.graph.node[conv + 1:]
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    onnx.save(model, "first.onnx")
    return "first.onnx"


def main():
    images = numpy.random.default_rng(1).integers(0, 256, (3, 1, 48, 48)).astype(numpy.float32)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        same_outputs(images)
        exact_zeros()
        if not memory:
            int8_is_as_good()
        os.chdir("/")
    return failures > 0


sys.exit(main())
