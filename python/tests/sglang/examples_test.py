"""The examples run, and check their own results; what needs a GPU says that it was skipped."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
LAST_LINES = {
    "cuda_graph": ("skipped: no GPU", "replay 4: "),
    "multi_step": ("step 3: 3 backends on ",),
    "numpy_only": ("real_page_table: [[4], [4], [0, 1, 2], [0, 1, 2]]",),
    "torch_eager": ("371 tokens of 3 requests on ",),
    "torch_compile": ("3 requests, keys of each token: [7, 1, 2, 3, 4, 999, 1000]",),
}


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the tests were copied away from the examples")
def test_each_example_is_known():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(LAST_LINES)


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the tests were copied away from the examples")
@pytest.mark.parametrize("name", LAST_LINES)
def test_example_runs(name):
    run = subprocess.run([sys.executable, EXAMPLES / f"{name}.py"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1].startswith(LAST_LINES[name])
