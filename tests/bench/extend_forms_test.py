"""bench/peers/extend_forms.py against the formulas, cell by cell. Exit code 77 where there is no torch."""

import sys
import unittest
from pathlib import Path

try:
    import torch
except ImportError:
    print("skipped: no torch")
    sys.exit(77)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "peers"))
import extend_forms

LENS, QUERIES, POOL = [9, 4, 6], [2, 4, 1], [2, 0, 3]
TOPK, PAGE, LIVE = 5, 4, 10
SLOTS = [[1000 * row + 7 * column for column in range(12)] for row in range(4)]


def prefix_sums(values):
    return [sum(values[:i]) for i in range(len(values) + 1)]


def expected():
    tokens = [(r, kv - q + 1 + j) for r, (kv, q) in enumerate(zip(LENS, QUERIES, strict=True)) for j in range(q)]
    visible = [keys for _, keys in tokens]
    kept = [min(keys, TOPK) for keys in visible]
    starts = [prefix_sums(LENS)[r] for r, _ in tokens]
    rows = [SLOTS[row] for row in POOL]
    return {
        "seqlens_expanded": visible,
        "nsa_cache_seqlens": kept,
        "nsa_cu_seqlens_k": prefix_sums(kept),
        "cache_seqlens": LENS,
        "cu_seqlens_k": prefix_sums(LENS),
        "cu_seqlens_q": prefix_sums(QUERIES),
        "token_to_batch_idx": [r for r, _ in tokens],
        "positions": [keys - 1 for keys in visible],
        "topk_indices_offset": starts,
        "indexer_ks": starts,
        "indexer_ke": [start + keys for start, keys in zip(starts, visible, strict=True)],
        "total_tokens": [len(tokens)],
        "out_slots": [rows[r][keys - 1] for r, keys in tokens],
        "page_table_1": [row[:LIVE] for row in rows],
        "real_page_table": [[slot // PAGE for slot in row[:LIVE:PAGE]] for row in rows],
        "page_table_1_flattened": [slot for row, kv in zip(rows, LENS, strict=True) for slot in row[:kv]],
    }


class Forms(unittest.TestCase):
    def check(self, form):
        lens, queries, pool = (torch.tensor(values, dtype=torch.int32) for values in (LENS, QUERIES, POOL))
        slots = torch.tensor(SLOTS, dtype=torch.int32)
        made = form(extend_forms.Inputs(lens, queries, pool, slots, LENS, QUERIES, TOPK, PAGE, LIVE), expected().keys())
        for name, values in expected().items():
            self.assertEqual((made[name].tolist(), made[name].dtype), (values, torch.int32), name)

    def test_python_loop(self):
        self.check(extend_forms.python_loop)

    def test_vectorised(self):
        self.check(extend_forms.vectorised)


if __name__ == "__main__":
    unittest.main()
