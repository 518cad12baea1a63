"""The seed's three functions against the formulas."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nsameta.sglang.triton_metadata_kernel import (
    fill_draft_extend_metadata_fused,
    fill_draft_extend_metadata_fused_simple,
    fill_draft_extend_metadata_inplace,
)

from reference import KEPT, Step


def random_lengths(seed):
    rng = np.random.default_rng(seed)
    extend = rng.integers(0, 6, rng.integers(1, 20))
    # Where kv is less than q, lengths become negative: none is clamped.
    return extend, np.where(rng.integers(0, 2, len(extend)), rng.integers(0, 5000, len(extend)), 1)


def formulas(extend, seq_lens, topk):
    step = Step("draft_extend", seq_lens, extend, topk, clamp=False)
    return step.visible, step.sparse


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize("seed", range(20))
def test_simple_returns_new_tensors(seed, dtype):
    extend, seq_lens = random_lengths(seed)
    results = fill_draft_extend_metadata_fused_simple(
        torch.tensor(extend, dtype=dtype), torch.tensor(seq_lens, dtype=dtype), 2048
    )
    assert [each.tolist() for each in results] == list(formulas(extend, seq_lens, 2048))
    assert {each.dtype for each in results} == {torch.int32}


@pytest.mark.parametrize("seed", range(20))
def test_inplace_keeps_what_is_beyond_the_tokens(seed):
    extend, seq_lens = random_lengths(seed)
    tokens = int(extend.sum())
    buffers = [torch.full((tokens + spare,), KEPT, dtype=torch.int32) for spare in (0, 7)]
    assert fill_draft_extend_metadata_inplace(torch.tensor(extend), torch.tensor(seq_lens), 64, *buffers) == tokens
    for buffer, values in zip(buffers, formulas(extend, seq_lens, 64), strict=True):
        assert buffer.tolist() == values + [KEPT] * (len(buffer) - tokens)


@pytest.mark.parametrize("short", [0, 1])
def test_inplace_refuses_a_buffer_that_is_too_small(short):
    buffers = [torch.full((5 - (i == short),), KEPT, dtype=torch.int32) for i in range(2)]
    name = ["out_seqlens_expanded", "out_nsa_cache_seqlens"][short]
    with pytest.raises(AssertionError, match=f"{name} holds 4 elements"):
        fill_draft_extend_metadata_inplace(torch.tensor([2, 3]), torch.tensor([9, 9]), 64, *buffers)
    assert all((buffer == KEPT).all() for buffer in buffers)


def buffers_of_metadata(batch, tokens):
    shapes = {
        "nsa_seqlens_expanded": (tokens + 2,),
        "nsa_cache_seqlens_int32": (tokens + 2,),
        "cache_seqlens_int32": (batch,),
        "cu_seqlens_k": (batch + 1,),
        "page_table_1": (tokens, 20),
    }
    return SimpleNamespace(**{name: torch.full(shape, KEPT, dtype=torch.int32) for name, shape in shapes.items()})


def test_fused_fills_the_metadata_in_place():
    extend, seq_lens = np.array([2, 0, 3]), np.array([9, 5, 70])
    metadata = buffers_of_metadata(3, 5)
    pages = torch.arange(80, dtype=torch.int32).reshape(5, 16)
    cache = torch.tensor([9, 5, 70], dtype=torch.int32)
    result = fill_draft_extend_metadata_fused(
        torch.tensor(extend), torch.tensor(seq_lens), cache, cache.cumsum(0), pages, 64, metadata
    )
    assert result is None
    visible, sparse = formulas(extend, seq_lens, 64)
    assert metadata.nsa_seqlens_expanded.tolist() == [*visible, KEPT, KEPT]
    assert metadata.nsa_cache_seqlens_int32.tolist() == [*sparse, KEPT, KEPT]
    assert metadata.cache_seqlens_int32.tolist() == [9, 5, 70]
    assert metadata.cu_seqlens_k.tolist() == [KEPT, 9, 14, 84]
    assert torch.equal(metadata.page_table_1[:, :16], pages)
    assert (metadata.page_table_1[:, 16:] == KEPT).all()


def test_fused_writes_nothing_without_tokens():
    metadata = buffers_of_metadata(2, 0)
    lens = torch.tensor([9, 5], dtype=torch.int32)
    fill_draft_extend_metadata_fused(torch.tensor([0, 0]), lens, lens, lens, torch.zeros(0, 4), 64, metadata)
    assert all((tensor == KEPT).all() for tensor in vars(metadata).values())
