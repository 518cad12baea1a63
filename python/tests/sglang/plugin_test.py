"""The plugin on a made-up SGLang with a made-up registry, and with SGLang's own where it lies in peers/sg."""

import importlib.metadata
import importlib.util
import logging
import sys
from pathlib import Path

import nsameta
import pytest
import torch
from fake_sglang import REGISTRY, add_registry
from nsameta.sglang import install, status, uninstall
from nsameta.sglang.plugin import register
from originals import BACKEND, ORIGINALS, PAD

EXPAND = f"{PAD}.seqlens_expand_triton"
REAL = Path(__file__).resolve().parents[3] / "peers/sg/sglang/srt/plugins/hook_registry.py"


def test_the_distribution_declares_it():
    if not list(importlib.metadata.Distribution.discover(name="nsameta")):
        pytest.skip("nsameta is not installed as a distribution")
    (plugin,) = importlib.metadata.entry_points(group="sglang.srt.plugins", name="nsameta")
    assert plugin.load() is register


def load_real_registry(sglang):
    sglang.module("sglang.srt.plugins")
    spec = importlib.util.spec_from_file_location(REGISTRY, REAL)
    module = importlib.util.module_from_spec(spec)
    sglang.monkeypatch.setitem(sys.modules, REGISTRY, module)
    spec.loader.exec_module(module)
    return module.HookRegistry


@pytest.fixture(params=["made_up", "real"])
def registry(request, sglang):
    if request.param == "made_up":
        return add_registry(sglang)
    if not REAL.is_file():
        pytest.skip("SGLang's hook_registry.py is not in peers/sg")
    return load_real_registry(sglang)


def expand(function):
    return function(torch.tensor([2, 1]), torch.tensor([5, 3]), total_len=3, max_q_len=2)


@pytest.mark.usefixtures("gpu")
def test_hooks_answer_the_calls(sglang, registry, caplog):
    with caplog.at_level(logging.INFO, logger="nsameta"):
        register()
    assert [record.getMessage() for record in caplog.records if record.name.startswith("nsameta")] == [
        f"nsameta stands in for {len(ORIGINALS)} functions of SGLang"
    ]
    assert expand(sglang.current(EXPAND)) == "original"  # not before the registry applies them
    registry.apply_hooks()
    for seen, target in sglang.seen_by_importers():
        assert seen is sglang.current(target)
    assert expand(sglang.module(BACKEND).seqlens_expand_triton).tolist() == [4, 5, 3]
    assert set(status()) == set(ORIGINALS)
    assert status()[EXPAND]["by"] == "plugin"
    assert status()[EXPAND]["num_calls"] == 1


@pytest.mark.usefixtures("gpu")
def test_a_failure_goes_to_the_original(sglang, registry):
    register()
    registry.apply_hooks()
    assert sglang.current(EXPAND)(torch.tensor([0.5]), torch.tensor([5]), 2, 2) == "original"
    assert status()[EXPAND]["num_failures"] == 1


@pytest.mark.usefixtures("gpu")
def test_uninstall_gives_the_calls_back_and_install_takes_them_again(sglang, registry):
    register()
    registry.apply_hooks()
    hooked = sglang.current(EXPAND)
    uninstall()
    assert expand(hooked) == "original"
    assert status() == {}
    assert install() == list(ORIGINALS)
    assert sglang.current(EXPAND) is hooked
    assert expand(hooked).tolist() == [4, 5, 3]


@pytest.mark.usefixtures("gpu")
def test_what_is_installed_by_hand_is_not_hooked_again(sglang, registry):
    install()
    register()
    registry.apply_hooks()
    expand(sglang.current(EXPAND))
    assert status()[EXPAND]["by"] == "install"
    assert status()[EXPAND]["num_calls"] == 1
    uninstall()
    assert sglang.current(EXPAND) is sglang.functions[EXPAND]


def is_left_alone(sglang, registry, caplog):
    """The one line of the log; nothing was registered."""
    with caplog.at_level(logging.INFO, logger="nsameta"):
        register()
    registry.apply_hooks()
    for target in sglang.functions:
        assert sglang.current(target) is sglang.functions[target]
    assert status() == {}
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("nsameta")]
    return line


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("value", ["0", "FALSE", "no", "n"])
def test_the_environment_variable_keeps_it_out(sglang, registry, monkeypatch, caplog, value):
    monkeypatch.setenv("SGLANG_NSA_USE_TRITON_METADATA", value)
    assert is_left_alone(sglang, registry, caplog).endswith(f"SGLANG_NSA_USE_TRITON_METADATA={value}")


def test_without_a_gpu_it_stays_out(sglang, registry, monkeypatch, caplog):
    monkeypatch.setattr(nsameta, "info", lambda: {"backends": [{"name": "cpu", "usable": True, "reason": ""}]})
    assert "no GPU" in is_left_alone(sglang, registry, caplog)


@pytest.mark.usefixtures("gpu")
def test_an_unknown_release_is_left_alone(sglang, registry, caplog):
    sglang.define(EXPAND, "extend_seq_lens, seq_lens, total_len")
    assert "seqlens_expand_triton takes (extend_seq_lens, seq_lens, total_len), not" in is_left_alone(
        sglang, registry, caplog
    )


@pytest.mark.usefixtures("gpu")
def test_a_release_without_any_of_the_functions_is_left_alone(sglang, registry, monkeypatch, caplog):
    for target in ORIGINALS:
        delattr(sglang.owner(target), target.rpartition(".")[2])
    sglang.functions.clear()
    assert "no function that nsameta knows" in is_left_alone(sglang, registry, caplog)
