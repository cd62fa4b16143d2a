# SPDX-License-Identifier: Apache-2.0
"""Through torch's ONNX exporters, and onnxruntime's int8 quantiser: what the file holds obeys, and runs to the same outputs."""

import copy
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from torch import nn  # noqa: E402

import tareconv  # noqa: E402
from tareconv import Constraint, _check  # noqa: E402
from tareconv._files import read  # noqa: E402
from tareconv.torch import Conv2d, ConvTranspose2d, release  # noqa: E402

EXPORTERS = {"dynamo": True, "torchscript": False}
IMAGES = torch.rand(3, 2, 12, 12, generator=torch.Generator().manual_seed(1))


def trained(rule):
    torch.manual_seed(0)
    net = nn.Sequential(Conv2d(2, 4, 5, rule=rule), nn.ReLU(), ConvTranspose2d(4, 2, 3, rule=rule, basis="pivot", padding=1))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    net(IMAGES).square().mean().backward()
    optimizer.step()
    return net.eval()


def exported(net, path, exporter):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript's exporter says of itself that it is old
        torch.onnx.export(net, (IMAGES,), path, dynamo=EXPORTERS[exporter], input_names=["images"], verbose=False)
    return path


def run(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": IMAGES.numpy()})[0])


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("rule", ["sum=0", "bayar", "order=2", "sum=1@filter"])
def test_a_released_model_keeps_its_bits_and_its_rule(tmp_path, capsys, rule, exporter):
    net = trained(rule)
    path = exported(release(copy.deepcopy(net)), tmp_path / "model.onnx", exporter)
    torch.testing.assert_close(run(path), net(IMAGES), rtol=1e-5, atol=1e-5)
    first, second = (kernel.values for kernel in read(path))
    np.testing.assert_array_equal(first, net[0].weight.detach().numpy())
    np.testing.assert_array_equal(second.swapaxes(0, 1), net[2].weight.detach().numpy())
    assert _check.main([str(path), "--constraint", rule]) == 0 and capsys.readouterr().out.count("exact") == 2


@pytest.mark.parametrize("write", [*EXPORTERS, "trace"])
def test_a_model_that_composes_its_weights_is_refused_with_what_to_do(tmp_path, write):
    with pytest.raises(RuntimeError, match="tareconv.torch.release"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(trained("sum=0"), (IMAGES,)) if write == "trace" else exported(trained("sum=0"), tmp_path / "model.onnx", write)


@pytest.mark.parametrize("rule", ["sum=0", "order=1", "antisymmetric", "sum=0@filter"])
def test_int8_filters_keep_their_sums_through_onnxruntimes_quantiser(tmp_path, capsys, rule):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Images(CalibrationDataReader):
        left = [{"images": IMAGES.numpy()}]

        def get_next(self):
            return self.left.pop() if self.left else None

    plain = release(nn.Sequential(Conv2d(2, 4, 5, rule=rule), nn.ReLU()))
    rounded = tareconv.round(plain[0].weight.detach().numpy(), Constraint(rule, (5, 5), 2), "int8")
    plain[0].weight.data = torch.from_numpy(rounded.weights)
    path = exported(plain, tmp_path / "fp32.onnx", "dynamo")
    quantize_static(path, tmp_path / "int8.onnx", Images(), quant_format=QuantFormat.QDQ, per_channel=True, weight_type=QuantType.QInt8,
                    activation_type=QuantType.QUInt8)
    assert _check.main([str(path), "--constraint", rule]) == 0
    assert _check.main([str(tmp_path / "int8.onnx"), "--constraint", rule]) == 0
    kernel, = read(tmp_path / "int8.onnx")
    np.testing.assert_array_equal(kernel.values, rounded.integers)
    assert kernel.kind == "int8"
