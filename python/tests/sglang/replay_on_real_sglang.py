"""Checks replays on the SGLang that is installed here, on the CPU; real_sglang_test.py runs it.

replay_on_real_sglang.py replay|multi_step|pools

SGLang's own methods capture and replay, its Triton kernels by Triton's interpreter (TRITON_INTERPRET=1); DeepGEMM's
schedule and the top-k plan, which need a GPU, are those of rules.py.
"""

import dataclasses
import importlib
import logging
import sys
from types import SimpleNamespace

import nsameta
import nsameta.sglang
import numpy as np
import torch
from fake_backend import CONTEXT, Engine
from sglang.srt.environ import envs
from sglang.srt.layers.attention import dsa_backend
from sglang.srt.layers.attention.dsa import dsa_backend_mtp_precompute, dsa_metadata_manager
from sglang.srt.layers.attention.dsa.dsa_topk_backend import DSATopKBackend
from sglang.srt.model_executor.forward_batch_info import ForwardMode
from sglang.srt.runtime_context import override_platform

from reference import KEPT

MODES = {
    "decode": ForwardMode.DECODE,
    "target_verify": ForwardMode.TARGET_VERIFY,
    "draft_extend": ForwardMode.DRAFT_EXTEND_V2,
}
METHOD = f"{dsa_backend.__name__}.DeepseekSparseAttnBackend._apply_cuda_graph_metadata"
MULTI_STEP = f"{dsa_backend.__name__}.DeepseekSparseAttnMultiStepBackend.init_forward_metadata_out_graph"
NAMES = [field.name for field in dataclasses.fields(dsa_backend.DSAMetadata)]


