"""Memory of a GPU: devices, streams and captures, with a backend of the tests that stands in for the GPU.

ctest names the folder of that backend in NSAMETA_BACKEND_DIR; without it these tests are skipped.
"""

import ctypes
import sys
import types
from pathlib import Path

import lender
import nsameta
import numpy as np
import pytest

from reference import KEPT

BACKEND = "recording_gpu"
pytestmark = pytest.mark.skipif(
    not any(backend["name"] == BACKEND and backend["usable"] for backend in nsameta.backends()),
    reason="needs the backend recording_gpu in NSAMETA_BACKEND_DIR",
)


@pytest.fixture
def context():
    return nsameta.Context("cuda", backend=BACKEND)


def decode(make, context):
    out = {"cu_seqlens_k": make(np.full(3, KEPT, np.int32))}
    return {"mode": "decode", "topk": 4, "seq_lens": make(np.array([5, 3])), "out": out, "context": context}


@pytest.mark.parametrize("make", (lender.CapsuleTensor, lender.ExchangeTensor))
def test_a_call_and_a_plan(make, context):
    call = decode(make, context)
    sums = call["out"]["cu_seqlens_k"].array
    nsameta.build_metadata(**call)
    np.testing.assert_array_equal(sums, [0, 5, 8])
    plan = nsameta.Plan(**call)
    call["seq_lens"].array[:] = [1, 2]
    plan.run()
    np.testing.assert_array_equal(sums, [0, 1, 3])
    assert context.num_launches == 2
    assert not context.is_staged


def test_a_capsule_is_asked_not_to_synchronise(context):
    call = decode(lender.CapsuleTensor, context)
    nsameta.build_metadata(**call)
    assert call["seq_lens"].asked == [-1]


def test_a_capsule_without_strides_is_contiguous(context):
    call = decode(lender.CapsuleTensor, context)
    table = np.arange(32, dtype=np.int32).reshape(2, 16)
    call["req_to_token"] = lender.CapsuleTensor(table, strides=False)
    call["req_pool_indices"] = lender.CapsuleTensor(np.array([1, 0]))
    slots = np.full(2, KEPT, np.int32)
    call["out"] = {"out_slots": lender.CapsuleTensor(slots, strides=False)}
    nsameta.build_metadata(**call)
    np.testing.assert_array_equal(slots, [table[1, 4], table[0, 2]])


@pytest.mark.parametrize("make", (lender.CapsuleTensor, lender.ExchangeTensor))
def test_tensors_that_begin_within_their_memory(make, context):
    call = decode(make, context)
    call["seq_lens"] = make(np.array([9, 9, 5, 3]), offset=2)
    sums = np.full(4, KEPT, np.int32)
    call["out"] = {"cu_seqlens_k": make(sums, offset=1)}
    nsameta.build_metadata(**call)
    np.testing.assert_array_equal(sums, [KEPT, 0, 5, 8])


def test_the_current_stream_is_asked_for_at_each_run(context):
    call = decode(lender.ExchangeTensor, context)
    plan = nsameta.Plan(**call)
    lender.ExchangeTensor.streams_asked.clear()
    plan.run()
    plan.run()
    assert lender.ExchangeTensor.streams_asked == [(lender.CUDA, 0)] * 2
    plan.run(-1, -1, -1, 0)
    nsameta.build_metadata(**call, stream=0)
    assert len(lender.ExchangeTensor.streams_asked) == 2


class Capture:
    """A stream that records what is launched on it, by the C API."""

    def __init__(self):
        self._library = ctypes.CDLL(str(Path(nsameta.__file__).parent / "lib" / "libnsameta.so.0"))
        self._context, self.stream, self._graph = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        device = (ctypes.c_int32 * 2)(lender.CUDA, 0)
        by_value = ctypes.c_uint64.from_buffer(device)  # as the ABI passes a struct of eight bytes
        self._call("context_create", by_value, BACKEND.encode(), ctypes.byref(self._context))
        self._call("stream_create", self._context, ctypes.byref(self.stream))

    def _call(self, name, *arguments):
        assert getattr(self._library, "nsameta_" + name)(*arguments) == 0

    def __enter__(self):
        self._call("graph_begin", self._context, self.stream)
        return self

    def __exit__(self, *_):
        self._call("graph_end", self._context, self.stream, ctypes.byref(self._graph))

    def replay(self):
        self._call("graph_launch", self._graph, self.stream)


