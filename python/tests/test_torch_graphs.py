# SPDX-License-Identifier: Apache-2.0
"""PyTorch layers in graphs and in several processes: torch.compile, torch.export, DistributedDataParallel."""

import copy
import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import tareconv  # noqa: E402
from tareconv.torch import Conv2d, ConvTranspose2d, release  # noqa: E402


@pytest.fixture(autouse=True)
def afresh():
    torch.compiler.reset()  # or the limit of recompilations counts over all tests


def model(rule="sum=0", engine="tare"):
    torch.manual_seed(0)
    return nn.Sequential(Conv2d(2, 4, 5, rule=rule, engine=engine), nn.ReLU(),
                         ConvTranspose2d(4, 2, 3, rule="sum=1", basis="pivot", padding=1, engine=engine))


def train(net, steps=3, compiled=None, autocast=False):
    torch.manual_seed(1)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        with torch.autocast("cpu", enabled=autocast):
            loss = (compiled or net)(torch.rand(3, 2, 12, 12)).square().mean()
        loss.backward()
        optimizer.step()
    return net


def missed(layer):
    return tareconv.residual(layer._to_units(layer.weight).detach().t().numpy(), layer.constraint)


@pytest.mark.parametrize("engine", ["auto", "tare", "framework"])
@pytest.mark.parametrize("rule", ["sum=0", "bayar", "order=2"])
def test_a_compiled_training_step_is_the_same(rule, engine):
    compiled, eager = model(rule, engine), train(model(rule, engine))
    train(compiled, compiled=torch.compile(compiled, fullgraph=True, backend="aot_eager"))
    for a, b in zip(compiled.parameters(), eager.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    assert missed(compiled[0]) == 0 and compiled[0].adapted


def test_compiled_under_autocast():
    net = model(engine="auto")
    train(net, compiled=torch.compile(net, fullgraph=True, backend="aot_eager"), autocast=True)
    assert missed(net[0]) == 0


def test_compiled_by_inductor():
    net, x = model().eval(), torch.rand(2, 2, 12, 12)
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(net, fullgraph=True)(x), net(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("strict", [True, False])
def test_exported_with_pytorchs_operators_alone(strict):
    net, x = train(model(engine="auto")).eval(), torch.rand(2, 2, 12, 12)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(net, (x,), dynamic_shapes=((({0: batch}),)) if strict else None, strict=strict)
    torch.testing.assert_close(program.module()(x), net(x), rtol=1e-4, atol=1e-4)
    assert not [node for node in program.graph.nodes if "tareconv" in str(node.target)]
    plain = torch.export.export(release(copy.deepcopy(net)), (x,), strict=strict)
    torch.testing.assert_close(plain.module()(x), net(x), rtol=1e-4, atol=1e-4)
    assert "0.weight" in plain.state_dict


PROCESS = """
import os, sys, torch, torch.distributed as dist
from torch import nn
from tareconv.torch import Conv2d
rank, store = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
torch.manual_seed(rank)
net = nn.Sequential(Conv2d(1, 4, 5), nn.ReLU(), Conv2d(4, 2, 3, rule="sum=1", basis="orthonormal"))
model = nn.parallel.DistributedDataParallel(net)
optimizer = torch.optim.Adam(model.parameters(), 1e-2)
for _ in range(3):
    optimizer.zero_grad()
    model((rank + 1) * torch.rand(2, 1, 12, 12)).square().mean().backward()
    optimizer.step()
torch.save((net.state_dict(), net[0].scale), store + str(rank))
dist.barrier()
del model, optimizer
dist.destroy_process_group()
os._exit(0)  # PyTorch's threads are not always gone when the interpreter is: one process in twenty aborts behind its last line
"""


def test_two_processes_train_one_model(tmp_path):
    """pytorch issue 167645: replicas must compose the same weights."""
    store = str(tmp_path / "store")
    workers = [subprocess.Popen([sys.executable, "-c", PROCESS, str(rank), store], env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"}) for rank in (0, 1)]
    assert [worker.wait(300) for worker in workers] == [0, 0]
    (first, scale), (second, other) = (torch.load(store + str(rank)) for rank in (0, 1))
    assert scale == other and scale != 1
    for name in first:
        assert torch.equal(first[name], second[name])
    for name, rule, size in (("0.weight", "sum=0", 5), ("2.weight", "sum=1", 3)):
        assert tareconv.residual(first[name].numpy(), tareconv.Constraint(rule, (size, size))) == 0


def test_the_example_runs():
    example = os.path.join(os.path.dirname(__file__), "../../examples/torch_forensics.py")
    said = subprocess.run([sys.executable, example, "20"], capture_output=True, text=True, timeout=300)
    assert said.returncode == 0, said.stderr
    assert "sums of the filters after training: 0 in 8 of 8" in said.stdout
