"""What build_metadata computes, written down naively from the formulas of docs/METADATA.md, with numpy alone."""

import numpy as np

KEPT = -77  # what a cell holds that nothing writes


def int32(value):
    return (int(value) + 2**31) % 2**32 - 2**31


def prefix_sum(values):
    sums = [0]
    for value in values:
        sums.append(int32(sums[-1] + value))
    return sums


def sparse_length(visible, topk, kpool):
    if kpool <= 1:
        return min(visible, topk)
    pooled = visible // kpool * kpool
    return min(pooled, topk) + visible - pooled


class Step:
    """One batch: lengths of requests and of tokens."""

    def __init__(self, mode, seq_lens, q, topk, kpool=1, clamp=None):
        self.mode, self.q = mode, [int(width) for width in q]
        added = self.q if mode == "target_verify" else [0] * len(self.q)
        self.kv = [int32(length) + extra for length, extra in zip(seq_lens, added, strict=True)]
        clamps = mode == "draft_extend" if clamp is None else clamp
        self.tokens = []  # (request, position of the key that the token is, visible)
        for r, (kv, width) in enumerate(zip(self.kv, self.q, strict=True)):
            for j in range(width):
                visible = kv - width + 1 + j
                self.tokens.append((r, kv - width + j, max(visible, 0) if clamps else visible))
        self.visible = [visible for _, _, visible in self.tokens]
        self.sparse = [sparse_length(visible, topk, kpool) for visible in self.visible]
        self.starts = prefix_sum(self.kv)
        self.rows = [r for r, _, _ in self.tokens] if mode in ("target_verify", "draft_extend") else range(len(self.kv))

    def lengths(self):
        of_token = [self.starts[r] for r, _, _ in self.tokens]
        return {
            "seqlens_expanded": self.visible,
            "nsa_cache_seqlens": self.sparse,
            "nsa_cu_seqlens_k": prefix_sum(self.sparse),
            "cache_seqlens": self.kv,
            "cu_seqlens_k": self.starts,
            "cu_seqlens_q": prefix_sum(self.q),
            "token_to_batch_idx": [r for r, _, _ in self.tokens],
            "positions": [visible - 1 for visible in self.visible],
            "topk_indices_offset": of_token,
            "indexer_ks": of_token,
            "indexer_ke": [int32(s + v) for s, v in zip(of_token, self.visible, strict=True)],
            "total_tokens": [len(self.tokens)],
        }

    def context_lengths(self, width):
        return np.repeat(np.array(self.kv, np.int32)[:, None], width, axis=1)

    def out_slots(self, pool, table):
        return [int(table[pool[r], at]) if at >= 0 else -1 for r, at, _ in self.tokens]

    def flattened(self, pool, table):
        return [int(slot) for r, kv in enumerate(self.kv) for slot in table[pool[r], :kv]]

    def _written(self, kv, width, policy):
        most = {"live_128": -(-kv // 128) * 128, "full": width, "exact": kv}[policy]
        return min(most, width)

    def page_table_1(self, pool, table, width, policy):
        cells = np.full((len(self.rows), width), KEPT, np.int32)
        for row, r in enumerate(self.rows):
            written = self._written(self.kv[r], width, policy)
            cells[row, :written] = table[pool[r], :written]
        return cells

    def real_page_table(self, pool, table, width, policy, page_size):
        cells = np.full((len(self.rows), width // page_size), KEPT, np.int32)
        for row, r in enumerate(self.rows):
            for c in range(0, self._written(self.kv[r], width, policy), page_size):
                cells[row, c // page_size] = table[pool[r], c] // page_size
        return cells


def mqa_schedule_v1(lengths, num_sms):
    """DeepGEMM's schedule before April 2026."""
    ends = np.cumsum([-(-length // 256) for length in lengths])
    total = int(ends[-1])
    rows = []
    for s in range(num_sms + 1):
        start = s * (total // num_sms) + min(s, total % num_sms)
        q = next((i for i, end in enumerate(ends) if end > start), len(ends))
        begin = 0 if q == 0 else int(ends[q - 1])
        rows.append((q, start - begin) if q < len(ends) else (q, 0))
    return np.array(rows, np.int32)
