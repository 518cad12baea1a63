"""The draft steps of a multi-step speculative loop: each step's buffers are filled for all its backends in one launch.

Runs on the GPU if nsameta can use one, else on the CPU.
"""

import nsameta
import torch

has_gpu = torch.cuda.is_available() and any(each["usable"] for each in nsameta.backends() if each["name"] != "cpu")
device = "cuda" if has_gpu else "cpu"
BATCH, CONTEXT, TOPK, BACKENDS, STEPS = 8, 1024, 512, 3, 4


def int32(*shape):
    return torch.zeros(shape, dtype=torch.int32, device=device)


def buffers():
    return {
        "cache_seqlens": int32(BATCH),
        "cu_seqlens_k": int32(BATCH + 1),
        "nsa_cache_seqlens": int32(BATCH),
        "nsa_cu_seqlens_k": int32(BATCH + 1),
        "page_table_1": int32(BATCH, CONTEXT),
    }


seq_lens = torch.randint(1, CONTEXT - STEPS, (BATCH,), device=device).int()
slots = torch.arange(BATCH * CONTEXT, dtype=torch.int32, device=device).reshape(BATCH, CONTEXT)
first, *others = (buffers() for _ in range(BACKENDS))
plan = nsameta.Plan(
    op="build_metadata",
    mode="decode",
    topk=TOPK,
    seq_lens=seq_lens,
    req_pool_indices=torch.arange(BATCH, device=device),
    req_to_token=slots,
    out=first,
    more_outputs=others,
)
for step in range(STEPS):
    plan.run()
    for backend in (first, *others):
        assert torch.equal(backend["cache_seqlens"], seq_lens)
        assert torch.equal(backend["nsa_cu_seqlens_k"][1:], seq_lens.clamp(max=TOPK).cumsum(0).int())
        for r, kv in enumerate(seq_lens.tolist()):
            assert torch.equal(backend["page_table_1"][r, :kv], slots[r, :kv])
    print(f"step {step}: {BACKENDS} backends on {device} hold {int(seq_lens.sum())} keys, equal to torch")
    seq_lens += 1  # each request has drafted a token
