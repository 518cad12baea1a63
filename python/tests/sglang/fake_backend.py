"""Attention backends with SGLang's names: buffers of a captured graph with cells around them that nobody may touch."""

import enum
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import torch
from originals import BACKEND
from rules import mqa_schedule, topk_plan

from reference import KEPT, Step

SLACK = 3
CONTEXT = 512
NUM_SMS = 7
TOPK_MODULE = "sglang.kernels.ops.attention.dsv4.topk"


class ForwardMode(enum.IntEnum):
    EXTEND = 1
    DECODE = 2
    IDLE = 3
    TARGET_VERIFY = 4
    DRAFT_EXTEND_V2 = 5

    def is_decode_or_idle(self):
        return self in (ForwardMode.DECODE, ForwardMode.IDLE)

    def is_target_verify(self):
        return self == ForwardMode.TARGET_VERIFY

    def is_draft_extend_v2(self):
        return self == ForwardMode.DRAFT_EXTEND_V2


MODES = {
    "decode": ForwardMode.DECODE,
    "target_verify": ForwardMode.TARGET_VERIFY,
    "draft_extend": ForwardMode.DRAFT_EXTEND_V2,
}


@dataclass(frozen=True)
class Metadata:
    page_size: int
    cache_seqlens_int32: object
    cu_seqlens_k: object
    page_table_1: object
    real_page_table: object
    dsa_cache_seqlens_int32: object
    dsa_cu_seqlens_k: object
    dsa_seqlens_expanded: object
    flashmla_metadata: object = None
    paged_mqa_ctx_lens_2d: object = None
    paged_mqa_schedule_metadata: object = None
    topk_v2_plan: object = None


class FlashMLA(SimpleNamespace):
    def slice(self, rows):
        return FlashMLA(flashmla_metadata=self.flashmla_metadata, num_splits=self.num_splits[rows])

    def copy_(self, other):
        self.flashmla_metadata.copy_(other.flashmla_metadata)
        self.num_splits.copy_(other.num_splits)


class Methods:
    """What the stand-ins call of a backend."""

    def set_dsa_prefill_impl(self, forward_batch=None):
        self.prefill_choices.append(forward_batch)

    def _graph_page_table_width(self, metadata):
        table = self.req_to_token if metadata.page_table_1 is None else metadata.page_table_1
        return table.shape[1]

    def _update_kpool_metadata_replay(self, *args, **kwargs):
        self.kpool_updates.append((args, kwargs))

    def _compute_flashmla_metadata(self, cache_seqlens, seq_len_q):
        assert seq_len_q == 1
        splits = torch.cat((torch.zeros(1, dtype=torch.int32), cache_seqlens.cumsum(0).int()))
        return FlashMLA(flashmla_metadata=cache_seqlens.sum().int().repeat(2, 8), num_splits=splits)


class Engine:
    """The modules that the stand-ins look up, with rules that a test may change."""

    def __init__(self, sglang):
        self.variant, self.arch, self.clusters = "v1", "hopper", 4
        self.num_plans = self.num_schedules = 0
        module = sglang.module(BACKEND)
        module.is_cuda, module._is_hip = (lambda: self.is_cuda), False
        self.num_sms = NUM_SMS
        module.resolve_num_sms = lambda: self.num_sms
        module.resolve_paged_mqa_logits_metadata_fn = lambda: self.schedule
        sglang.module(TOPK_MODULE).plan_topk_v2 = self.plan
        self.is_cuda = True
        self.module = module

    def schedule(self, lengths, block_kv, num_sms):
        assert block_kv == 64
        self.num_schedules += 1
        variant = self.variant
        if variant == "unknown":
            return torch.zeros(num_sms + 1, 2, dtype=torch.int32)
        rows = mqa_schedule(variant, lengths[:, -1].tolist(), lengths.shape[1], num_sms)
        return torch.from_numpy(rows).to(lengths.device)

    def plan(self, visible, static_threshold=-1, *, out=None):
        self.num_plans += 1
        out = visible.new_full((len(visible) + 1, 2), KEPT) if out is None else out
        rows = topk_plan(visible.cpu().numpy(), "hopper" if self.arch == "unknown" else self.arch, self.clusters)
        if rows is not None:
            rows[1:] = np.random.default_rng(3).permutation(rows[1:])  # as atomics leave them
            rows[0, 0] += self.arch == "unknown"
            out[: len(rows)] = torch.from_numpy(rows).to(out.device)
        return out


