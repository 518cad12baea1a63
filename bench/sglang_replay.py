"""Host time of preparing a replay in SGLang's way and by nsameta.sglang's level "replay", on a CUDA GPU:

PYTHONPATH=... ./dev exec python3 bench/sglang_replay.py [--json FILE]

where PYTHONPATH leads to a package `sglang` with its kernels, and to DeepGEMM. SGLang's side is the launches of its
method alone: the fused kernel, DeepGEMM's schedule, and the copies of the schedule and of the context lengths; its
top-k plan and the method's own Python are left out. Ours is the stand-in as the hook calls it, on the made-up backend of
its tests, with the top-k plan; and the run of a plan. Each call is timed by itself on an idle stream, in turn.
"""

import sys
import types
from pathlib import Path

import deep_gemm
import nsameta
import torch

sys.path[:0] = [str(Path(__file__).parent.parent / "python" / "tests" / folder) for folder in ("sglang", ".")]
from fake_backend import Case, Engine
from replaying import apply
from sglang.kernels.ops.attention.dsa import metadata as kernels
from sglang_calls import BATCHES, CONTEXT, NEXT_N, PAGE, TITLE, TOPK, line_of, measure, options_of, write_json


class Modules:
    """The modules that the stand-in looks up."""

    @staticmethod
    def module(name):
        return sys.modules.setdefault(name, types.ModuleType(name))


def sglang_call(case, backend, seq_lens, pool):
    metadata = backend.decode_cuda_graph_metadata[case.batch]
    arguments = {
        "seq_lens": seq_lens,
        "req_pool_indices": pool,
        "req_to_token": case.table,
        "cache_seqlens": metadata.cache_seqlens_int32,
        "cu_seqlens_k": metadata.cu_seqlens_k,
        "page_table_1": metadata.page_table_1,
        "dsa_cache_seqlens": metadata.dsa_cache_seqlens_int32,
        "dsa_cu_seqlens_k": metadata.dsa_cu_seqlens_k,
        "real_page_table": metadata.real_page_table,
        "bs": case.batch,
        "dsa_index_topk": TOPK,
        "physical_page_size": PAGE,
    }
    if case.mode == "decode":
        arguments["max_len"] = CONTEXT
    else:
        arguments |= {"max_seqlen_k": CONTEXT, "seqlens_expanded": metadata.dsa_seqlens_expanded}
    if case.mode == "target_verify":
        arguments["next_n"] = NEXT_N
    if case.mode == "draft_extend":
        widths = torch.full((case.batch,), NEXT_N, dtype=torch.int32, device="cuda")
        arguments |= {"extend_seq_lens": widths, "total_len": case.tokens, "max_total_len": case.tokens}
        arguments |= {"max_extend_len": NEXT_N, "static_extend_len": True}
    fused, num_sms = getattr(kernels, f"fused_dsa_{case.mode}_metadata"), deep_gemm.get_num_sms()
    lengths = metadata.paged_mqa_ctx_lens_2d

    def call():
        fused(**arguments)
        metadata.paged_mqa_schedule_metadata.copy_(deep_gemm.get_paged_mqa_logits_metadata(lengths, 64, num_sms))
        lengths.copy_(lengths)

    return call


def calls_of(engine, mode, batch):
    case = Case(engine, mode, batch, PAGE, True, NEXT_N, device="cuda", context=CONTEXT, topk=TOPK)
    backend = case.backend()
    seq_lens, pool = case.inputs(1)

    def stand_in():
        backend.prefill_choices.clear()
        apply(backend, case, seq_lens, pool)

    stand_in()
    ((_, made),) = backend._nsameta_replays.values()
    return {"plan": made._run, "stand_in": stand_in, "sglang": sglang_call(case, backend, seq_lens, pool)}


def main():
    options, rows = options_of(__doc__.splitlines()[0]), []
    engine = Engine(Modules)
    engine.num_sms, engine.schedule = deep_gemm.get_num_sms(), deep_gemm.get_paged_mqa_logits_metadata
    print(f"{torch.cuda.get_device_name()}, nsameta {nsameta.__version__}; host us: median (quartiles)")
    print(f"{'mode':14}{'batch':>5}  {TITLE}")
    for mode in ("decode", "target_verify", "draft_extend"):
        for batch in BATCHES:
            row = {"mode": mode, "batch": batch, **measure(calls_of(engine, mode, batch), options.calls)}
            rows.append(row)
            print(f"{mode:14}{batch:5}  {line_of(row)}")
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
