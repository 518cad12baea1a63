"""Direct calls under the variables that choose a backend: read once per process, so each case is one of its own."""

import os
import subprocess
import sys

import pytest

CALL = """
import torch
from nsameta.sglang.triton_metadata_kernel import fill_draft_extend_metadata_fused_simple
results = fill_draft_extend_metadata_fused_simple(torch.tensor([2, 3]), torch.tensor([5, 2]), 4)
print([each.tolist() for each in results])
"""


def call(**variables):
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NSAMETA_BACKEND", "SGLANG_NSA_USE_TRITON_METADATA")
    }
    return subprocess.run(
        [sys.executable, "-c", CALL], env={**environment, **variables}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "variables", [{}, {"SGLANG_NSA_USE_TRITON_METADATA": "0"}, {"NSAMETA_BACKEND": "cpu"}], ids=str
)
def test_direct_calls_give_the_same(variables):
    assert call(**variables).stdout == "[[4, 5, 0, 1, 2], [4, 4, 0, 1, 2]]\n"


def test_a_backend_that_cannot_serve_is_an_error():
    outcome = call(NSAMETA_BACKEND="nonsense")
    assert outcome.returncode == 1
    assert "RuntimeError" in outcome.stderr
    assert "nonsense" in outcome.stderr