class Case:
    """A batch size of one mode: buffers of one or more backends, and what a replay must leave in them."""

    def __init__(self, engine, mode, batch=3, page_size=64, is_wide=True, width=3, by_request=False, **changed):
        self.engine, self.mode, self.batch, self.by_request = engine, mode, batch, by_request
        self.width = 1 if mode == "decode" else width
        self.tokens = batch * self.width
        self.page_size, self.is_wide = page_size, is_wide or page_size == 1
        self.device, self.context = changed.pop("device", "cpu"), changed.pop("context", CONTEXT)
        self.topk, self.kpool = changed.pop("topk", 100), changed.pop("kpool", 1)
        self.bases = []  # {name: the buffer and the cells around it} of each backend
        self.table = torch.randint(0, 1 << 30, (batch + 2, self.context), dtype=torch.int32).to(self.device)
        self.changed = changed

    def backend(self, base_class=object):
        backend = object.__new__(type("Backend", (Methods, base_class), {}))
        attributes = {
            "req_to_token": self.table,
            "physical_page_size": self.page_size,
            "dsa_index_topk": self.topk,
            "dsa_index_kpool": self.kpool,
            "speculative_num_draft_tokens": self.width,
            "experimental_kpool_metadata_fusion": self.kpool > 1,
            "dsa_decode_impl": "fa3",
            "prefill_choices": [],
            "kpool_updates": [],
            "forward_metadata": None,
            "decode_cuda_graph_metadata": {"page_table": None, self.batch: self.metadata()},
        }
        vars(backend).update({**attributes, **self.changed})
        return backend

    def metadata(self):
        bases, has_plan = {}, self.engine.is_cuda

        def kept(name, *shape, spare=None):
            spare = spare or [SLACK] * len(shape)
            base = torch.full([a + b for a, b in zip(shape, spare, strict=True)], KEPT, dtype=torch.int32)
            bases[name] = base.to(self.device)
            return bases[name][tuple(map(slice, shape))]

        lengths = kept("cache_seqlens_int32", self.batch)
        expanded = lengths if self.mode == "decode" else kept("dsa_seqlens_expanded", self.tokens)
        table = kept("page_table_1", self.tokens, self.context) if self.is_wide else None
        pages = self.context // self.page_size
        context_lengths = expanded.view(-1, 1)
        if self.by_request:
            context_lengths = kept("paged_mqa_ctx_lens_2d", self.batch, self.width, spare=[SLACK, 0])
        metadata = Metadata(
            page_size=self.page_size,
            cache_seqlens_int32=lengths,
            cu_seqlens_k=kept("cu_seqlens_k", self.batch + 1),
            page_table_1=table,
            real_page_table=kept("real_page_table", self.tokens, pages) if self.page_size > 1 else table,
            dsa_cache_seqlens_int32=kept("dsa_cache_seqlens_int32", self.tokens),
            dsa_cu_seqlens_k=kept("dsa_cu_seqlens_k", self.tokens + 1),
            dsa_seqlens_expanded=expanded,
        )
        if has_plan:
            metadata = replace(
                metadata,
                paged_mqa_ctx_lens_2d=context_lengths,
                paged_mqa_schedule_metadata=kept(
                    "paged_mqa_schedule_metadata", self.engine.num_sms + 1, 2, spare=[SLACK, 0]
                ),
                topk_v2_plan=kept("topk_v2_plan", self.tokens + 1, 2, spare=[SLACK, 0]),
            )
        self.bases.append(bases)
        return metadata

    def inputs(self, seed, dtype=torch.int64):
        """New lengths and rows of the table, in buffers that go on beyond the batch."""
        rng = np.random.default_rng(seed)
        self.seq_lens = rng.choice([0, 1, 127, 128, 129, 300, self.context - 8], self.batch) + self.width
        self.pool = rng.permutation(self.batch + 2)[: self.batch]
        if seed % 3 == 0:
            self.seq_lens[0] = 1  # with draft_extend fewer keys than tokens
        padded = [torch.tensor([*values, 1, 0, 2], dtype=dtype) for values in (self.seq_lens, self.pool)]
        return [each.to(self.device) for each in padded]

    def expected(self):
        step = Step(self.mode, self.seq_lens, [self.width] * self.batch, self.topk, self.kpool)
        lengths, table = step.lengths(), self.table.cpu().numpy()
        values = {
            "cache_seqlens_int32": lengths["cache_seqlens"],
            "cu_seqlens_k": lengths["cu_seqlens_k"],
            "dsa_cache_seqlens_int32": lengths["nsa_cache_seqlens"],
            "dsa_cu_seqlens_k": lengths["nsa_cu_seqlens_k"],
            "dsa_seqlens_expanded": lengths["seqlens_expanded"],
            "page_table_1": step.page_table_1(self.pool, table, self.context, "live_128"),
        }
        if self.page_size > 1:
            values["real_page_table"] = step.real_page_table(self.pool, table, self.context, "live_128", self.page_size)
        if self.engine.is_cuda:
            of_kernel, next_n = (step.kv, self.width) if self.by_request else (step.visible, 1)
            values["paged_mqa_ctx_lens_2d"] = step.context_lengths(self.width)
            values["paged_mqa_schedule_metadata"] = mqa_schedule(
                self.engine.variant, of_kernel, next_n, self.engine.num_sms
            )
            plan = topk_plan(step.visible, self.engine.arch, self.engine.clusters)
            values["topk_v2_plan"] = np.empty((0, 2)) if plan is None else plan
        return values

    def check(self):
        expected = self.expected()
        for bases in self.bases:
            for name, base in bases.items():
                cells = np.full(base.shape, KEPT, np.int32)
                value = np.array(expected[name], np.int32)
                cells[tuple(map(slice, value.shape))] = value
                np.testing.assert_array_equal(base.cpu().numpy(), cells, err_msg=name)

    def poison(self):
        for bases in self.bases:
            for base in bases.values():
                base.fill_(KEPT)

    def is_untouched(self):
        return all((base == KEPT).all() for bases in self.bases for base in bases.values())
