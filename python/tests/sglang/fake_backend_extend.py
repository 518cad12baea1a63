"""As much of SGLang 0.5.23's module dsa_backend as an extend needs, made up, and batches for it."""

import dataclasses
import enum
import random
from types import SimpleNamespace

import torch

_REQUIRED = (
    "page_size cache_seqlens_int32 max_seq_len_q max_seq_len_k cu_seqlens_q cu_seqlens_k page_table_1 real_page_table "
    "dsa_cache_seqlens_int32 dsa_cu_seqlens_q dsa_cu_seqlens_k dsa_extend_seq_lens_list dsa_seqlens_expanded"
)
_OPTIONAL = (
    "flashmla_metadata paged_mqa_schedule_metadata paged_mqa_ctx_lens_2d topk_v2_plan seq_lens_sum "
    "page_table_1_flattened topk_indices_offset indexer_k_start_end indexer_logical_page_table indexer_seq_lens_cpu "
    "indexer_seq_lens token_to_batch_idx"
)
_POOLED = (
    "pooled_cache_seqlens_int32 pooled_real_page_table pooled_paged_mqa_schedule_metadata pooled_topk_v2_plan "
    "kpool_extend_plan kpool_write_plan"
)
DSAMetadata = dataclasses.make_dataclass(
    "DSAMetadata",
    [
        *_REQUIRED.split(),
        ("dsa_max_seqlen_q", int, 1),
        *((name, object, None) for name in _OPTIONAL.split()),
        ("pooled_index_kpool", int, 1),
        *((name, object, None) for name in _POOLED.split()),
    ],
)
MAX_CONTEXT, POOL_ROWS = 700, 80


class TopkTransformMethod(enum.IntEnum):
    PAGED = 1
    RAGGED = 2


def can_dsa_prefill_cp_interleave(forward_batch):
    return forward_batch.is_split_over_ranks


def pad_dsa_cache_seqlens(forward_batch, lens):
    missing = forward_batch.num_padded_tokens - len(lens)
    return torch.cat([lens, lens.new_zeros(missing)]) if missing > 0 else lens


class Backend:
    """Decisions are given, where SGLang's look at the device and the model."""

    def __init__(
        self, *, page_size=64, topk=64, is_ragged=False, use_mha=False, impl="fa3", is_fp8=False, device="cpu"
    ):
        generator = torch.Generator().manual_seed(3)
        table = torch.randint(0, 1 << 20, (POOL_ROWS, MAX_CONTEXT), generator=generator, dtype=torch.int32)
        self.req_to_token_pool = SimpleNamespace(req_to_token=table.to(device))
        dtype = torch.float8_e4m3fn if is_fp8 else torch.bfloat16
        self.token_to_kv_pool = SimpleNamespace(dtype=dtype, size=1 << 20, page_size=64)
        self.physical_page_size, self.dsa_index_topk, self.dsa_index_kpool = page_size, topk, 1
        self._kv_shard_pool = None
        self.use_mha, self.dsa_prefill_impl, self.forward_metadata = None, None, None  # of the batch before
        self.arange = torch.arange(1 << 15, dtype=torch.int32, device=device)
        self.decision = SimpleNamespace(use_mha=use_mha, impl=impl, is_ragged=is_ragged)
        self.num_keys_seen = None

    def set_dsa_prefill_impl(self, forward_batch):
        assert forward_batch.seq_lens_cpu.max().item() > 0
        self.num_keys_seen = sum(forward_batch.seq_lens_cpu)
        self.use_mha, self.dsa_prefill_impl = self.decision.use_mha, self.decision.impl

    def get_topk_transform_method(self, forward_mode):
        assert self.dsa_prefill_impl is not None, "not decided yet"
        return TopkTransformMethod.RAGGED if self.decision.is_ragged else TopkTransformMethod.PAGED

    def get_device_int32_arange(self, length):
        return self.arange[:length]

    @staticmethod
    def _build_topk_v2_plan(seqlens_expanded):
        return "plan", seqlens_expanded.tolist()

    @staticmethod
    def _compute_flashmla_metadata(cache_seqlens, seq_len_q):
        return "flashmla", cache_seqlens.tolist(), seq_len_q


def extend_batch(new, prefix, device="cpu", *, num_padded_tokens=0):
    kv = [max(tokens + cached, 1) for tokens, cached in zip(new, prefix, strict=True)]  # 1: of a padded request
    return SimpleNamespace(
        forward_mode=SimpleNamespace(is_extend_without_speculative=lambda: True),
        batch_size=len(new),
        seq_lens=torch.tensor(kv, device=device),
        seq_lens_cpu=torch.tensor(kv),
        seq_lens_sum=sum(kv),
        extend_seq_lens=torch.tensor(new, dtype=torch.int32, device=device),
        extend_seq_lens_cpu=new,
        extend_prefix_lens_cpu=prefix,
        req_pool_indices=torch.tensor(random.Random(len(new)).sample(range(POOL_ROWS), len(new)), device=device),
        is_split_over_ranks=False,
        num_padded_tokens=num_padded_tokens,
    )


def random_batch(draw, device="cpu"):
    size = draw.randint(1, 64)
    new = [draw.choice([0, 1, draw.randint(1, 300)]) for _ in range(size)]
    new[draw.randrange(size)] += 1  # an extend of no tokens at all is none
    has_prefix = draw.random() < 0.6
    prefix = [draw.choice([0, draw.randint(0, 390)]) if has_prefix else 0 for _ in new]
    padding = draw.choice([0, 0, draw.randint(-5, 40)])
    return extend_batch(new, prefix, device, num_padded_tokens=sum(new) + padding)
