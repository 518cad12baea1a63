"""ks, ke and token_to_batch_idx against a loop over the requests."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nsameta.sglang.prefill import cal_indexer_k_start_end, indexer_k_start_end


def by_loop(seq_lens, extend_seq_lens):
    ks, ke, request, keys_before = [], [], [], 0
    for r, (kv, new) in enumerate(zip(seq_lens, extend_seq_lens, strict=True)):
        for j in range(new):
            ks.append(keys_before)
            ke.append(keys_before + kv - new + 1 + j)
            request.append(r)
        keys_before += kv
    return ks, ke, request


def batch(seq_lens, extend_seq_lens, is_extend=True):
    return SimpleNamespace(
        forward_mode=SimpleNamespace(is_extend_without_speculative=lambda: is_extend),
        batch_size=len(seq_lens),
        seq_lens=torch.tensor(seq_lens, dtype=torch.int64),
        extend_seq_lens=torch.tensor(extend_seq_lens, dtype=torch.int32),
        extend_seq_lens_cpu=list(extend_seq_lens),
    )


def test_example():
    (ks, ke), request = indexer_k_start_end(torch.tensor([10, 4]), torch.tensor([3, 2]), 5)
    assert ks.tolist() == [0, 0, 0, 10, 10]
    assert ke.tolist() == [8, 9, 10, 13, 14]
    assert request.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("seed", range(30))
def test_random_batches(seed):
    rng = np.random.default_rng(seed)
    new = rng.integers(0, 200, rng.integers(1, 12))
    seq_lens = (new + rng.integers(0, 2, len(new)) * rng.integers(0, 1000, len(new))).tolist()
    (ks, ke), request = cal_indexer_k_start_end(None, batch(seq_lens, new.tolist()))
    assert [each.tolist() for each in (ks, ke, request)] == list(by_loop(seq_lens, new.tolist()))
    assert {each.dtype for each in (ks, ke, request)} == {torch.int32}


def test_fewer_keys_than_new_tokens_are_not_clamped():
    (_, ke), _ = indexer_k_start_end(torch.tensor([1]), torch.tensor([3]), 3)
    assert ke.tolist() == [-1, 0, 1]


def test_requests_beyond_the_batch_do_not_count():
    padded = batch([10, 4, 99], [3, 2, 9])
    padded.batch_size = 2
    (ks, _), request = cal_indexer_k_start_end(None, padded)
    assert ks.tolist() == [0, 0, 0, 10, 10]
    assert request.tolist() == [0, 0, 0, 1, 1]


def test_other_modes_have_none():
    assert cal_indexer_k_start_end(None, batch([10], [3], is_extend=False)) == (None, None)


def test_what_is_not_built_is_left_to_the_original():
    on_host = batch([10], [3])
    on_host.extend_seq_lens = None
    assert cal_indexer_k_start_end(None, batch([10, 4], [3, 2]), [1]) is NotImplemented
    assert cal_indexer_k_start_end(None, batch([], [])) is NotImplemented
    assert cal_indexer_k_start_end(None, on_host) is NotImplemented
