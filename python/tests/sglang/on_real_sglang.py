"""Checks nsameta.sglang on the SGLang that is installed here, on the CPU; real_sglang_test.py runs it.

on_real_sglang.py install|plugin|prefill|fused|extend
"""

import random
import sys
from types import SimpleNamespace

import nsameta
import nsameta.sglang.plugin
import torch
from metadata_test import Case
from nsameta.sglang.prefill import cal_indexer_k_start_end
from nsameta.sglang.sites import find
from originals import BACKEND, DSA, ORIGINALS, PAD
from real_extend import check_extend
from sglang.srt.layers.attention import dsa_backend
from sglang.srt.layers.attention.dsa import dsa_backend_mtp_precompute, dsa_metadata_manager

EXPAND = f"{PAD}.seqlens_expand_triton"


def current():
    return {site.target: find(site).original for site in nsameta.sglang.sites.SITES if site.target in ORIGINALS}


def imported():
    """What other modules of SGLang hold by name, and the function that it should be."""
    yield dsa_backend.seqlens_expand_triton, EXPAND
    yield dsa_backend_mtp_precompute.seqlens_expand_triton, EXPAND
    for mode in ("decode", "target_verify", "draft_extend"):
        name = f"fused_dsa_{mode}_metadata"
        yield getattr(dsa_metadata_manager, name), f"{DSA}.metadata.{name}"


def check_answers():
    for function, target in imported():
        assert function is current()[target], target
    answer = dsa_backend.seqlens_expand_triton(torch.tensor([2, 1]), torch.tensor([5, 3]), 3, 2)
    assert answer.tolist() == [4, 5, 3]
    assert nsameta.sglang.status()[EXPAND]["num_calls"] == 1


def check_install():
    before = current()
    assert nsameta.sglang.install() == list(ORIGINALS)
    check_answers()
    nsameta.sglang.uninstall()
    assert all(now is before[target] for target, now in current().items())
    assert all(function is before[target] for function, target in imported())


def check_plugin():
    from sglang.srt.plugins.hook_registry import HookRegistry

    nsameta.sglang.plugin.register()
    HookRegistry.apply_hooks()
    check_answers()


def check_prefill():
    original = dsa_backend.DeepseekSparseAttnBackend._cal_indexer_k_start_end
    backend = SimpleNamespace(device="cpu")
    mode = SimpleNamespace(is_extend_without_speculative=lambda: True, is_target_verify=lambda: False)
    draw = random.Random(5)
    for _ in range(200):
        new = [draw.randrange(50) for _ in range(draw.randrange(1, 9))]
        seq_lens = [count + draw.choice([0, draw.randrange(1000)]) for count in new]
        batch = SimpleNamespace(
            forward_mode=mode,
            batch_size=len(new),
            seq_lens=torch.tensor(seq_lens),
            seq_lens_cpu=torch.tensor(seq_lens),
            extend_seq_lens=torch.tensor(new, dtype=torch.int32),
            extend_seq_lens_cpu=new,
        )
        (theirs, ours) = (function(backend, batch) for function in (original, cal_indexer_k_start_end))
        for their, our in zip((*theirs[0], theirs[1]), (*ours[0], ours[1]), strict=True):
            assert their.dtype == our.dtype
            assert torch.equal(their, our)


def check_fused():
    """Bit for bit against SGLang's kernels, which Triton's interpreter runs on the CPU (TRITON_INTERPRET=1)."""
    theirs = SimpleNamespace(
        **{target.rpartition(".")[2]: original for target, original in current().items() if "fused_dsa" in target}
    )
    torch.Tensor.is_cuda = True  # all that they ask of the device
    for seed in range(1000, 1040):
        for mode in ("decode", "target_verify", "draft_extend"):
            our, their = Case(mode, seed), Case(mode, seed)
            if sum(our.widths) == 0:
                continue  # theirs takes no inputs that go on beyond the batch then
            our.call()
            their.call(theirs)
            for name, tensor in our.out.items():
                assert tensor is None or torch.equal(tensor, their.out[name]), (mode, seed, name)


CHECKS = {
    "install": check_install,
    "plugin": check_plugin,
    "prefill": check_prefill,
    "fused": check_fused,
    "extend": check_extend,
}

if __name__ == "__main__":
    nsameta.info = lambda: {"backends": [{"name": "cuda", "usable": True, "reason": ""}]}
    assert BACKEND == dsa_backend.__name__
    CHECKS[sys.argv[1]]()
