"""The fused functions on random steps against the formulas: values, and every cell that they must leave alone."""

import numpy as np
import pytest
import torch
from nsameta.sglang import metadata

from reference import KEPT, Step

SLACK = 3  # elements, rows and columns of every buffer that nobody may touch
CONTEXT = 512
PAGE_SIZES = [1, 16, 64]


class Case:
    """A random step of one mode with its buffers, called as SGLang calls it."""

    def __init__(self, mode, seed, batch=None, widths=None, device="cpu"):
        self.rng = rng = np.random.default_rng(seed)
        self.mode = mode
        self.device = device
        self.batch = int(rng.integers(1, 9)) if batch is None else batch
        self.next_n = 1 if mode == "decode" else int(rng.integers(1, 5))
        self.static = bool(rng.integers(2))
        self.page_size = int(rng.choice(PAGE_SIZES))
        self.kpool = int(rng.choice([0, 1, 4]))  # 0: the function without pools
        self.topk = int(rng.choice([16, 128, 2048]))
        self.max_len = int(rng.integers(1, CONTEXT // 64 + 1)) * 64
        self.is_wide = self.page_size == 1 or bool(rng.integers(2))
        self.dtype = rng.choice([torch.int32, torch.int64])
        self.has_context_lengths = mode == "target_verify" and bool(rng.integers(2))
        self.draw_values(widths)

    def draw_values(self, widths=None):
        """Another step of the same shape, for the functions that are compiled for each shape."""
        rng = self.rng
        self.widths = self._widths() if widths is None else widths
        self.seq_lens = rng.choice([0, 1, 127, 128, 129, 300, CONTEXT - 4], self.batch)
        self.pool = rng.permutation(self.batch + 2)[: self.batch]
        self.table = rng.integers(0, 1 << 30, (self.batch + 2, CONTEXT)).astype(np.int32)
        self.out = self._buffers()

    def _widths(self):
        if self.mode == "draft_extend" and not self.static:
            return self.rng.integers(0, self.next_n + 1, self.batch)
        return np.full(self.batch, self.next_n)

    def _buffers(self):
        def kept(*shape):
            return torch.full(shape, KEPT, dtype=torch.int32, device=self.device)

        tokens = self.batch * self.next_n
        rows = tokens + SLACK
        out = {
            "cache_seqlens": kept(self.batch + SLACK),
            "cu_seqlens_k": kept(self.batch + 1 + SLACK),
            "page_table_1": kept(rows, CONTEXT + SLACK) if self.is_wide else None,
            "dsa_cache_seqlens": kept(tokens + SLACK),
            "dsa_cu_seqlens_k": kept(tokens + 1 + SLACK),
        }
        # SGLang passes the wide table for both where a page is one token.
        pages = kept(rows, CONTEXT // self.page_size + SLACK)
        out["real_page_table"] = pages if self.page_size > 1 else out["page_table_1"]
        if self.mode != "decode":
            out["seqlens_expanded"] = kept(tokens + SLACK)
        if self.has_context_lengths:
            out["paged_mqa_ctx_lens_2d"] = kept(self.batch, self.next_n)
        return out

    def call(self, functions=metadata, **changed):
        arguments = {
            **self.out,
            "seq_lens": self.padded(self.seq_lens),
            "req_pool_indices": self.padded(self.pool),
            "req_to_token": torch.from_numpy(self.table).to(self.device),
            "bs": self.batch,
            "dsa_index_topk": self.topk,
            "physical_page_size": self.page_size,
            "max_len" if self.mode == "decode" else "max_seqlen_k": self.max_len,
        }
        if self.mode == "target_verify":
            arguments["next_n"] = self.next_n
        if self.mode == "draft_extend":
            arguments["extend_seq_lens"] = self.padded(self.widths)
            arguments["total_len"] = int(sum(self.widths))
            arguments["max_extend_len"] = self.next_n
            arguments["max_total_len"] = self.batch * self.next_n
            arguments["static_extend_len"] = self.static
        name = f"fused_dsa_{self.mode}_metadata"
        if self.kpool > 0:
            name += "_kpool"
            arguments["index_kpool"] = self.kpool
        result = getattr(functions, name)(**{**arguments, **changed})
        assert result is None

    def padded(self, values):
        """An input that goes on beyond the batch, as the buffers of a graph do."""
        return torch.tensor([*values, *[1] * SLACK], dtype=self.dtype, device=self.device)

    def expected(self):
        step = Step(self.mode, self.seq_lens, self.widths, self.topk, max(self.kpool, 1))
        lengths = step.lengths()
        values = {
            "cache_seqlens": lengths["cache_seqlens"],
            "cu_seqlens_k": lengths["cu_seqlens_k"],
            "dsa_cache_seqlens": lengths["nsa_cache_seqlens"],
            "dsa_cu_seqlens_k": lengths["nsa_cu_seqlens_k"],
        }
        if self.mode != "decode":
            values["seqlens_expanded"] = lengths["seqlens_expanded"]
        if self.has_context_lengths:
            values["paged_mqa_ctx_lens_2d"] = step.context_lengths(self.next_n)
        if self.is_wide:
            values["page_table_1"] = step.page_table_1(self.pool, self.table, self.max_len, "live_128")
        if self.page_size > 1:
            values["real_page_table"] = step.real_page_table(
                self.pool, self.table, self.max_len, "live_128", self.page_size
            )
        return values

    def check(self):
        for name, value in self.expected().items():
            expected = np.full(self.out[name].shape, KEPT, np.int32)
            value = np.array(value, np.int32)
            expected[tuple(slice(size) for size in value.shape)] = value
            np.testing.assert_array_equal(self.out[name].cpu().numpy(), expected, err_msg=name)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("mode", ["decode", "target_verify", "draft_extend"])
def test_random_steps(mode, seed):
    case = Case(mode, seed)
    case.call()
    case.check()


@pytest.mark.parametrize("mode", ["decode", "target_verify", "draft_extend"])
def test_an_empty_batch_writes_the_first_element_of_each_sum(mode):
    case = Case(mode, 1, batch=0)
    case.call()
    for name, tensor in case.out.items():
        if tensor is not None and tensor.numel() > 0:
            expected = torch.full_like(tensor, KEPT)
            if name in ("cu_seqlens_k", "dsa_cu_seqlens_k"):
                expected[0] = 0
            assert torch.equal(tensor, expected), name


def test_a_draft_extend_without_tokens_still_writes_the_requests():
    case = Case("draft_extend", 2, batch=3, widths=np.zeros(3, np.int64))
    case.call()
    case.check()
    assert case.out["cache_seqlens"][:3].tolist() == case.seq_lens.tolist()


def test_a_static_width_may_be_zero():
    case = Case("draft_extend", 2, batch=3, widths=np.zeros(3, np.int64))
    case.static = True
    case.call(max_extend_len=0)
    case.check()


def test_a_static_width_below_the_maximum_is_read_from_the_first_request():
    case = Case("draft_extend", 3, batch=3)
    case.next_n, case.static, case.widths = 4, True, np.array([2, 2, 2])
    case.out = case._buffers()
    case.call(extend_seq_lens=torch.tensor([2, 9, 9]))
    case.check()


@pytest.mark.parametrize("changed", [{"max_total_len": 1}, {"max_extend_len": 0}])
def test_more_tokens_than_promised_are_refused(changed):
    case = Case("draft_extend", 4, batch=3, widths=np.array([1, 1, 1]))
    with pytest.raises(AssertionError, match="total_len=3"):
        case.call(**changed)
    assert (case.out["cache_seqlens"] == KEPT).all()


def test_seqlens_expand_gives_negative_lengths_as_zero():
    expanded = metadata.seqlens_expand_triton(torch.tensor([4, 0, 2]), torch.tensor([2, 7, 9]), 6, 4)
    assert expanded.dtype == torch.int32
    assert expanded.tolist() == [0, 0, 1, 2, 8, 9]
