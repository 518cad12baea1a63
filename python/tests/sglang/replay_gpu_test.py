"""Replays on a GPU: the backends of the tests against SGLang's own kernels, bit for bit, and inside a CUDA graph.

Needs CUDA and, in PYTHONPATH, a folder with SGLang's sglang/kernels/ops/attention/dsa/metadata.py, which is loaded by
itself. The schedule is DeepGEMM's where it is installed; otherwise it follows rules.py, as the top-k plan does.
"""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from fake_backend import Case
from nsameta.sglang.replay import init_forward_metadata_out_graph
from replaying import TABLES, apply

FILE = "sglang/kernels/ops/attention/dsa/metadata.py"
BATCHES = [1, 8, 64, 200]
FIELDS = {
    "cache_seqlens": "cache_seqlens_int32",
    "cu_seqlens_k": "cu_seqlens_k",
    "page_table_1": "page_table_1",
    "real_page_table": "real_page_table",
    "dsa_cache_seqlens": "dsa_cache_seqlens_int32",
    "dsa_cu_seqlens_k": "dsa_cu_seqlens_k",
    "seqlens_expanded": "dsa_seqlens_expanded",
}

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


@pytest.fixture(scope="module")
def kernels():
    path = next((Path(folder) / FILE for folder in sys.path if (Path(folder) / FILE).is_file()), None)
    if path is None:
        pytest.skip(f"there is no {FILE} in PYTHONPATH")
    spec = importlib.util.spec_from_file_location("dsa_metadata_of_sglang", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["deep_gemm", "rule"])
def gpu_engine(request, engine):
    engine.clusters = 30
    if request.param == "deep_gemm":
        deep_gemm = pytest.importorskip("deep_gemm")
        engine.num_sms, engine.schedule = deep_gemm.get_num_sms(), deep_gemm.get_paged_mqa_logits_metadata
    return engine


def replay_by_kernels(kernels, engine, backend, case, seq_lens, pool):
    """What SGLang launches one after the other."""
    metadata = backend.decode_cuda_graph_metadata[case.batch]
    arguments = {name: getattr(metadata, field) for name, field in FIELDS.items()}
    arguments |= {
        "seq_lens": seq_lens[: case.batch],
        "req_pool_indices": pool[: case.batch],
        "req_to_token": case.table,
        "bs": case.batch,
        "dsa_index_topk": case.topk,
        "physical_page_size": case.page_size,
        "max_len" if case.mode == "decode" else "max_seqlen_k": case.context,
    }
    if case.mode == "decode":
        del arguments["seqlens_expanded"]
    if case.mode == "target_verify":
        arguments |= {"next_n": case.width}
        arguments |= {"paged_mqa_ctx_lens_2d": metadata.paged_mqa_ctx_lens_2d if case.by_request else None}
    if case.mode == "draft_extend":
        arguments["extend_seq_lens"] = torch.full((case.batch,), case.width, dtype=torch.int32, device="cuda")
        arguments |= {"total_len": case.tokens, "max_total_len": case.tokens, "max_extend_len": case.width}
        arguments["static_extend_len"] = True
    getattr(kernels, f"fused_dsa_{case.mode}_metadata")(**arguments)
    schedule = engine.schedule(metadata.paged_mqa_ctx_lens_2d, 64, engine.num_sms)
    metadata.paged_mqa_schedule_metadata.copy_(schedule)
    engine.plan(metadata.dsa_seqlens_expanded, out=metadata.topk_v2_plan)


def check_equal(our, their):
    for name, ours in our.bases[0].items():
        theirs = their.bases[0][name]
        if name == "topk_v2_plan" and theirs[0, 1] > 0:
            rows = 1 + int(theirs[0, 1])
            ours, theirs = ours.clone(), theirs.clone()
            for plan in (ours, theirs):
                plan[1:rows] = plan[1:rows][plan[1:rows, 0].argsort()]
        assert torch.equal(ours, theirs), name


def pair(engine, mode, batch, tables, **changed):
    our, their = (Case(engine, mode, batch, *tables, device="cuda", **changed) for _ in range(2))
    their.table = our.table
    return (our, our.backend()), (their, their.backend())


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("tables", TABLES, ids=str)
@pytest.mark.parametrize(
    ("mode", "by_request"),
    [("decode", False), ("target_verify", False), ("target_verify", True), ("draft_extend", False)],
)
def test_one_launch_writes_what_sglangs_kernels_write(kernels, gpu_engine, mode, by_request, tables, batch):
    changed = {"context": 8192, "by_request": by_request, "width": 2 if by_request else 3}
    (our, ours), (their, theirs) = pair(gpu_engine, mode, batch, tables, **changed)
    for seed in range(4):
        seq_lens, pool = our.inputs(seed)
        our.poison()
        their.poison()
        assert apply(ours, our, seq_lens, pool) is None
        replay_by_kernels(kernels, gpu_engine, theirs, their, seq_lens, pool)
        check_equal(our, their)


@pytest.mark.parametrize("mode", ["decode", "target_verify", "draft_extend"])
def test_the_formulas_hold_without_sglang(engine, mode):
    case = Case(engine, mode, 40, device="cuda")
    backend = case.backend()
    for seed in range(4):
        case.poison()
        assert apply(backend, case, *case.inputs(seed)) is None
        case.check()


def test_a_replay_does_not_wait_for_the_device(engine):
    case = Case(engine, "target_verify", 8, device="cuda")
    backend = case.backend()
    inputs = case.inputs(1)
    apply(backend, case, *inputs)
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert apply(backend, case, *inputs) is None
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("is_multi_step", [False, True])
def test_a_known_replay_can_be_captured(engine, is_multi_step):
    case = Case(engine, "decode", 40, device="cuda")
    backends = [case.backend() for _ in range(3 if is_multi_step else 1)]
    seq_lens, pool = case.inputs(1)
    holder = type("MultiStep", (), {"attn_backends": backends, "speculative_num_steps": 4})()
    batch = SimpleNamespace(batch_size=case.batch, seq_lens=seq_lens, req_pool_indices=pool)

    def replay():
        if is_multi_step:
            return init_forward_metadata_out_graph(holder, batch)
        return apply(backends[0], case, seq_lens, pool)

    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        assert replay() is NotImplemented  # nothing is compared while the stream is captured
        torch.zeros(1, device="cuda")
    assert replay() is None
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        assert replay() is None
    for seed in range(3):
        for now, new in zip((seq_lens, pool), case.inputs(seed), strict=True):
            now.copy_(new)
        case.poison()
        graph.replay()
        case.check()
