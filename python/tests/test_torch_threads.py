# SPDX-License-Identifier: Apache-2.0
"""The engine's work on the threads that PyTorch has."""

import concurrent.futures
import ctypes
import os
import pathlib
import signal
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from tareconv._engine import openmp, torch_op  # noqa: E402

several = pytest.mark.skipif(openmp._OPENMP not in torch.__config__.parallel_info() or len(os.sched_getaffinity(0)) < 2,
                             reason="needs a PyTorch with OpenMP and two cores")


def results():
    """y and both gradients of one convolution, always the same."""
    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(shape, generator=generator, requires_grad=True) for shape in ((4, 8, 24, 24), (8, 8, 9, 9)))
    y = torch_op.convolve(x, w, None, (1, 1), (4, 4), (1, 1))
    return y.detach(), *torch.autograd.grad(y, (x, w), torch.randn(y.shape, generator=generator))


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a, b))


@pytest.fixture
def expected(monkeypatch):
    """The results on threads of the engine's own."""
    with monkeypatch.context() as patch:
        patch.setattr(torch_op, "_PARALLEL", 0)
        return results()


def apart(function):
    """Runs a function of this file in a process of its own, where no test before has made threads."""
    program = f"import sys; sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r}); import test_torch_threads as t; t.{function.__name__}()"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def start_openmp():
    for _ in range(3):
        torch.rand(1 << 20).exp()


def threads():
    return set(os.listdir("/proc/self/task"))


def count_threads():
    start_openmp()
    before = threads()
    results()
    assert threads() == before, "there are threads of the engine's own"
    torch_op._PARALLEL = 0
    results()
    assert threads() > before, "such threads would not be seen"


@several
def test_no_threads_come_beside_pytorchs():
    apart(count_threads)


def test_bits_are_those_of_own_threads(expected):
    assert all(same(results(), expected) for _ in range(20))


def test_any_number_of_threads(expected):
    usual = torch.get_num_threads()
    try:
        for number in (1, 3, usual):
            torch.set_num_threads(number)
            assert same(results(), expected)
    finally:
        torch.set_num_threads(usual)


def test_several_python_threads_at_once(expected):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(same(found, expected) for found in pool.map(lambda _: results(), range(40)))


@several
def test_inside_a_parallel_region(expected):
    """OpenMP then gives the caller no other threads."""
    assert torch_op._PARALLEL
    found = []
    region = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: found.append(results()))
    ctypes.CFUNCTYPE(None, type(region), ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)(torch_op._PARALLEL)(region, None, 2, 0)
    assert len(found) == 2 and all(same(f, expected) for f in found)


class Images(torch.utils.data.Dataset):
    """Each item is the results of a convolution."""

    def __len__(self):
        return 4

    def __getitem__(self, _):
        return results()


def test_in_a_loaders_worker(expected):
    results()  # OpenMP's threads are there when the workers are forked
    loader = torch.utils.data.DataLoader(Images(), None, num_workers=2, multiprocessing_context="fork", timeout=60)
    assert all(same(found, expected) for found in loader)


def fork_after_calls():
    fork_and_compare(results())


def fork_before_calls():
    fork_and_compare(None)


def fork_and_compare(expected):
    """OpenMP's threads are not there in a child, which would wait for them for ever."""
    start_openmp()
    child = os.fork()
    if not child:
        signal.alarm(60)
        found = results()
        os._exit(0 if expected is None or same(found, expected) else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("function", [fork_after_calls, fork_before_calls])
def test_a_forked_child_has_threads_of_its_own(function):
    apart(function)


def test_without_openmp_the_engine_has_threads_of_its_own(monkeypatch):
    def none(_):
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(openmp.ctypes, "CDLL", none)
        assert openmp.torch_parallel() == 0
    monkeypatch.setattr(torch.__config__, "parallel_info", lambda: "ATen parallel backend: native thread pool")
    assert openmp.torch_parallel() == 0
