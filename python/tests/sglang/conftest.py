"""nsameta.sglang is for torch; its tests run on the CPU."""

import importlib.util

import nsameta
import nsameta.sglang
import pytest
from fake_sglang import FakeSGLang
from nsameta.sglang.hooks import HOOKS, Hook
from originals import ORIGINALS, REPLAY_ORIGINALS


class WithoutTorch(pytest.Module):
    def collect(self):
        pytest.skip("there is no torch")


def pytest_pycollect_makemodule(module_path, parent):
    if importlib.util.find_spec("torch") is None:
        return WithoutTorch.from_parent(parent, path=module_path)
    return None


@pytest.fixture
def sglang(monkeypatch):
    """A made-up SGLang 0.5.23 in this process, and hooks that nobody has used."""
    for target, hook in HOOKS.items():
        monkeypatch.setitem(HOOKS, target, Hook(hook.site))
    yield FakeSGLang(monkeypatch, {**ORIGINALS, **REPLAY_ORIGINALS})
    nsameta.sglang.uninstall()


@pytest.fixture
def engine(sglang):
    from fake_backend import Engine

    return Engine(sglang)


@pytest.fixture
def gpu(monkeypatch):
    """nsameta.info() as on a machine with a GPU; the calls of the tests bring tensors on the CPU."""
    monkeypatch.delenv("SGLANG_NSA_USE_TRITON_METADATA", raising=False)
    info = {"backends": [{"name": "cuda", "usable": True, "reason": ""}]}
    monkeypatch.setattr(nsameta, "info", lambda: info)
