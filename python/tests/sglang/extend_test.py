"""The metadata of an extend against the formulas of docs/METADATA.md, request by request."""

import copy
import dataclasses
import random
import sys
from itertools import accumulate

import fake_backend_extend
import nsameta
import pytest
import torch
from fake_backend_extend import Backend, extend_batch, random_batch
from nsameta.sglang.extend import init_forward_metadata

DEVICES = [
    "cpu",
    pytest.param("cuda:0", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA")),
]


def expected(backend, batch, uses_fp8_mha):
    """Every field of DSAMetadata; lists for the tensors."""
    new, kv = batch.extend_seq_lens_cpu, batch.seq_lens_cpu.tolist()
    starts = list(accumulate(kv, initial=0))
    tokens = [(r, kv[r] - new[r] + 1 + j) for r in range(len(kv)) for j in range(new[r])]
    visible = [seen for _, seen in tokens]
    sparse = [min(seen, backend.dsa_index_topk) for seen in visible]
    sparse += [0] * (batch.num_padded_tokens - len(sparse))
    table, rows = backend.req_to_token_pool.req_to_token.cpu(), batch.req_pool_indices.tolist()
    wide = [table[row, : max(kv)].tolist() for row in rows]
    page = backend.physical_page_size
    has_prefix, is_ragged = any(batch.extend_prefix_lens_cpu), backend.decision.is_ragged
    is_flattened = has_prefix and (is_ragged or uses_fp8_mha)
    of_token = [starts[r] for r, _ in tokens]
    uses_flashmla = backend.decision.impl == "flashmla_kv" and not backend.decision.use_mha
    fields = {field.name: field.default for field in dataclasses.fields(fake_backend_extend.DSAMetadata)}
    return fields | {
        "page_size": page,
        "cache_seqlens_int32": kv,
        "max_seq_len_q": max(new) if has_prefix else max(kv),
        "max_seq_len_k": max(kv),
        "cu_seqlens_q": list(accumulate(new, initial=0)) if has_prefix else starts,
        "cu_seqlens_k": starts,
        "page_table_1": wide,
        "real_page_table": [[slot // page for slot in row[::page]] for row in wide],
        "dsa_cache_seqlens_int32": sparse,
        "dsa_cu_seqlens_q": list(range(len(sparse) + 1)),
        "dsa_cu_seqlens_k": list(accumulate(sparse, initial=0)),
        "dsa_extend_seq_lens_list": new,
        "dsa_seqlens_expanded": visible,
        "flashmla_metadata": ("flashmla", sparse, 1) if uses_flashmla else None,
        "topk_v2_plan": ("plan", visible),
        "seq_lens_sum": sum(kv),
        "page_table_1_flattened": [slot for row, length in zip(wide, kv, strict=True) for slot in row[:length]]
        if is_flattened
        else None,
        "topk_indices_offset": of_token if is_ragged else None,
        "indexer_k_start_end": (of_token, [start + seen for start, seen in zip(of_token, visible, strict=True)]),
        "indexer_seq_lens_cpu": kv,
        "indexer_seq_lens": kv,
        "token_to_batch_idx": [r for r, _ in tokens],
    }


def plain(value):
    """Lists in the place of tensors, which must be what consumers expect."""
    if isinstance(value, tuple):
        return tuple(plain(each) for each in value)
    if not isinstance(value, torch.Tensor):
        return value
    assert value.is_contiguous()
    assert type(value) is torch.Tensor
    return value.tolist()


def check(backend, batch):
    seq_lens, seq_lens_cpu = batch.seq_lens, batch.seq_lens_cpu
    assert init_forward_metadata(backend, batch) is None
    metadata = backend.forward_metadata
    uses_fp8_mha = backend.decision.use_mha and backend.token_to_kv_pool.dtype == torch.float8_e4m3fn
    assert batch.using_mha_one_shot_fp8_dequant is uses_fp8_mha
    for name, value in expected(backend, batch, uses_fp8_mha).items():
        assert plain(getattr(metadata, name)) == value, name
    assert metadata.indexer_seq_lens is seq_lens is batch.seq_lens
    assert metadata.indexer_seq_lens_cpu is seq_lens_cpu is batch.seq_lens_cpu
    assert metadata.dsa_extend_seq_lens_list is batch.extend_seq_lens_cpu
    assert (metadata.cu_seqlens_q is metadata.cu_seqlens_k) == (not any(batch.extend_prefix_lens_cpu))
    assert (metadata.real_page_table is metadata.page_table_1) == (backend.physical_page_size == 1)
    tensors = built_tensors(metadata)
    assert {(tensor.dtype, tensor.device) for tensor in tensors} == {(torch.int32, seq_lens.device)}


def built_tensors(metadata):
    values = [getattr(metadata, field.name) for field in dataclasses.fields(metadata)]
    values += metadata.indexer_k_start_end
    given = (metadata.indexer_seq_lens, metadata.indexer_seq_lens_cpu)
    return [value for value in values if isinstance(value, torch.Tensor) and all(value is not each for each in given)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(60))
def test_random_batches(seed, device):
    draw = random.Random(seed)
    backend = Backend(
        page_size=draw.choice([1, 64]),
        topk=draw.choice([1, 64, 2048]),
        is_ragged=draw.random() < 0.5,
        use_mha=draw.random() < 0.5,
        impl=draw.choice(["fa3", "flashmla_kv"]),
        is_fp8=draw.random() < 0.5,
        device=device,
    )
    for _ in range(3):
        check(backend, random_batch(draw, device))


@pytest.mark.parametrize("device", DEVICES)
def test_in_inference_mode(device):
    with torch.inference_mode():
        check(Backend(is_ragged=True, device=device), extend_batch([3, 0, 70], [10, 1, 0], device))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA")
def test_never_waits_for_the_gpu():
    backend, batch = Backend(is_ragged=True, device="cuda:0"), extend_batch([3, 70], [10, 0], "cuda:0")
    backend._build_topk_v2_plan = lambda _: None
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert init_forward_metadata(backend, batch) is None
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_one_launch(monkeypatch):
    calls, build_metadata = [], nsameta.build_metadata
    monkeypatch.setattr(nsameta, "build_metadata", lambda **arguments: calls.append(build_metadata(**arguments)))
    check(Backend(is_ragged=True), extend_batch([3, 2, 9], [10, 0, 0]))
    assert len(calls) == 1


def test_small_tensors_share_memory_but_no_cache_line():
    backend = Backend(is_ragged=True)
    check(backend, extend_batch([33, 2, 9], [10, 0, 0]))
    tensors = built_tensors(backend.forward_metadata)
    assert {each.storage_offset() * 4 % 128 for each in tensors} == {0}
    assert len({each.untyped_storage().data_ptr() for each in tensors}) == 5  # three tables, and SGLang's arange
    for each in tensors:
        each.fill_(1)


def test_keys_are_added_up_as_numbers():
    backend, batch = Backend(), extend_batch([3, 2], [10, 0])
    check(backend, batch)
    assert (backend.num_keys_seen, type(backend.num_keys_seen)) == (15, int)


def test_keys_beyond_the_table_are_cut():
    backend = Backend(page_size=1)
    backend.req_to_token_pool.req_to_token = backend.req_to_token_pool.req_to_token[:, :12]
    assert init_forward_metadata(backend, extend_batch([3, 2], [10, 0])) is None
    assert backend.forward_metadata.page_table_1.shape == (2, 12)
    assert backend.forward_metadata.max_seq_len_k == 13


DECLINED = {
    "another mode": lambda backend, batch: setattr(batch.forward_mode, "is_extend_without_speculative", lambda: False),
    "pools of keys": lambda backend, batch: setattr(backend, "dsa_index_kpool", 4),
    "a sharded cache": lambda backend, batch: setattr(backend, "_kv_shard_pool", object()),
    "context parallelism": lambda backend, batch: setattr(batch, "is_split_over_ranks", True),
    "another device": lambda backend, batch: setattr(batch, "seq_lens", batch.seq_lens.to("meta")),
    "no lengths on the host": lambda backend, batch: setattr(batch, "seq_lens_cpu", None),
    "no new tokens on the device": lambda backend, batch: setattr(batch, "extend_seq_lens", None),
    "no new tokens on the host": lambda backend, batch: setattr(batch, "extend_seq_lens_cpu", None),
    "no prefixes": lambda backend, batch: setattr(batch, "extend_prefix_lens_cpu", None),
    "keys of fewer requests": lambda backend, batch: setattr(batch, "seq_lens", batch.seq_lens[:1]),
    "rows of fewer requests": lambda backend, batch: setattr(batch, "req_pool_indices", batch.req_pool_indices[:1]),
    "a smaller batch": lambda backend, batch: setattr(batch, "batch_size", 1),
    "new tokens of fewer requests": lambda backend, batch: setattr(batch, "extend_seq_lens_cpu", [3]),
    "no new token": lambda backend, batch: setattr(batch, "extend_seq_lens_cpu", [0, 0]),
}


@pytest.mark.parametrize("reason", DECLINED)
def test_what_is_not_built_is_left_alone(reason):
    backend, batch = Backend(), extend_batch([3, 2], [10, 0])
    DECLINED[reason](backend, batch)
    before = dict(vars(backend)), dict(vars(batch))
    assert init_forward_metadata(backend, batch) is NotImplemented
    assert all(vars(of) == was for of, was in zip((backend, batch), before, strict=True))


def test_an_empty_batch_is_left_alone():
    assert init_forward_metadata(Backend(), extend_batch([], [])) is NotImplemented


def test_slots_are_checked_by_the_original_where_keys_outnumber_the_cache():
    backend, batch = Backend(is_ragged=True), extend_batch([3, 2], [10, 0])
    backend.token_to_kv_pool.size, backend.token_to_kv_pool.page_size = 10, 4
    before = copy.copy(batch)
    assert init_forward_metadata(backend, batch) is NotImplemented
    assert backend.forward_metadata is None
    assert vars(batch) == vars(before)
    backend.token_to_kv_pool.page_size = 5
    check(backend, batch)
    backend.token_to_kv_pool.size, backend.decision.is_ragged = 0, False
    check(backend, batch)


@pytest.mark.parametrize("change", ["one field more", "one field less"])
def test_another_release_is_left_alone(monkeypatch, change):
    fields = [(field.name, object, None) for field in dataclasses.fields(fake_backend_extend.DSAMetadata)]
    fields = [*fields, ("of_tomorrow", object, None)] if change == "one field more" else fields[:-1]
    monkeypatch.setattr(
        sys.modules[Backend.__module__], "DSAMetadata", dataclasses.make_dataclass("DSAMetadata", fields)
    )
    assert init_forward_metadata(Backend(), extend_batch([3], [0])) is NotImplemented
