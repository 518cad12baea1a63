"""Metadata of a small verify step on the CPU, with numpy and nothing else."""

import nsameta
import numpy as np

seq_lens = np.array([5, 130], np.int32)
made = nsameta.build_metadata(
    mode="target_verify",
    tokens_per_request=2,
    topk=64,
    page_size=64,
    seq_lens=seq_lens,
    req_pool_indices=np.array([1, 0], np.int32),
    req_to_token=np.arange(2 * 256, dtype=np.int32).reshape(2, 256),
    outputs=["seqlens_expanded", "nsa_cache_seqlens", "cu_seqlens_k", "real_page_table"],
)
for name, value in made.items():
    if name == "real_page_table":  # of each row the pages that hold keys; the rest was left alone
        value = [row[: -(-kv // 64)].tolist() for row, kv in zip(value, np.repeat(seq_lens + 2, 2), strict=True)]
    print(f"{name}: {value if isinstance(value, list) else value.tolist()}")
