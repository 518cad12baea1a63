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

    def __init__(self, mode, seq_lens, q, topk, kpool=1, clamp=None, table_rows=None):
        self.mode, self.q = mode, [max(int32(width), 0) for width in q]
        added = self.q if mode == "target_verify" else [0] * len(self.q)
        self.kv = [max(int32(length) + extra, 0) for length, extra in zip(seq_lens, added, strict=True)]
        clamps = mode == "draft_extend" if clamp is None else clamp
        self.tokens = []  # (request, position of the key that the token is, visible)
        for r, (kv, width) in enumerate(zip(self.kv, self.q, strict=True)):
            for j in range(width):
                visible = kv - width + 1 + j
                self.tokens.append((r, kv - width + j, max(visible, 0) if clamps else visible))
        self.visible = [visible for _, _, visible in self.tokens]
        self.sparse = [sparse_length(visible, topk, kpool) for visible in self.visible]
        self.starts = prefix_sum(self.kv)
        per_token = mode in ("target_verify", "draft_extend") if table_rows is None else table_rows == "per_token"
        self.rows = [r for r, _, _ in self.tokens] if per_token else range(len(self.kv))

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
        return [slot(pool, table, r, at) for r, at, _ in self.tokens]

    def flattened(self, pool, table):
        return [slot(pool, table, r, c) for r, kv in enumerate(self.kv) for c in range(kv)]

    def _written(self, r, width, policy):
        most = {"live_128": -(-self.kv[r] // 128) * 128, "full": width, "exact": self.kv[r]}[policy]
        return min(most, width)

    def page_table_1(self, pool, table, num_columns, policy, max_width=None):
        cells = np.full((len(self.rows), num_columns), KEPT, np.int32)
        for row, r in enumerate(self.rows):
            for c in range(self._written(r, cut(num_columns, max_width), policy)):
                cells[row, c] = slot(pool, table, r, c)
        return cells

    def real_page_table(self, pool, table, width, policy, page_size, max_width=None):
        cells = np.full((len(self.rows), -(-width // page_size)), KEPT, np.int32)
        for row, r in enumerate(self.rows):
            for c in range(0, self._written(r, cut(width, max_width), policy), page_size):
                cells[row, c // page_size] = slot(pool, table, r, c) // page_size
        return cells


def slot(pool, table, r, at):
    """Of key `at` of request r; -1 where the pool or the context has none."""
    if 0 <= pool[r] < table.shape[0] and 0 <= at < table.shape[1]:
        return int(table[pool[r], at])
    return -1


def cut(width, max_width):
    return width if max_width is None else min(width, max_width)


def with_tail(values, end, capacity, tail):
    """Cells of an output: its values, what `tail` puts behind them up to `end`, and what was there."""
    last = values[-1] if len(values) > 0 else np.zeros_like(np.array(values), shape=np.shape(values)[1:])
    filler = {"keep": KEPT, "zero": 0, "last": last, "minus_one": -1}[tail]
    cells = np.full((capacity, *np.shape(values)[1:]), KEPT, np.int64)
    cells[: len(values)] = values
    cells[len(values) : end] = filler
    return cells


def segments(lengths):
    return [-(-max(length, 0) // 256) for length in lengths]


def mqa_schedule(variant, lengths, num_sms, next_n=1, query_tokens=None):
    """DeepGEMM's schedule by the rule of one of its versions. query_tokens: of each length, for sm100_jun26."""
    if variant == "sm100_jun26":
        return mqa_schedule_by_query_tokens(lengths, query_tokens, num_sms)
    atoms = {
        "v1": 1,
        "apr26": next_n // 2 if next_n % 2 == 0 else next_n,
        "sm90_jun26": -(-next_n // (2 if next_n >= 2 else 1)),
    }[variant]
    sizes = segments(lengths)
    ends = np.cumsum(sizes) * atoms
    total = int(ends[-1]) if sizes else 0
    share, rest = divmod(total, num_sms)
    rows = []
    for s in range(num_sms + 1):
        start = s * share + (max(0, s - (num_sms - rest)) if variant == "sm90_jun26" else min(s, rest))
        i = next((i for i, end in enumerate(ends) if end > start), None)
        if i is None or (variant == "sm90_jun26" and s == num_sms):
            rows.append((len(sizes) * atoms, 0))
        else:
            offset = start - (int(ends[i]) - sizes[i] * atoms)
            rows.append((i * atoms + offset // sizes[i], offset % sizes[i]))
    return np.array(rows, np.int32)


def mqa_schedule_by_query_tokens(lengths, query_tokens, num_sms):
    work = [size * tokens for size, tokens in zip(segments(lengths), query_tokens, strict=True)]
    share, rest = divmod(sum(work), num_sms)
    rows = []
    for s in range(num_sms + 1):
        start, before, row = s * share + min(s, rest), 0, (sum(query_tokens), 0)
        for i, amount in enumerate(work):
            if before + amount > start:
                row = (sum(query_tokens[:i]), (start - before) // query_tokens[i])
                break
            before += amount
        rows.append(row)
    return np.array(rows, np.int32)


TOPK_PLAN_CANDIDATES = {  # threshold: lengths above it at most
    "hopper": {65536: 30, 98304: 45, 131072: 60, 196608: 80, 262144: 112, 393216: 128},
    "blackwell": {32768: 48, 131072: 66, 163840: 99, 196608: 132, 262144: 198, 393216: 231, 524288: 264},
}


def topk_plan(visible, arch, clusters, threshold):
    """The rows that are written, of SGLang's plan for its cluster top-k."""
    if not clusters < len(visible) <= 512:
        return np.zeros((0, 2), np.int32)
    if threshold < 0:
        candidates = sorted(TOPK_PLAN_CANDIDATES[arch].items(), reverse=True)
        threshold = candidates[0][0]
        for candidate, most in candidates:
            if sum(length > candidate for length in visible) > most:
                break
            threshold = candidate
        threshold = max(threshold, 32768)
    above = [(t, length) for t, length in enumerate(visible) if length > threshold]
    return np.array([(threshold, len(above)), *above], np.int32)