@pytest.mark.parametrize("by_plan", (False, True))
@pytest.mark.parametrize("is_explicit", (False, True))
def test_capture_and_replay_with_other_lengths(context, by_plan, is_explicit, monkeypatch):
    call = decode(lender.ExchangeTensor, context)
    sums = call["out"]["cu_seqlens_k"].array
    plan = nsameta.Plan(**call)
    capture = Capture()
    stream = capture.stream.value if is_explicit else None
    monkeypatch.setattr(lender.ExchangeTensor, "stream", None if is_explicit else capture.stream.value)
    with capture:
        if by_plan:
            plan.run(-1, -1, -1, stream)
        else:
            nsameta.build_metadata(**call, stream=stream)
    assert (sums == KEPT).all()
    for lengths in ([5, 3], [7, 1]):
        call["seq_lens"].array[:] = lengths
        capture.replay()
        np.testing.assert_array_equal(sums, [0, lengths[0], sum(lengths)])


def fake_torch(tensor_type, hip, stream):
    getter = types.SimpleNamespace(_cuda_getCurrentRawStream=lambda device: stream)
    return types.SimpleNamespace(Tensor=tensor_type, _C=getter, version=types.SimpleNamespace(hip=hip), device=str)


def test_a_torch_without_the_exchange_api_is_asked_for_its_raw_stream(context, monkeypatch):
    of_torch = type("TensorOfTorch", (lender.CapsuleTensor,), {})
    capture = Capture()
    monkeypatch.setitem(sys.modules, "torch", fake_torch(of_torch, None, capture.stream.value))
    call = decode(of_torch, context)
    with capture:
        nsameta.build_metadata(**call)
    assert (call["out"]["cu_seqlens_k"].array == KEPT).all()
    capture.replay()
    np.testing.assert_array_equal(call["out"]["cu_seqlens_k"].array, [0, 5, 8])


def test_torch_on_rocm_calls_its_devices_cuda(context, monkeypatch):
    of_torch = type("TensorOfRocmTorch", (lender.CapsuleTensor,), {})
    monkeypatch.setitem(sys.modules, "torch", fake_torch(of_torch, "6.4", 0))
    with pytest.raises(ValueError, match="seq_lens: is on rocm:0, but the context is for cuda:0"):
        nsameta.build_metadata(**decode(of_torch, context))


def test_tensors_on_different_devices(context):
    call = decode(lender.ExchangeTensor, context)
    on_host = np.full(3, KEPT, np.int32)
    with pytest.raises(ValueError, match="cu_seqlens_k: is on cpu:0, but the context is for cuda:0"):
        nsameta.build_metadata(**{**call, "out": {"cu_seqlens_k": on_host}})
    with pytest.raises(ValueError, match="seq_lens: is on cuda:1"):
        nsameta.build_metadata(**{**call, "seq_lens": lender.ExchangeTensor(np.array([5, 3]), (lender.CUDA, 1))})
    with pytest.raises(ValueError, match="seq_lens.*device type 8"):
        nsameta.build_metadata(**{**call, "seq_lens": lender.ExchangeTensor(np.array([5, 3]), (lender.METAL, 0))})
    assert (on_host == KEPT).all()


def test_outputs_on_a_gpu_are_allocated_by_bounds(context):
    lens = lender.CapsuleTensor(np.array([5, 3]))
    lens.shape = lens.array.shape
    call = {"mode": "extend", "topk": 4, "seq_lens": lens, "extend_seq_lens": lens, "context": context}
    with pytest.raises(ValueError, match="num_tokens_bound"):
        nsameta.build_metadata(**call, outputs=["positions"])


def test_the_cpu_serves_a_gpu_by_copies_but_not_in_a_capture():
    staged = nsameta.Context("cuda", backend="cpu")
    assert staged.is_staged
    call = decode(lender.ExchangeTensor, staged)
    sums = call["out"]["cu_seqlens_k"].array
    nsameta.build_metadata(**call)
    np.testing.assert_array_equal(sums, [0, 5, 8])
    plan = nsameta.Plan(**call)
    capture = Capture()
    sums[:] = KEPT
    with capture, pytest.raises(RuntimeError, match="captur"):
        plan.run(-1, -1, -1, capture.stream.value)
    assert (sums == KEPT).all()
