"""Each tensor of each operation in turn is wrong in each way that is refused: the exception names it, and nothing has
been written.
"""

import functools
import re
from dataclasses import dataclass

import lender
import nsameta
import numpy as np
import pytest
from libraries import LIBRARIES, torch

from reference import KEPT

LENDING = [library for library in LIBRARIES if library.name != "capsule"]


@dataclass
class Tensor:
    values: np.ndarray
    is_output: bool = False
    may_be_int64: bool = False
    may_be_strided: bool = True
    needs_rows: bool = True  # one row less is too few


def taken(values, **options):
    return Tensor(np.array(values, np.int32), **options)


def written(*shape, **options):
    return Tensor(np.full(shape, KEPT, np.int32), is_output=True, **{"may_be_strided": False, **options})


TABLE = np.arange(64).reshape(4, 16)
LENGTHS, Q, POOL = [5, 9, 4], [2, 1, 1], [1, 0, 3]
BUILD_INPUTS = {
    "seq_lens": taken(LENGTHS, may_be_int64=True),
    "extend_seq_lens": taken(Q, may_be_int64=True),
    "num_requests": taken([3]),
    "req_pool_indices": taken(POOL, may_be_int64=True),
    "req_to_token": taken(TABLE, needs_rows=False),
}
PER_TOKEN = (
    "seqlens_expanded",
    "nsa_cache_seqlens",
    "token_to_batch_idx",
    "topk_indices_offset",
    "indexer_ks",
    "indexer_ke",
)
BUILD_OUTPUTS = {
    **{name: written(4, needs_rows=False) for name in PER_TOKEN},  # the host does not know T
    "nsa_cu_seqlens_k": written(5, needs_rows=False),
    "positions": written(4, may_be_int64=True, needs_rows=False),
    "out_slots": written(4, may_be_int64=True, needs_rows=False),
    "cache_seqlens": written(3),
    "cu_seqlens_k": written(4),
    "cu_seqlens_q": written(4),
    "paged_mqa_ctx_lens_2d": written(3, 2),
    "total_tokens": written(1, may_be_strided=True),
    "page_table_1": written(3, 16, may_be_strided=True),
    "real_page_table": written(3, 4, may_be_strided=True),
    "page_table_1_flattened": written(18, needs_rows=False),
    "paged_mqa_schedule": written(5, 2, needs_rows=False),
    "topk_plan": written(5, 2, needs_rows=False),
}
VERIFY_OUTPUTS = {name: written(6) for name in (*PER_TOKEN, "nsa_cu_seqlens_k")}
VERIFY_OUTPUTS["nsa_cu_seqlens_k"] = written(7)
CHOSEN = taken([[0, 3], [1, -1], [2, 2], [0, 0]], may_be_strided=False, needs_rows=False)
MAPPED = {"topk_indices": CHOSEN, "slots": written(4, 2), "num_valid": written(4)}
BY_REQUEST = {
    "req_to_token": taken(TABLE, needs_rows=False),
    "req_pool_indices": taken(POOL, may_be_int64=True, needs_rows=False),
}


def build_arguments(tensors, **numbers):
    inputs = {name: tensor for name, tensor in tensors.items() if name in BUILD_INPUTS}
    out = {name: tensor for name, tensor in tensors.items() if name not in BUILD_INPUTS}
    return {"batch": 3, "topk": 4, **numbers, **inputs, "out": out}


def copy_arguments(tensors):
    return {"pairs": [tuple(tensors[f"pairs[{i}].{side}"] for side in ("source", "destination")) for i in range(2)]}


