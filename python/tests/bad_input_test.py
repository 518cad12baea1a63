"""What is wrong with an argument becomes an exception that names it, and nothing is written."""

import nsameta
import numpy as np
import pytest
from libraries import torch

from reference import KEPT


def arguments(tensors):
    return {
        "mode": "decode",
        "topk": 4,
        "seq_lens": tensors.make([5, 3]),
        "req_pool_indices": tensors.make([1, 0], np.int64),
        "req_to_token": tensors.make(np.arange(32).reshape(2, 16)),
        "out": {"cu_seqlens_k": tensors.make([KEPT] * 3), "out_slots": tensors.make([KEPT] * 2)},
    }


def assert_refused(tensors, changes, exception, name, changed_out=None):
    call = {**arguments(tensors), **changes}
    call["out"] = {**call["out"], **(changed_out or {})} if isinstance(call["out"], dict) else call["out"]
    with pytest.raises(exception, match=name):
        nsameta.build_metadata(**call)
    with pytest.raises(exception, match=name):
        nsameta.Plan(**call)
    for output in call["out"].values() if isinstance(call["out"], dict) else ():
        if type(output) is type(tensors.make([0])):
            assert (tensors.read(output) == KEPT).all()


def test_the_arguments_are_right_without_a_change(tensors):
    call = arguments(tensors)
    nsameta.build_metadata(**call)
    np.testing.assert_array_equal(tensors.read(call["out"]["out_slots"]), [20, 2])


@pytest.mark.parametrize(
    ("changes", "exception"),
    [
        ({"mode": "prefill"}, ValueError),
        ({"mode": 0}, TypeError),
        ({"topk": 0}, ValueError),
        ({"topk": 2**32 + 4}, ValueError),
        ({"topk": 2**64}, ValueError),
        ({"topk": 1.5}, TypeError),
        ({"topk": "4"}, TypeError),
        ({"max_kv_bound": 2**63}, ValueError),
        ({"clamp": 1}, TypeError),
        ({"static_width": 1}, TypeError),
        ({"tail": "none"}, ValueError),
        ({"table_width": "wide"}, ValueError),
        ({"batch": 3}, ValueError),
        ({"tokens_per_request": -1}, ValueError),
        ({"kpool": 0}, ValueError),
        ({"page_size": 3}, ValueError),
        ({"max_table_width": -2}, ValueError),
        ({"num_tokens_bound": -2}, ValueError),
        ({"max_kv_bound": -2}, ValueError),
        ({"table_rows": "per_page"}, ValueError),
        ({"mqa_variant": "v2"}, ValueError),
        ({"mqa_lengths": "q"}, ValueError),
        ({"mqa_next_n": 0}, ValueError),
        ({"topk_plan_arch": "ampere"}, ValueError),
        ({"topk_plan_clusters": -1}, ValueError),
        ({"topk_plan_threshold": -2}, ValueError),
        ({"programmatic_launch": 1}, TypeError),
        ({"seq_lens": [5, 3]}, TypeError),
        ({"context": "cpu"}, TypeError),
        ({"num_sms": 3}, TypeError),
        ({"out": [1]}, TypeError),
        ({"out": {"nonsense": None}}, ValueError),
        ({"more_outputs": 3}, TypeError),
        ({"more_outputs": [3]}, TypeError),
        ({"no_such_argument": 3}, TypeError),
    ],
    ids=str,
)
def test_numbers_and_names(tensors, changes, exception):
    assert_refused(tensors, changes, exception, next(iter(changes)))


@pytest.mark.parametrize("name", ("seq_lens", "req_pool_indices", "req_to_token"))
@pytest.mark.parametrize("dtype", (np.float32, np.int16, np.uint32, np.bool_))
def test_dtype_of_an_input(tensors, name, dtype):
    shape = (2, 16) if name == "req_to_token" else (2,)
    assert_refused(tensors, {name: tensors.make(np.ones(shape), dtype)}, TypeError, name)


def test_shapes(tensors):
    assert_refused(tensors, {"seq_lens": tensors.make(np.ones((2, 2)))}, ValueError, "seq_lens")
    assert_refused(tensors, {"seq_lens": tensors.make(np.ones((2, 2, 2)))}, ValueError, "seq_lens")
    assert_refused(tensors, {"seq_lens": tensors.make(np.array(5))}, ValueError, "seq_lens")
    assert_refused(tensors, {"req_to_token": tensors.make([1, 2])}, ValueError, "req_to_token")
    assert_refused(tensors, {"req_to_token": None}, ValueError, "req_to_token")
    assert_refused(tensors, {"req_pool_indices": tensors.make([1])}, ValueError, "req_pool_indices")


def test_outputs(tensors):
    wrong = {
        "cu_seqlens_k": [
            (tensors.make([KEPT] * 2), ValueError),
            (tensors.make([KEPT] * 3, np.float32), TypeError),
            (tensors.make([KEPT] * 3, np.int64), ValueError),
            (tensors.make([[KEPT] * 3]), ValueError),
            ([KEPT] * 3, TypeError),
        ]
    }
    for name, outputs in wrong.items():
        for output, exception in outputs:
            assert_refused(tensors, {}, exception, name, {name: output})


