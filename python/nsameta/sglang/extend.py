"""Drop-in for the extend (prefill) branch of SGLang 0.5.23's DeepseekSparseAttnBackend.init_forward_metadata.

All tensors of the step in one launch, whatever the number of requests, without waiting for the device. What a mode or a
strategy beside it needs stays with SGLang's function, and so do the decisions that are taken here by SGLang's methods.
"""

import copy
import functools
import sys
import typing

import torch

import nsameta

_METADATA_FIELDS = (
    "page_size cache_seqlens_int32 max_seq_len_q max_seq_len_k cu_seqlens_q cu_seqlens_k page_table_1 real_page_table "
    "dsa_cache_seqlens_int32 dsa_cu_seqlens_q dsa_cu_seqlens_k dsa_extend_seq_lens_list dsa_seqlens_expanded "
    "dsa_max_seqlen_q flashmla_metadata paged_mqa_schedule_metadata paged_mqa_ctx_lens_2d topk_v2_plan seq_lens_sum "
    "page_table_1_flattened topk_indices_offset indexer_k_start_end indexer_logical_page_table indexer_seq_lens_cpu "
    "indexer_seq_lens token_to_batch_idx pooled_index_kpool pooled_cache_seqlens_int32 pooled_real_page_table "
    "pooled_paged_mqa_schedule_metadata pooled_topk_v2_plan kpool_extend_plan kpool_write_plan"
)
_LINE = 32  # int32 in 128 bytes: tensors that share an allocation share no line of a GPU's cache


class _Step(typing.NamedTuple):
    """What the host knows of a batch, and what was decided for it."""

    batch: int
    num_tokens: int
    num_keys: int
    max_kv: int
    has_prefix: bool
    is_ragged: bool
    uses_fp8_mha: bool

    @property
    def is_flattened(self):
        return self.has_prefix and (self.is_ragged or self.uses_fp8_mha)


class _HostLens(torch.Tensor):
    """Lengths on the host. A sum() over them adds numbers, where a tensor takes a microsecond for each element."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    def __iter__(self):
        return iter(self.tolist())


def init_forward_metadata(self, forward_batch):
    """NotImplemented, which leaves the call to the original, for what it does not build: see docs/SGLANG.md."""
    sglang = sys.modules[type(self).__module__]
    if not _is_known_release(sglang.DSAMetadata) or not _is_built_here(self, forward_batch, sglang):
        return NotImplemented
    # Changes nothing that the original, if the call is left to it after all, would not change in the same way.
    self.set_dsa_prefill_impl(_with_host_lens(forward_batch))
    step = _step(self, forward_batch, sglang)
    if step.is_flattened and forward_batch.seq_lens_sum > self.token_to_kv_pool.size + self.token_to_kv_pool.page_size:
        return NotImplemented  # the original looks at the slots then, which waits for the device

    out = _allocate(self, forward_batch.seq_lens.device, step)
    sparse_lens = _pad_sparse_lens(sglang, forward_batch, out)
    _build(self, forward_batch, step, out)
    forward_batch.using_mha_one_shot_fp8_dequant = step.uses_fp8_mha
    self.forward_metadata = _metadata(self, forward_batch, sglang, step, out, sparse_lens)
    return None


@functools.cache
def _is_known_release(metadata_class):
    return " ".join(getattr(metadata_class, "__dataclass_fields__", ())) == _METADATA_FIELDS


def _is_built_here(backend, forward_batch, sglang):
    return (
        forward_batch.forward_mode.is_extend_without_speculative()
        and backend.dsa_index_kpool <= 1
        and backend._kv_shard_pool is None
        and forward_batch.seq_lens.device.type in ("cuda", "cpu")
        and forward_batch.seq_lens_cpu is not None
        and forward_batch.extend_seq_lens is not None
        and forward_batch.extend_seq_lens_cpu is not None
        and forward_batch.extend_prefix_lens_cpu is not None
        and forward_batch.batch_size == len(forward_batch.seq_lens) == len(forward_batch.seq_lens_cpu)
        and forward_batch.batch_size == len(forward_batch.extend_seq_lens) == len(forward_batch.extend_seq_lens_cpu)
        and forward_batch.batch_size == len(forward_batch.req_pool_indices)
        and sum(forward_batch.extend_seq_lens_cpu) > 0
        and not sglang.can_dsa_prefill_cp_interleave(forward_batch)
    )


def _with_host_lens(forward_batch):
    batch = copy.copy(forward_batch)
    batch.seq_lens_cpu = forward_batch.seq_lens_cpu.as_subclass(_HostLens)
    return batch


def _step(backend, forward_batch, sglang):
    kv = forward_batch.seq_lens_cpu.tolist()
    method = backend.get_topk_transform_method(forward_batch.forward_mode)
    return _Step(
        batch=forward_batch.batch_size,
        num_tokens=sum(forward_batch.extend_seq_lens_cpu),
        num_keys=sum(kv),
        max_kv=max(kv),
        has_prefix=any(forward_batch.extend_prefix_lens_cpu),
        is_ragged=method == sglang.TopkTransformMethod.RAGGED,
        uses_fp8_mha=backend.use_mha and backend.token_to_kv_pool.dtype == torch.float8_e4m3fn,
    )


def _allocate(backend, device, step):
    per_token = ["seqlens_expanded", "nsa_cache_seqlens", "indexer_ks", "indexer_ke", "token_to_batch_idx"]
    if step.is_ragged:
        per_token.append("topk_indices_offset")
    lengths = dict.fromkeys(per_token, step.num_tokens)
    lengths["nsa_cu_seqlens_k"] = step.num_tokens + 1
    lengths["cache_seqlens"] = step.batch
    lengths["cu_seqlens_k"] = step.batch + 1
    if step.has_prefix:
        lengths["cu_seqlens_q"] = step.batch + 1

    sizes = [size for length in lengths.values() for size in (length, -length % _LINE)]
    empty = functools.partial(torch.empty, dtype=torch.int32, device=device)
    out = dict(zip(lengths, empty(sum(sizes)).split_with_sizes(sizes)[::2], strict=True))
    # Large ones have memory of their own, so that nothing small keeps it.
    width = min(step.max_kv, backend.req_to_token_pool.req_to_token.shape[1])
    out["page_table_1"] = empty((step.batch, width))
    if backend.physical_page_size > 1:
        out["real_page_table"] = empty((step.batch, -(-width // backend.physical_page_size)))
    if step.is_flattened:
        out["page_table_1_flattened"] = empty(step.num_keys)
    return out


def _pad_sparse_lens(sglang, forward_batch, out):
    """The lengths with SGLang's padding for data parallelism, if any; of `out`, the part and the sums to be built."""
    lens = out["nsa_cache_seqlens"]
    padded = sglang.pad_dsa_cache_seqlens(forward_batch, lens)
    if padded is not lens:
        out["nsa_cache_seqlens"] = padded[: len(lens)]
        out["nsa_cu_seqlens_k"] = lens.new_empty(len(padded) + 1)
    return padded