# Of each kind of call: the operation, its tensors, and what makes its arguments of them.
CALLS = {
    "build": ("build_metadata", BUILD_INPUTS | BUILD_OUTPUTS, lambda t: build_arguments(t, mode="extend", page_size=4)),
    "verify": (
        "build_metadata",
        {"seq_lens": BUILD_INPUTS["seq_lens"]} | VERIFY_OUTPUTS,
        lambda t: build_arguments(t, mode="target_verify", tokens_per_request=2),
    ),
    "copy": (
        "copy_metadata",
        {
            "pairs[0].source": taken([1, 2]),
            "pairs[0].destination": written(2, may_be_strided=True),
            "pairs[1].source": taken(TABLE),
            "pairs[1].destination": written(4, 16, may_be_strided=True),
        },
        copy_arguments,
    ),
    "map by token_to_batch": (
        "map_topk_to_slots",
        {**MAPPED, **BY_REQUEST, "token_to_batch": taken([0, 0, 1, 2])},
        dict,
    ),
    "map by cu_seqlens_q": ("map_topk_to_slots", {**MAPPED, **BY_REQUEST, "cu_seqlens_q": taken([0, 2, 3, 4])}, dict),
    "map by page_table": (
        "map_topk_to_slots",
        {**MAPPED, "page_table": taken(TABLE), "offset": taken([0, 1, 0, 1])},
        dict,
    ),
    "map by flattened": ("map_topk_to_slots", {**MAPPED, "flattened": taken(range(20), needs_rows=False)}, dict),
    "schedule": (
        "mla_schedule",
        {
            "seq_lens": taken(LENGTHS, may_be_int64=True),
            "parts": written(4, 8, needs_rows=False),
            "num_splits": written(4),
        },
        lambda t: {"batch": 3, **t},
    ),
}


def wrong_tensors(library, tensor):
    """(what is wrong, tensor) of each way in which it is refused."""
    values = tensor.values
    for dtype in (np.float32, np.float64, np.int16, np.uint32, np.uint64, np.bool_):
        yield dtype.__name__, library.make(values, dtype)
    if not tensor.may_be_int64:
        yield "int64", library.make(values, np.int64)
    yield "no dimension", library.make(values.flat[0])
    yield "three dimensions", library.make(values[None] if values.ndim == 2 else values[None, None])
    yield "the other number of dimensions", library.make(values[0] if values.ndim == 2 else values[:, None])
    if tensor.needs_rows:
        yield "a row less", library.make(values[:-1])
    if not tensor.may_be_strided:
        yield "strided", library.make(np.repeat(values, 2, axis=-1))[..., ::2]
    yield "a list", values.tolist()
    if library.is_on_host:
        yield "no memory of the host", lender.CapsuleTensor(values.copy())
    else:
        yield "memory of the host", values.copy()
    yield "memory of a device that nsameta does not know", lender.CapsuleTensor(values.copy(), (lender.METAL, 0))
    if library.name == "numpy":
        if tensor.is_output:
            read_only = values.copy()
            read_only.flags.writeable = False
            yield "read-only", read_only
        return
    yield "no memory", torch.empty(values.shape, dtype=torch.int32, device="meta")
    yield "needs a gradient", torch.ones(values.shape, requires_grad=True)
    yield "sparse", torch.from_numpy(values).to_sparse()


def printed(tensor):
    return str(getattr(tensor, "array", tensor))


@pytest.mark.parametrize("library", LENDING, ids=lambda library: library.name)
@pytest.mark.parametrize("kind", CALLS)
def test_the_tensors_are_right_as_they_are(kind, library):
    operation, tensors, arguments = CALLS[kind]
    made = {name: library.make(tensor.values) for name, tensor in tensors.items()}
    getattr(nsameta, operation)(**arguments(made))
    for name, tensor in tensors.items():
        has_changed = (library.read(made[name]) != tensor.values).any()
        assert has_changed == (tensor.is_output and name != "topk_plan"), name


@pytest.mark.parametrize("library", LENDING, ids=lambda library: library.name)
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in CALLS for name in CALLS[kind][1]])
def test_a_wrong_tensor_is_named_and_nothing_is_written(kind, name, library):
    operation, tensors, arguments = CALLS[kind]
    context = nsameta.Context("cpu" if library.is_on_host else "cuda")
    named = name.removesuffix("source")  # a destination is at fault where the two differ
    for wrong, tensor in wrong_tensors(library, tensors[name]):
        made = {each: library.make(right.values) for each, right in tensors.items() if each != name}
        call, before = arguments({**made, name: tensor}), printed(tensor)
        for refuses in (getattr(nsameta, operation), functools.partial(nsameta.Plan, operation)):
            with pytest.raises((TypeError, ValueError), match=re.escape(named)):
                refuses(**call, context=context)
                pytest.fail(f"{name}: {wrong} was taken")
        for each, right in made.items():
            np.testing.assert_array_equal(library.read(right), tensors[each].values, err_msg=f"{name}: {wrong}")
        assert printed(tensor) == before
