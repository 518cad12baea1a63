"""Replays of all draft backends at once: one launch, and nothing stale in any of them."""

from types import SimpleNamespace

import pytest
import torch
from fake_backend import Case
from nsameta.sglang.replay import init_forward_metadata_out_graph
from replaying import TABLES, check_flashmla, flashmla_backend, launches

from reference import KEPT


class SimpleMultiStep(SimpleNamespace):
    __hash__ = object.__hash__


def multi_step(case, steps=4):
    backends = [case.backend() for _ in range(steps - 1)]
    return SimpleMultiStep(attn_backends=backends, speculative_num_steps=steps)


def replay(multi, case, seq_lens, pool, **keywords):
    batch = SimpleNamespace(batch_size=case.batch, seq_lens=seq_lens, req_pool_indices=pool)
    return init_forward_metadata_out_graph(multi, batch, **keywords)


@pytest.mark.parametrize("steps", [2, 4, 9])
@pytest.mark.parametrize("tables", TABLES, ids=str)
def test_one_launch_leaves_nothing_stale(engine, tables, steps):
    case = Case(engine, "decode", 5, *tables)
    multi = multi_step(case, steps)
    for seed in range(4):
        case.poison()
        seq_lens, pool = case.inputs(seed)
        before = launches()
        assert replay(multi, case, seq_lens, pool) is None
        assert seed == 0 or launches() == before + 1
        case.check()
        for backend in multi.attn_backends:
            assert backend.forward_metadata is backend.decode_cuda_graph_metadata[case.batch]
            assert backend.prefill_choices == [None] * (seed + 1)


def test_another_buffer_of_any_backend_is_seen(engine):
    case = Case(engine, "decode")
    multi = multi_step(case)
    inputs = case.inputs(1)
    replay(multi, case, *inputs)
    metadata = multi.attn_backends[2].decode_cuda_graph_metadata[case.batch]
    object.__setattr__(metadata, "cu_seqlens_k", torch.full((case.batch + 1,), KEPT, dtype=torch.int32))
    case.bases[2]["cu_seqlens_k"] = metadata.cu_seqlens_k
    case.poison()
    replay(multi, case, *inputs)
    case.check()


def test_flashmla_gets_its_schedule_in_all_backends(engine):
    case = Case(engine, "decode")
    multi = multi_step(case, steps=1)
    multi.attn_backends, multi.speculative_num_steps = [flashmla_backend(case) for _ in range(3)], 4
    assert replay(multi, case, *case.inputs(1)) is None
    for backend in multi.attn_backends:
        check_flashmla(case, backend)


@pytest.mark.parametrize("steps", [1, 10])
def test_no_backends_or_too_many(engine, steps):
    case = Case(engine, "decode")
    assert replay(multi_step(case, steps), case, *case.inputs(1)) is NotImplemented


def test_a_capture_is_left_alone(engine):
    case = Case(engine, "decode")
    assert replay(multi_step(case), case, *case.inputs(1), in_capture=True) is NotImplemented
    assert case.is_untouched()


def test_pools_are_left_alone(engine):
    case = Case(engine, "decode", kpool=4)
    assert replay(multi_step(case), case, *case.inputs(1)) is NotImplemented
    assert case.is_untouched()


def without_its_buffers(backend, batch):
    del backend.decode_cuda_graph_metadata[batch]


def with_another_topk(backend, batch):
    backend.dsa_index_topk = 4


def with_another_table(backend, batch):
    backend.req_to_token = backend.req_to_token.clone()


def with_a_narrow_table(backend, batch):
    metadata = backend.decode_cuda_graph_metadata[batch]
    object.__setattr__(metadata, "page_table_1", metadata.page_table_1[:, :128])


@pytest.mark.parametrize(
    "change",
    [without_its_buffers, with_another_topk, with_another_table, with_a_narrow_table],
    ids=lambda f: f.__name__,
)
def test_backends_that_differ_are_left_alone(engine, change):
    case = Case(engine, "decode")
    unlike = multi_step(case)
    change(unlike.attn_backends[1], case.batch)
    assert replay(unlike, case, *case.inputs(1)) is NotImplemented
    assert case.is_untouched()
