"""How the tests replay graphs of made-up backends."""

from dataclasses import replace

import nsameta
import torch
from fake_backend import MODES, SLACK
from nsameta.sglang.replay import apply_cuda_graph_metadata

from reference import KEPT

TABLES = [(1, True), (64, True), (64, False)]  # page size, whether the wide table is there

_of_the_shared_context = nsameta.Plan(mode="decode", topk=1, seq_lens=torch.tensor([1]), out={})


def launches():
    return _of_the_shared_context.context.num_launches


def arguments_of(case, seq_lens, pool):
    return {
        "bs": case.batch,
        "req_pool_indices": pool,
        "seq_lens": seq_lens,
        "seq_lens_cpu": None,
        "forward_mode": MODES[case.mode],
        "spec_info": None,
    }


def apply(backend, case, seq_lens, pool, **changed):
    return apply_cuda_graph_metadata(backend, **{**arguments_of(case, seq_lens, pool), **changed})


def replay_and_check(case, backend, seed, **inputs):
    case.poison()
    seq_lens, pool = case.inputs(seed, **inputs)
    assert apply(backend, case, seq_lens, pool) is None
    case.check()
    return seq_lens, pool


def flashmla_buffers(case, metadata, tokens):
    buffers = case.backend()._compute_flashmla_metadata(torch.zeros(tokens + SLACK, dtype=torch.int32), 1)
    buffers.flashmla_metadata.fill_(KEPT)
    buffers.num_splits.fill_(KEPT)
    return replace(metadata, flashmla_metadata=buffers)


def flashmla_backend(case):
    backend = case.backend()
    metadatas = backend.decode_cuda_graph_metadata
    metadatas[case.batch] = flashmla_buffers(case, metadatas[case.batch], case.tokens)
    backend.dsa_decode_impl = "flashmla_kv"
    return backend


def check_flashmla(case, backend):
    lengths = case.expected()["dsa_cache_seqlens_int32"]
    buffers = backend.forward_metadata.flashmla_metadata
    assert (buffers.flashmla_metadata == sum(lengths)).all()
    splits = [0, *torch.tensor(lengths).cumsum(0).tolist()]
    assert buffers.num_splits.tolist() == splits + [KEPT] * SLACK