def make_backend(batch, width, page_size, is_wide, kpool=1):
    backend = object.__new__(dsa_backend.DeepseekSparseAttnBackend)
    tokens = batch * width
    attributes = {
        "device": torch.device("cpu"),
        "device_sm_major": 9,
        "num_q_heads": 64,
        "physical_page_size": page_size,
        "dsa_index_topk": 128,
        "dsa_index_kpool": kpool,
        "speculative_num_draft_tokens": width,
        "dsa_drop_wide_page_table": not is_wide,
        "dsa_decode_impl": "fa3",
        "dsa_prefill_impl": "fa3",
        "enable_auto_select_prefill_impl": False,
        "token_to_kv_pool": SimpleNamespace(index_page_size=64),
        "_is_in_breakable_cuda_graph": lambda: False,
        "_is_in_tc_piecewise_cuda_graph": lambda: False,
        "_get_device_sm": lambda: 90,
        "_is_blackwell": lambda: False,
        "dsa_topk_backend": DSATopKBackend.SGL_KERNEL,
        "req_to_token": torch.arange(8 * CONTEXT, dtype=torch.int32).view(8, CONTEXT) * 3,
        "_arange_buf": torch.arange(tokens + 1, dtype=torch.int32),
        "decode_cuda_graph_metadata": {
            "page_table": torch.zeros(tokens, CONTEXT, dtype=torch.int32) if is_wide else None,
            "real_page_table": torch.zeros(tokens, CONTEXT // page_size, dtype=torch.int32),
            "cu_seqlens_q": torch.arange(batch + 1, dtype=torch.int32),
        },
    }
    vars(backend).update(attributes)
    with envs.SGLANG_EXPERIMENTAL_DSA_KPOOL_METADATA_FUSION.override(kpool > 1):
        backend._init_kpool_metadata_fusion()
    return backend


def draw_inputs(rng, batch, width):
    seq_lens = rng.choice([0, 1, 127, 128, 129, 300, CONTEXT - 8], batch) + width
    return torch.tensor([*seq_lens, 1, 1]), torch.tensor([*rng.permutation(8)[:batch], 0, 0])


def apply(backend, mode, seq_lens, pool, batch, spec_info=None):
    return backend._apply_cuda_graph_metadata(
        bs=batch,
        req_pool_indices=pool[:batch],
        seq_lens=seq_lens[:batch],
        seq_lens_cpu=None,
        forward_mode=MODES[mode],
        spec_info=spec_info,
    )


def tensors(metadata):
    found = {name: getattr(metadata, name) for name in NAMES if isinstance(getattr(metadata, name), torch.Tensor)}
    pools = metadata.kpool_write_plan
    if pools is not None:
        found |= {name: each for name, each in vars(pools).items() if isinstance(each, torch.Tensor)}
    return found


def poison(metadata):
    for name, tensor in tensors(metadata).items():
        if "seqlens_q" not in name and name != "req":
            tensor.fill_(KEPT)
    for name in ("cu_seqlens_k", "dsa_cu_seqlens_k"):
        getattr(metadata, name)[0] = 0  # which a copy does not write


def check_equal(ours, theirs, context, undefined=()):
    theirs, lengths = tensors(theirs), theirs.cache_seqlens_int32
    assert tensors(ours).keys() == theirs.keys()
    for name, their in theirs.items():
        our = tensors(ours)[name]
        if name == "topk_v2_plan":
            count = max(int(their[0, 1]), -1)
            our, their = (each[: count + 1][each[: count + 1, 0].argsort()] for each in (our, their))
        elif name in undefined:  # beyond what is live
            step = CONTEXT // their.shape[1]
            live = torch.arange(0, CONTEXT, step) < lengths.repeat_interleave(len(their) // len(lengths))[:, None]
            our, their = our[live], their[live]
        assert torch.equal(our, their), (name, *context)


def shapes():
    for page_size, is_wide in ((1, True), (64, True), (64, False)):
        for batch, width in ((1, 1), (3, 2), (5, 3)):
            yield batch, width, page_size, is_wide


def captured(mode, batch, width, page_size, is_wide, kpool=1):
    """Two backends that captured the same, for them and for us."""
    backends = [make_backend(batch, width, page_size, is_wide, kpool) for _ in range(2)]
    for backend in backends:
        with envs.SGLANG_OPT_USE_TOPK_V2.override(True):
            apply(backend, mode, torch.full((batch,), width), torch.zeros(batch, dtype=torch.int64), batch)
    return backends


def replay_both(mode, rng, ours, theirs, batch, width, spec_info=None):
    seq_lens, pool = draw_inputs(rng, batch, width)
    for backend in (ours, theirs):
        poison(backend.decode_cuda_graph_metadata[batch])
        backend.forward_metadata = None
    nsameta.sglang.uninstall()
    apply(theirs, mode, seq_lens, pool, batch, spec_info)
    nsameta.sglang.install(level="replay")
    before = nsameta.sglang.status()[METHOD]["num_calls"]
    apply(ours, mode, seq_lens, pool, batch, spec_info)
    status = nsameta.sglang.status()[METHOD]
    assert status["num_calls"] == before + 1, status
    assert ours.forward_metadata is ours.decode_cuda_graph_metadata[batch]
    assert ours.use_mha is False
    check_equal(ours.forward_metadata, theirs.forward_metadata, (mode, batch, width))


def check_replay():
    rng = np.random.default_rng(3)
    for mode in MODES:
        for batch, width, page_size, is_wide in shapes():
            for is_sm100 in (False, True):
                with override_platform(is_sm100=is_sm100):
                    ours, theirs = captured(mode, batch, 1 if mode == "decode" else width, page_size, is_wide)
                    for _ in range(2):
                        replay_both(mode, rng, ours, theirs, batch, 1 if mode == "decode" else width)


def check_pools():
    rng = np.random.default_rng(4)
    for mode in MODES:
        ours, theirs = captured(mode, 3, 1 if mode == "decode" else 4, 64, True, kpool=4)
        for _ in range(3):
            accepted = SimpleNamespace(num_accept_tokens=torch.tensor([1, 4, 2, 9], dtype=torch.int32))
            replay_both(mode, rng, ours, theirs, 3, 1 if mode == "decode" else 4, accepted)


def check_multi_step():
    rng = np.random.default_rng(5)
    for steps in (2, 4, 5):
        for batch, _, page_size, is_wide in shapes():
            if not is_wide:
                continue  # SGLang's own path needs the wide table
            both = [object.__new__(dsa_backend.DeepseekSparseAttnMultiStepBackend) for _ in range(2)]
            for multi_step in both:
                multi_step.speculative_num_steps = steps
                multi_step.attn_backends = [captured("decode", batch, 1, page_size, True)[0] for _ in range(steps - 1)]
                for backend in multi_step.attn_backends:
                    backend.req_to_token = multi_step.attn_backends[0].req_to_token
            for _ in range(2):
                replay_multi_step(rng, *both, batch)


def replay_multi_step(rng, ours, theirs, batch):
    seq_lens, pool = draw_inputs(rng, batch, 1)
    forward_batch = SimpleNamespace(batch_size=batch, seq_lens=seq_lens, req_pool_indices=pool, seq_lens_cpu=None)
    for backend in (*ours.attn_backends, *theirs.attn_backends):
        poison(backend.decode_cuda_graph_metadata[batch])
    nsameta.sglang.uninstall()
    theirs.init_forward_metadata_out_graph(forward_batch)
    nsameta.sglang.install(level="replay")
    before = nsameta.sglang.status()[MULTI_STEP]["num_calls"]
    ours.init_forward_metadata_out_graph(forward_batch)
    status = nsameta.sglang.status()[MULTI_STEP]
    assert status["num_calls"] == before + 1, status
    for our, their in zip(ours.attn_backends, theirs.attn_backends, strict=True):
        check_equal(our.forward_metadata, their.forward_metadata, (batch,), ("page_table_1", "real_page_table"))


CHECKS = {"replay": check_replay, "multi_step": check_multi_step, "pools": check_pools}

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    nsameta.info = lambda: {"backends": [{"name": "cuda", "usable": True, "reason": ""}]}
    torch.Tensor.is_cuda = True  # all that SGLang's kernels ask of the device
    Engine(SimpleNamespace(module=importlib.import_module))
    dsa_backend_mtp_precompute._is_cuda = True
    dsa_metadata_manager.is_cuda = lambda: True
    CHECKS[sys.argv[1]]()
