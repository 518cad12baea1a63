"""A plan inside a CUDA graph: captured once, replayed while the lengths in its buffers change."""

import sys

import nsameta
import torch

has_gpu = torch.cuda.is_available() and any(each["usable"] for each in nsameta.backends() if each["name"] != "cpu")
if not has_gpu:
    print("skipped: no GPU that nsameta can use")
    sys.exit()

BATCH, CONTEXT, TOPK, PAGE = 32, 4096, 2048, 64


def int32(*shape):
    return torch.zeros(shape, dtype=torch.int32, device="cuda")


seq_lens = int32(BATCH)
slots = torch.randint(0, 1 << 20, (BATCH, CONTEXT), dtype=torch.int32, device="cuda")
out = {
    "cache_seqlens": int32(BATCH),
    "cu_seqlens_k": int32(BATCH + 1),
    "nsa_cache_seqlens": int32(BATCH),
    "nsa_cu_seqlens_k": int32(BATCH + 1),
    "real_page_table": int32(BATCH, CONTEXT // PAGE),
}
plan = nsameta.Plan(
    op="build_metadata",
    mode="decode",
    topk=TOPK,
    page_size=PAGE,
    seq_lens=seq_lens,
    req_pool_indices=torch.arange(BATCH, device="cuda"),
    req_to_token=slots,
    out=out,
)
plan.run()  # once outside of the graph, so that nothing is loaded while it is captured
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    plan.run()

for step in range(5):
    seq_lens.copy_(torch.randint(1, CONTEXT + 1, (BATCH,)))
    graph.replay()
    assert torch.equal(out["cache_seqlens"], seq_lens)
    assert torch.equal(out["cu_seqlens_k"][1:], seq_lens.cumsum(0).int())
    assert torch.equal(out["nsa_cache_seqlens"], seq_lens.clamp(max=TOPK))
    for r, kv in enumerate(seq_lens.tolist()):
        pages = -(-kv // PAGE)
        assert torch.equal(out["real_page_table"][r, :pages], slots[r, : pages * PAGE : PAGE] // PAGE)
    print(f"replay {step}: {int(seq_lens.sum())} keys, equal to torch")