def test_an_output_that_is_an_input(tensors):
    seq_lens = tensors.make([5, 3])
    call = {**arguments(tensors), "seq_lens": seq_lens, "out": {"cache_seqlens": seq_lens}}
    with pytest.raises(ValueError, match="cache_seqlens overlaps input seq_lens"):
        nsameta.build_metadata(**call)
    np.testing.assert_array_equal(tensors.read(seq_lens), [5, 3])


def test_strided_output(tensors):
    whole = tensors.make([KEPT] * 6)
    with pytest.raises(ValueError, match="cu_seqlens_k"):
        nsameta.build_metadata(**{**arguments(tensors), "out": {"cu_seqlens_k": whole[::2]}})
    assert (tensors.read(whole) == KEPT).all()


def test_read_only_memory():
    lens, sums = np.array([5, 3], np.int32), np.full(3, KEPT, np.int32)
    lens.flags.writeable = sums.flags.writeable = False
    with pytest.raises(ValueError, match="cu_seqlens_k"):
        nsameta.build_metadata(mode="decode", topk=4, seq_lens=lens, out={"cu_seqlens_k": sums})
    assert (sums == KEPT).all()
    writable = np.full(3, KEPT, np.int32)
    nsameta.build_metadata(mode="decode", topk=4, seq_lens=lens, out={"cu_seqlens_k": writable})
    np.testing.assert_array_equal(writable, [0, 5, 8])


class Copying:
    """A library whose __dlpack__ lends a copy."""

    def __init__(self, array):
        self.array = array

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, *, max_version=None, stream=None):
        return self.array.__dlpack__(max_version=max_version, stream=stream, copy=True)


def test_a_copy_is_no_output_but_a_good_input():
    sums = np.full(3, KEPT, np.int32)
    lens = np.array([5, 3], np.int32)
    with pytest.raises(ValueError, match="cu_seqlens_k"):
        nsameta.build_metadata(mode="decode", topk=4, seq_lens=lens, out={"cu_seqlens_k": Copying(sums)})
    assert (sums == KEPT).all()
    nsameta.build_metadata(mode="decode", topk=4, seq_lens=Copying(lens), out={"cu_seqlens_k": sums})
    np.testing.assert_array_equal(sums, [0, 5, 8])


class Failing:
    def __init__(self, error):
        self.error = error

    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, **arguments):
        raise self.error


@pytest.mark.parametrize(
    ("error", "exception"),
    [(BufferError("no"), ValueError), (TypeError("no"), TypeError), (KeyError("no"), ValueError)],
)
def test_a_producer_that_fails(error, exception):
    with pytest.raises(exception, match="seq_lens.*no") as raised:
        nsameta.build_metadata(mode="decode", topk=4, seq_lens=Failing(error), out={})
    assert raised.value.__cause__ is error


@pytest.mark.skipif(torch is None, reason="needs torch")
def test_torch_tensors_that_need_gradients_or_have_no_memory():
    needs_gradient = torch.ones(2, requires_grad=True)
    sums = torch.full((3,), KEPT, dtype=torch.int32)
    for wrong in (needs_gradient, torch.ones(2, dtype=torch.int32, device="meta"), torch.ones(2).to_sparse()):
        with pytest.raises((TypeError, ValueError), match="seq_lens"):
            nsameta.build_metadata(mode="decode", topk=4, seq_lens=wrong, out={"cu_seqlens_k": sums})
    assert (sums == KEPT).all()


@pytest.mark.skipif(torch is None, reason="needs torch")
def test_fake_tensors_are_refused():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        fake_lens, fake_sums = torch.ones(2, dtype=torch.int32), torch.ones(3, dtype=torch.int32)
    lens, sums = torch.ones(2, dtype=torch.int32), torch.full((3,), KEPT, dtype=torch.int32)
    with pytest.raises(ValueError, match="seq_lens: has elements, but no memory"):
        nsameta.build_metadata(mode="decode", topk=4, seq_lens=fake_lens, out={"cu_seqlens_k": sums})
    with pytest.raises(ValueError, match="cu_seqlens_k: has elements, but no memory"):
        nsameta.build_metadata(mode="decode", topk=4, seq_lens=lens, out={"cu_seqlens_k": fake_sums})
    assert (sums == KEPT).all()


def test_empty_tensors_are_taken(tensors):
    sums = tensors.make([KEPT])
    nsameta.build_metadata(
        mode="decode", topk=4, seq_lens=tensors.make([]), out={"cu_seqlens_k": sums, "cache_seqlens": tensors.make([])}
    )
    np.testing.assert_array_equal(tensors.read(sums), [0])


def test_empty_matrices_are_taken(tensors):
    nsameta.build_metadata(
        mode="decode", topk=4, seq_lens=tensors.make([]), out={"paged_mqa_ctx_lens_2d": tensors.make(np.zeros((0, 1)))}
    )
    nsameta.map_topk_to_slots(topk_indices=tensors.make(np.zeros((0, 6))), slots=tensors.make(np.zeros((0, 6))))


def test_positional_arguments_are_refused():
    with pytest.raises(TypeError, match="positional"):
        nsameta.build_metadata("decode")
    with pytest.raises(TypeError, match="neither a tensor nor a context"):
        nsameta.build_metadata(mode="decode", topk=4)