def _build(backend, forward_batch, step, out):
    nsameta.build_metadata(
        mode="extend",
        seq_lens=forward_batch.seq_lens,
        extend_seq_lens=forward_batch.extend_seq_lens,
        req_pool_indices=forward_batch.req_pool_indices,
        req_to_token=backend.req_to_token_pool.req_to_token,
        topk=backend.dsa_index_topk,
        page_size=backend.physical_page_size,
        table_width="full",
        tail="last",  # only the sums may be longer than the tokens: over padding they stay what they are
        num_tokens_bound=step.num_tokens,
        max_kv_bound=step.max_kv,
        out=out,
    )


def _metadata(backend, forward_batch, sglang, step, out, sparse_lens):
    uses_flashmla_kv = not backend.use_mha and backend.dsa_prefill_impl == "flashmla_kv"
    return sglang.DSAMetadata(
        page_size=backend.physical_page_size,
        cache_seqlens_int32=out["cache_seqlens"],
        max_seq_len_q=max(forward_batch.extend_seq_lens_cpu) if step.has_prefix else step.max_kv,
        max_seq_len_k=step.max_kv,
        cu_seqlens_q=out["cu_seqlens_q"] if step.has_prefix else out["cu_seqlens_k"],
        cu_seqlens_k=out["cu_seqlens_k"],
        seq_lens_sum=forward_batch.seq_lens_sum,
        page_table_1=out["page_table_1"],
        page_table_1_flattened=out.get("page_table_1_flattened"),
        flashmla_metadata=(
            backend._compute_flashmla_metadata(cache_seqlens=sparse_lens, seq_len_q=1) if uses_flashmla_kv else None
        ),
        dsa_cache_seqlens_int32=sparse_lens,
        dsa_cu_seqlens_q=backend.get_device_int32_arange(len(out["nsa_cu_seqlens_k"])),
        dsa_cu_seqlens_k=out["nsa_cu_seqlens_k"],
        dsa_seqlens_expanded=out["seqlens_expanded"],
        dsa_extend_seq_lens_list=forward_batch.extend_seq_lens_cpu,
        real_page_table=out.get("real_page_table", out["page_table_1"]),
        topk_indices_offset=out.get("topk_indices_offset"),
        indexer_k_start_end=(out["indexer_ks"], out["indexer_ke"]),
        indexer_seq_lens_cpu=forward_batch.seq_lens_cpu,
        indexer_seq_lens=forward_batch.seq_lens,
        token_to_batch_idx=out["token_to_batch_idx"],
        topk_v2_plan=backend._build_topk_v2_plan(out["seqlens_expanded"]),
    )
