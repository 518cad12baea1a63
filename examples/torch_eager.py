"""The metadata of a chunked prefill for torch tensors, on the GPU if nsameta can use one, and a check by torch."""

import nsameta
import torch

has_gpu = torch.cuda.is_available() and any(each["usable"] for each in nsameta.backends() if each["name"] != "cpu")
device = "cuda" if has_gpu else "cpu"
extend_seq_lens = torch.tensor([300, 7, 64], dtype=torch.int32, device=device)
seq_lens = torch.tensor([1324, 7, 200], dtype=torch.int32, device=device)  # with the cached prefixes
num_tokens = 371  # the engine knows it without asking the device

names = ["indexer_ks", "indexer_ke", "token_to_batch_idx", "positions"]
made = nsameta.build_metadata(
    mode="extend",
    topk=2048,
    seq_lens=seq_lens,
    extend_seq_lens=extend_seq_lens,
    num_tokens_bound=num_tokens,
    out={name: torch.empty(num_tokens, dtype=torch.int32, device=device) for name in names},
)

request = torch.repeat_interleave(torch.arange(3, device=device), extend_seq_lens)
begin = torch.cumsum(seq_lens, 0) - seq_lens
first_token = torch.cumsum(extend_seq_lens, 0) - extend_seq_lens
position = (seq_lens - extend_seq_lens)[request] + torch.arange(num_tokens, device=device) - first_token[request]
assert torch.equal(made["token_to_batch_idx"], request.int())
assert torch.equal(made["positions"], position.int())
assert torch.equal(made["indexer_ks"], begin[request].int())
assert torch.equal(made["indexer_ke"], (begin[request] + position + 1).int())
print(f"{num_tokens} tokens of 3 requests on {device}: equal to torch")
