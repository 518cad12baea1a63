"""The metadata of an extend step by operations of torch, in the two forms that engines have for it.

Written from the formulas: token j of a request with q new tokens sees kv - q + 1 + j keys, those from the request's
first key on, and reads min(that, topk). Outputs are made anew in each call. The host knows all lengths.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import pad


@dataclass(frozen=True)
class Inputs:
    seq_lens: torch.Tensor
    extend_seq_lens: torch.Tensor
    req_pool_indices: torch.Tensor
    req_to_token: torch.Tensor
    host_seq_lens: list
    host_extend_seq_lens: list
    topk: int
    page_size: int
    live: int  # columns of the tables that hold keys

    @property
    def num_tokens(self):
        return sum(self.host_extend_seq_lens)


def _cu(values):
    return pad(torch.cumsum(values, 0, dtype=torch.int32), (1, 0))


def python_loop(inputs, wanted):
    """Four operations a request for the indexer and one for the lengths, each list concatenated afterwards."""
    device = inputs.seq_lens.device
    visible, owners, starts, ends, keys = [], [], [], [], []
    num_keys = 0
    for r, (kv, q) in enumerate(zip(inputs.host_seq_lens, inputs.host_extend_seq_lens, strict=True)):
        visible.append(torch.arange(kv - q + 1, kv + 1, dtype=torch.int32, device=device))
        if "token_to_batch_idx" in wanted:
            owners.append(torch.full((q,), r, dtype=torch.int32, device=device))
        starts.append(torch.full((q,), num_keys, dtype=torch.int32, device=device))
        ends.append(starts[-1] + torch.arange(kv - q + 1, kv + 1, dtype=torch.int32, device=device))
        num_keys += kv
    slots = _slots(inputs, wanted)
    if "page_table_1_flattened" in wanted:
        keys = [slots[r, :kv] for r, kv in enumerate(inputs.host_seq_lens)]
    parts = {
        "seqlens_expanded": visible,
        "token_to_batch_idx": owners,
        "indexer_ks": starts,
        "indexer_ke": ends,
        "page_table_1_flattened": keys,
    }
    made = {name: torch.cat(tensors) for name, tensors in parts.items() if tensors}
    return _with_rest(made, inputs, wanted, slots)


def vectorised(inputs, wanted):
    """Operations on all requests at once."""
    num_tokens, device = inputs.num_tokens, inputs.seq_lens.device
    owners = _owners(inputs.extend_seq_lens, num_tokens)
    first = (inputs.seq_lens + 1 - torch.cumsum(inputs.extend_seq_lens, 0, dtype=torch.int32))[owners]
    visible = first + torch.arange(num_tokens, dtype=torch.int32, device=device)
    starts = _cu(inputs.seq_lens)[owners]
    made = {"seqlens_expanded": visible, "indexer_ks": starts, "indexer_ke": starts + visible}
    if "token_to_batch_idx" in wanted:
        made["token_to_batch_idx"] = owners
    if "page_table_1_flattened" in wanted:
        num_keys = sum(inputs.host_seq_lens)
        requests = _owners(inputs.seq_lens, num_keys)
        columns = torch.arange(num_keys, dtype=torch.int32, device=device) - _cu(inputs.seq_lens)[requests]
        made["page_table_1_flattened"] = inputs.req_to_token[inputs.req_pool_indices[requests], columns]
    return _with_rest(made, inputs, wanted, _slots(inputs, wanted))


def _owners(counts, total):
    requests = torch.arange(counts.shape[0], dtype=torch.int32, device=counts.device)
    return torch.repeat_interleave(requests, counts, output_size=total)


def _slots(inputs, wanted):
    """Rows of the requests, where an output comes from them."""
    if not {"page_table_1", "real_page_table", "page_table_1_flattened"} & set(wanted):
        return None
    return inputs.req_to_token[inputs.req_pool_indices, : inputs.live]


def _with_rest(made, inputs, wanted, slots):
    """Adds what both forms make alike."""
    visible = made["seqlens_expanded"]
    made["cache_seqlens"] = inputs.seq_lens.clone()
    made["cu_seqlens_k"] = _cu(inputs.seq_lens)
    made["cu_seqlens_q"] = _cu(inputs.extend_seq_lens)
    made["nsa_cache_seqlens"] = torch.clamp(visible, max=inputs.topk)
    made["nsa_cu_seqlens_k"] = _cu(made["nsa_cache_seqlens"])
    made["total_tokens"] = torch.full((1,), inputs.num_tokens, dtype=torch.int32, device=visible.device)
    if "topk_indices_offset" in wanted:
        made["topk_indices_offset"] = made["indexer_ks"].clone()
    if "positions" in wanted:
        made["positions"] = visible - 1
    if "out_slots" in wanted:
        rows = inputs.req_pool_indices[made["token_to_batch_idx"]]
        made["out_slots"] = inputs.req_to_token[rows, made["positions"]]
    if "page_table_1" in wanted:
        made["page_table_1"] = slots
    if "real_page_table" in wanted:
        made["real_page_table"] = slots[:, :: inputs.page_size] // inputs.page_size
    return made
