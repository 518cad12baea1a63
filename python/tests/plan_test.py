"""nsameta.Plan: bound once, run often, without an allocation and with its tensors kept."""

import gc
import sys
import tracemalloc
import weakref

import nsameta
import numpy as np
import pytest
from libraries import torch

from reference import KEPT, Step


def make_plan(tensors, seq_lens, **changes):
    lens = tensors.make(seq_lens)
    out = {"cu_seqlens_k": tensors.make([KEPT] * (len(seq_lens) + 1))}
    return nsameta.Plan(**{"mode": "decode", "topk": 4, "seq_lens": lens, "out": out, **changes}), lens, out


def test_each_run_reads_the_lengths_of_now(tensors):
    plan, lens, out = make_plan(tensors, [5, 3, 9])
    for values in ([5, 3, 9], [1, 2, 3], [100, 0, 7]):
        for r, value in enumerate(values):
            lens[r] = value
        plan.run()
        expected = Step("decode", values, [1] * 3, topk=4).lengths()["cu_seqlens_k"]
        np.testing.assert_array_equal(tensors.read(out["cu_seqlens_k"]), expected)


def test_a_run_of_fewer_requests(tensors):
    plan, _, out = make_plan(tensors, [5, 3, 9])
    plan.run(2, -1, 128)
    np.testing.assert_array_equal(tensors.read(out["cu_seqlens_k"]), [0, 5, 8, KEPT])
    plan.run(batch=1, num_tokens=1, max_kv=5, stream=None)
    plan.run(3, 3, 9, 0)
    np.testing.assert_array_equal(tensors.read(out["cu_seqlens_k"]), [0, 5, 8, 17])


def test_bad_runs(tensors):
    plan, _, out = make_plan(tensors, [5, 3, 9])
    with pytest.raises(ValueError, match="batch"):
        plan.run(4)
    with pytest.raises(TypeError, match="run"):
        plan.run("2")
    with pytest.raises(TypeError, match="stream"):
        plan.run(2, 2, 2, "0")
    assert (tensors.read(out["cu_seqlens_k"]) == KEPT).all()


def test_bad_plans(tensors):
    with pytest.raises(ValueError, match="op="):
        nsameta.Plan("no_such_operation", seq_lens=tensors.make([1]))
    with pytest.raises(TypeError, match="stream"):
        make_plan(tensors, [1], stream=0)
    with pytest.raises(TypeError, match="outputs"):
        make_plan(tensors, [1], outputs=["positions"])


def test_the_plan_keeps_its_tensors(tensors):
    lens, sums = tensors.make([5, 3]), tensors.make([KEPT] * 3)
    before = sys.getrefcount(lens), sys.getrefcount(sums)
    plan = nsameta.Plan(mode="decode", topk=4, seq_lens=lens, out={"cu_seqlens_k": sums})
    assert sys.getrefcount(lens) > before[0]
    assert sys.getrefcount(sums) > before[1]
    gone = weakref.ref(lens)
    del lens
    gc.collect()
    assert gone() is not None
    plan.run()
    np.testing.assert_array_equal(tensors.read(sums), [0, 5, 8])
    del plan
    gc.collect()
    assert gone() is None
    assert sys.getrefcount(sums) == before[1]


@pytest.mark.skipif(torch is None, reason="needs torch")
def test_a_tensor_that_refers_to_its_plan_is_collected():
    lens = torch.tensor([5, 3], dtype=torch.int32)
    lens.plan = nsameta.Plan(
        mode="decode", topk=4, seq_lens=lens, out={"cu_seqlens_k": torch.zeros(3, dtype=torch.int32)}
    )
    gone = weakref.ref(lens)
    del lens
    gc.collect()
    assert gone() is None


class LendingCopies:
    """A library whose __dlpack__ lends memory that nobody else keeps."""

    def __init__(self, array):
        self.array = array

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, *, max_version=None):
        copy = self.array.copy()
        self.lent = weakref.ref(copy)
        return copy.__dlpack__(max_version=max_version)


def test_the_plan_keeps_what_was_lent():
    lens, sums = LendingCopies(np.array([5, 3])), np.full(3, KEPT, np.int32)
    plan = nsameta.Plan(mode="decode", topk=4, seq_lens=lens, out={"cu_seqlens_k": sums})
    gc.collect()
    assert lens.lent() is not None
    del plan
    gc.collect()
    assert lens.lent() is None


