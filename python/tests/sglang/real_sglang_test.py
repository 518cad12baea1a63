"""On the real SGLang, where it is installed: each check in a process of its own, away from the made-up modules."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run(*arguments):
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH"), str(HERE.parent)]))
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": path, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module", autouse=True)
def real_sglang():
    probe = run("-c", "from sglang.srt.layers.attention import dsa_backend; import sglang; print(sglang.__version__)")
    if probe.returncode != 0:
        pytest.skip("no SGLang is installed that imports here")


@pytest.mark.parametrize("check", ["install", "plugin", "prefill", "fused", "extend"])
def test_on_real_sglang(check):
    outcome = run("on_real_sglang.py", check)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.parametrize("check", ["replay", "multi_step", "pools"])
def test_replays_on_real_sglang(check):
    outcome = run("replay_on_real_sglang.py", check)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
