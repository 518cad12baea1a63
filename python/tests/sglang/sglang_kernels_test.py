"""Bit for bit against SGLang's own kernels on a GPU, where a package `sglang` with its kernels can be imported.

NSAMETA_TEST_SHAPES says how many shapes are drawn for each function: SGLang compiles its kernels for each.
"""

import importlib
import os
from types import SimpleNamespace

import pytest
import torch
from metadata_test import Case
from nsameta.sglang import metadata

DSA = "sglang.kernels.ops.attention.dsa"
NUM_SHAPES = int(os.environ.get("NSAMETA_TEST_SHAPES", "36"))
STEPS_OF_A_SHAPE = 20
MODES = ("decode", "target_verify", "draft_extend")


def kernels():
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    try:
        modules = [importlib.import_module(f"{DSA}.metadata")]
        modules += [
            importlib.import_module(f"{DSA}.kpool_metadata.{name}") for name in ("decode", "verify", "draft_extend")
        ]
        pad = importlib.import_module("sglang.kernels.ops.attention.pad")
    except ImportError as error:
        pytest.skip(f"needs SGLang's kernels: {error}")
    functions = {name: value for module in modules for name, value in vars(module).items() if name.startswith("fused_")}
    return SimpleNamespace(**functions, seqlens_expand_triton=pad.seqlens_expand_triton)


@pytest.mark.parametrize("mode", MODES)
def test_the_fused_functions(mode):
    theirs, num_steps = kernels(), 0
    for seed in range(NUM_SHAPES):
        our, their = Case(mode, seed, device="cuda"), Case(mode, seed, device="cuda")
        for _ in range(STEPS_OF_A_SHAPE):
            for case in (our, their):
                case.draw_values()
            if sum(our.widths) == 0:
                continue  # theirs takes no inputs that go on beyond the batch then
            our.call()
            their.call(theirs)
            num_steps += 1
            for name, tensor in our.out.items():
                assert tensor is None or torch.equal(tensor, their.out[name]), (mode, seed, name)
    print(f"{mode}: {num_steps} steps equal")
    assert num_steps > NUM_SHAPES * STEPS_OF_A_SHAPE * 0.9


def test_seqlens_expand():
    theirs = kernels()
    draw = torch.Generator().manual_seed(3)
    for _ in range(500):
        batch, most = (int(torch.randint(1, high, (), generator=draw)) for high in (65, 9))
        widths = torch.randint(1, most + 1, (batch,), generator=draw).int().cuda()
        lengths = (torch.randint(0, 1 << 20, (batch,), generator=draw).int().cuda() + widths).int()
        arguments = widths, lengths, int(widths.sum()), most
        assert torch.equal(metadata.seqlens_expand_triton(*arguments), theirs.seqlens_expand_triton(*arguments))