@pytest.mark.skipif(torch is None, reason="needs torch")
@pytest.mark.parametrize("change", ("set_", "data"))
def test_the_plan_keeps_memory_that_a_tensor_gave_up(change):
    memory = {"seq_lens": np.array([5, 3], np.int32), "cu_seqlens_k": np.full(3, KEPT, np.int32)}
    tensors = {name: torch.from_numpy(array) for name, array in memory.items()}
    plan = nsameta.Plan(
        mode="decode", topk=4, seq_lens=tensors["seq_lens"], out={"cu_seqlens_k": tensors["cu_seqlens_k"]}
    )
    for tensor in tensors.values():
        if change == "set_":
            tensor.set_(torch.ones(8, dtype=torch.int32))
        else:
            tensor.data = torch.ones(8, dtype=torch.int32)
    sums, gone = memory["cu_seqlens_k"], [weakref.ref(array) for array in memory.values()]
    del memory
    gc.collect()
    assert gone[0]() is not None
    plan.run()
    np.testing.assert_array_equal(sums, [0, 5, 8])
    del sums
    gc.collect()
    assert gone[1]() is not None
    del plan
    gc.collect()
    assert [each() for each in gone] == [None, None]


def test_numpy_refuses_to_resize_an_array_behind_a_plan():
    lens = np.array([5, 3], np.int32)
    plan = nsameta.Plan(mode="decode", topk=4, seq_lens=lens, out={"cu_seqlens_k": np.zeros(3, np.int32)})
    with pytest.raises(ValueError, match="cannot resize"):
        lens.resize(1000)
    del plan
    lens.resize(1000)


def test_plans_of_a_device_share_its_default_context(tensors):
    plan, _, _ = make_plan(tensors, [5, 3])
    other, _, _ = make_plan(tensors, [5, 3])
    before = plan.context.num_launches
    other.run()
    assert plan.context.num_launches == before + 1


def test_the_plan_keeps_its_context():
    context = nsameta.Context("cpu")
    plan, _, out = make_plan(type("", (), {"make": lambda values: np.array(values, np.int32)}), [5, 3], context=context)
    del context
    gc.collect()
    plan.run()
    np.testing.assert_array_equal(out["cu_seqlens_k"], [0, 5, 8])
    assert plan.context.num_launches == 1


def peak_bytes(function):
    """What Python's allocators had to give while the function ran, freed or not."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    function(3, 3, 9)
    return tracemalloc.get_traced_memory()[1] - before


def test_a_run_allocates_nothing(tensors):
    plan, _, _ = make_plan(tensors, [5, 3, 9])
    plan_run = plan.run
    gc.disable()
    tracemalloc.start()
    try:
        peak_bytes(plan_run)
        least, of_run, of_list = peak_bytes(max), peak_bytes(plan_run), peak_bytes(lambda *_: [None] * 100)
    finally:
        tracemalloc.stop()
        gc.enable()
    assert of_run <= least < of_list
    blocks = sys.getallocatedblocks()
    for _ in range(1000):
        plan_run(3, 3, 9)
    assert sys.getallocatedblocks() - blocks < 100


def test_unchanged_tensors_pass_the_check(tensors):
    plan, _, out = make_plan(tensors, [5, 3], check=True)
    plan.check_tensors()
    plan.run()
    np.testing.assert_array_equal(tensors.read(out["cu_seqlens_k"]), [0, 5, 8])


@pytest.mark.skipif(torch is None, reason="needs torch")
@pytest.mark.parametrize("name", ("seq_lens", "cu_seqlens_k"))
@pytest.mark.parametrize("change", ("resize_", "storage", "set_", "data", "strides", "shape"))
def test_the_check_names_a_tensor_that_changed(name, change):
    tensors = {"seq_lens": torch.tensor([5, 3, 2]), "cu_seqlens_k": torch.full((4,), KEPT, dtype=torch.int32)}
    plan = nsameta.Plan(
        mode="decode", topk=4, seq_lens=tensors["seq_lens"], out={"cu_seqlens_k": tensors["cu_seqlens_k"]}, check=True
    )
    changed, kept = tensors[name], tensors["cu_seqlens_k"].clone()
    if change == "resize_":
        changed.resize_(1000)
    elif change == "storage":
        changed.untyped_storage().resize_(100000)
    elif change == "set_":
        changed.set_(changed.clone())
    elif change == "data":
        changed.data = changed.clone()
    else:
        changed.as_strided_((2,) if change == "shape" else changed.shape, (1,) if change == "shape" else (0,))
    for refused in (plan.check_tensors, plan.run):
        with pytest.raises(ValueError, match=name):
            refused()
    if name == "seq_lens":
        assert torch.equal(tensors["cu_seqlens_k"], kept)


def test_explain_and_description(tensors):
    plan, _, _ = make_plan(tensors, [5, 3])
    assert plan.op == "build_metadata"
    assert f"backend: {plan.context.backend}" in plan.explain(2)
    assert "build_metadata" in repr(plan)
