"""Metadata of prefill steps inside a compiled function: one graph without a break, for every batch size."""

import torch
from nsameta import torch_ops


def keys_of_tokens(seq_lens, extend_seq_lens, num_tokens):
    made = torch_ops.build_metadata(
        mode="extend",
        topk=2048,
        seq_lens=seq_lens,
        extend_seq_lens=extend_seq_lens,
        num_tokens_bound=num_tokens,  # shapes come from it: no length is read
        outputs=["indexer_ks", "indexer_ke"],
    )
    return made["indexer_ke"] - made["indexer_ks"]


# aot_eager traces as the default backend does, and needs no C++ compiler.
compiled = torch.compile(keys_of_tokens, fullgraph=True, dynamic=True, backend="aot_eager")
for extend, seq in (([3, 2], [10, 2]), ([1, 4, 2], [7, 4, 1000])):
    keys = compiled(torch.tensor(seq, dtype=torch.int32), torch.tensor(extend, dtype=torch.int32), sum(extend))
    expected = [seq - extend + 1 + j for seq, extend in zip(seq, extend, strict=True) for j in range(extend)]
    assert keys.tolist() == expected
    print(f"{len(extend)} requests, keys of each token: {keys.tolist()}")
