"""Who can build the cases of extend, and the buffers of ours."""

import torch

import abi
import bench_cases
import extend_forms
from candidate import Candidate, allocating, lens, our_candidates


def of(peers, case):
    inputs = _inputs(peers, case)

    def our_args():
        made = _buffers(peers, case)
        tensors = {
            "seq_lens": inputs.seq_lens,
            "extend_seq_lens": inputs.extend_seq_lens,
            "req_pool_indices": inputs.req_pool_indices,
            "req_to_token": inputs.req_to_token,
        }
        scalars = {"mode": abi.EXTEND, "topk": inputs.topk, "page_size": inputs.page_size}
        return peers.context.build_args(made, tensors, max_kv_bound=inputs.live, **scalars), made

    found = [
        *our_candidates(peers, our_args),
        allocating("Python loop", lambda: extend_forms.python_loop(inputs, case.outputs)),
        allocating("torch eager", lambda: extend_forms.vectorised(inputs, case.outputs)),
    ]
    return [Candidate(candidate.impl, _with_live_part(inputs, candidate.make)) for candidate in found]


def _inputs(peers, case):
    rows, width = case.batch + 1, bench_cases.TABLE_WIDTH
    slots = torch.arange(rows * width, dtype=torch.int32, device=peers.device).view(rows, width)
    return extend_forms.Inputs(
        lens(case.seq_lens(), peers),
        lens(case.query_lens(), peers),
        lens(range(case.batch, 0, -1), peers),
        slots,
        case.seq_lens(),
        case.query_lens(),
        bench_cases.TOPK,
        bench_cases.PAGE_SIZE,
        min(-(-max(case.seq_lens()) // 128) * 128, width),
    )


def _buffers(peers, case):
    num_tokens, width = sum(case.query_lens()), bench_cases.TABLE_WIDTH
    shapes = {
        "cache_seqlens": (case.batch,),
        "cu_seqlens_k": (case.batch + 1,),
        "cu_seqlens_q": (case.batch + 1,),
        "nsa_cu_seqlens_k": (num_tokens + 1,),
        "total_tokens": (1,),
        "page_table_1": (case.batch, width),
        "real_page_table": (case.batch, width // bench_cases.PAGE_SIZE),
        "page_table_1_flattened": (sum(case.seq_lens()),),
    }
    return {
        name: torch.zeros(shapes.get(name, (num_tokens,)), dtype=torch.int32, device=peers.device)
        for name in case.outputs
    }


def _with_live_part(inputs, make):
    """What any implementation must have written: of a table's row the columns that hold keys."""

    def live(name, made):
        if name not in ("page_table_1", "real_page_table"):
            return made
        page = 1 if name == "page_table_1" else inputs.page_size
        cells = made[:, : -(-inputs.live // page)]
        columns = torch.arange(cells.shape[1], device=made.device) * page
        return torch.where(columns < inputs.seq_lens[:, None], cells, 0)

    def limited():
        call, outputs = make()
        return call, lambda: {name: live(name, made) for name, made in outputs().items()}

    return limited
