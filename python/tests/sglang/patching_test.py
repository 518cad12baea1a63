"""install(), uninstall() and status() on a made-up SGLang."""

import functools
import logging
import subprocess
import sys

import nsameta
import pytest
import torch
from nsameta.sglang import install, status, uninstall
from originals import BACKEND, DSA, ORIGINALS, PAD, SEED_ORIGINALS

EXPAND = f"{PAD}.seqlens_expand_triton"
PREFILL = f"{BACKEND}.DeepseekSparseAttnBackend._cal_indexer_k_start_end"
DECODE = f"{DSA}.metadata.fused_dsa_decode_metadata"


def expand(function):
    return function(torch.tensor([2, 1]), torch.tensor([5, 3]), 3, 2)


@pytest.mark.usefixtures("gpu")
def test_install_patches_every_function_where_it_was_imported(sglang):
    assert install() == list(ORIGINALS)
    for target in ORIGINALS:
        assert sglang.current(target) is not sglang.functions[target]
    for seen, target in sglang.seen_by_importers():
        assert seen is sglang.current(target)
    assert expand(sglang.module(BACKEND).seqlens_expand_triton).tolist() == [4, 5, 3]
    assert sglang.calls[EXPAND] == 0


@pytest.mark.usefixtures("gpu")
def test_uninstall_puts_the_very_functions_back(sglang):
    install()
    late = sglang.module("engine_extension")  # imported while nsameta stood in
    late.renamed = sglang.current(EXPAND)
    uninstall()
    for target in ORIGINALS:
        assert sglang.current(target) is sglang.functions[target]
    for seen, target in sglang.seen_by_importers():
        assert seen is sglang.functions[target]
    assert late.renamed is sglang.functions[EXPAND]
    assert status() == {}
    uninstall()


@pytest.mark.usefixtures("gpu")
def test_a_second_install_changes_nothing(sglang):
    install()
    first = {target: sglang.current(target) for target in ORIGINALS}
    assert install(level="functions") == list(ORIGINALS)
    assert {target: sglang.current(target) for target in ORIGINALS} == first
    uninstall()
    assert sglang.current(DECODE) is sglang.functions[DECODE]


@pytest.mark.usefixtures("gpu")
def test_a_function_that_was_kept_follows(sglang):
    install()
    kept = sglang.current(EXPAND)  # as a backend keeps what it found when it was made
    uninstall()
    assert expand(kept) == "original"
    install()
    assert expand(kept).tolist() == [4, 5, 3]
    assert expand(sglang.current(EXPAND)).tolist() == [4, 5, 3]


@pytest.mark.usefixtures("gpu")
def test_backends_that_were_made_follow(sglang):
    backend = sglang.module(BACKEND).DeepseekSparseAttnBackend()
    backend._fused_decode_metadata = sglang.functions[DECODE]
    backend.expand = functools.partial(sglang.functions[EXPAND], max_q_len=2)
    backend.other = functools.partial(print)
    kept = dict(vars(backend))
    install()
    assert backend._fused_decode_metadata is sglang.current(DECODE)
    arguments = torch.tensor([2, 1]), torch.tensor([5, 3]), 3
    assert backend.expand(*arguments).tolist() == [4, 5, 3]
    assert backend.other is kept["other"]
    uninstall()
    assert backend._fused_decode_metadata is sglang.functions[DECODE]
    assert backend.expand(*arguments) == "original"
    assert backend.expand.keywords == {"max_q_len": 2}


@pytest.mark.usefixtures("gpu")
def test_status_counts_calls(sglang):
    install()
    assert set(status()) == set(ORIGINALS)
    for _ in range(3):
        expand(sglang.current(EXPAND))
    assert status()[EXPAND] == {
        "by": "install",
        "num_calls": 3,
        "num_declined": 0,
        "num_failures": 0,
        "last_failure": None,
    }
    assert status()[DECODE]["num_calls"] == 0


@pytest.mark.usefixtures("gpu")
def test_a_failure_goes_to_the_original_and_is_logged_once(sglang, caplog):
    install()
    function = sglang.current(EXPAND)
    for _ in range(2):
        assert function(torch.tensor([2.5]), torch.tensor([5]), 2, 2) == "original"
    assert sglang.calls[EXPAND] == 2
    assert status()[EXPAND]["num_failures"] == 2
    assert status()[EXPAND]["num_calls"] == 0
    assert "extend_seq_lens" in status()[EXPAND]["last_failure"]
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(lines) == 1
    assert EXPAND in lines[0]
    assert "extend_seq_lens" in lines[0]


@pytest.mark.usefixtures("gpu")
def test_an_error_of_the_original_is_its_own(sglang):
    def fails(extend_seq_lens, seq_lens, total_len, max_q_len):
        raise KeyError("theirs")

    sglang.module(PAD).seqlens_expand_triton = fails
    install()
    with pytest.raises(KeyError, match="theirs") as raised:
        sglang.current(EXPAND)(None, None, 1, 1)
    assert raised.value.__context__ is None
    uninstall()
    assert sglang.current(EXPAND) is fails


@pytest.mark.usefixtures("gpu")
def test_what_is_declined_goes_to_the_original_without_a_word(sglang, caplog):
    class Batch:
        batch_size = 0
        forward_mode = type("Mode", (), {"is_extend_without_speculative": lambda self: True})()

    install()
    backend = sglang.module(BACKEND).DeepseekSparseAttnBackend()
    with caplog.at_level(logging.WARNING):
        assert backend._cal_indexer_k_start_end(Batch(), None) == "original"
    assert status()[PREFILL]["num_declined"] == 1
    assert status()[PREFILL]["num_failures"] == 0
    assert caplog.records == []


@pytest.mark.usefixtures("gpu")
def test_an_unknown_signature_is_refused_and_nothing_is_patched(sglang):
    sglang.define(EXPAND, "extend_seq_lens, seq_lens, total_len, max_q_len, stride")
    with pytest.raises(RuntimeError, match=r"seqlens_expand_triton takes \(.*, stride\), not \(extend_seq_lens, .*\)"):
        install()
    for target in ORIGINALS:
        assert sglang.current(target) is sglang.functions[target]
    assert status() == {}


@pytest.mark.usefixtures("gpu")
def test_functions_that_are_not_there_are_left_out(sglang, monkeypatch):
    monkeypatch.setitem(sys.modules, f"{DSA}.kpool_metadata.decode", None)
    delattr(sglang.owner(PREFILL), "_cal_indexer_k_start_end")
    gone = {PREFILL, f"{DSA}.kpool_metadata.decode.fused_dsa_decode_metadata_kpool"}
    assert set(install()) == set(ORIGINALS) - gone


@pytest.mark.usefixtures("gpu")
def test_the_seed_is_patched_in_a_release_that_has_it(sglang):
    for target, parameters in SEED_ORIGINALS.items():
        sglang.define(target, parameters)
    assert set(install()) == set(ORIGINALS) | set(SEED_ORIGINALS)


@pytest.mark.usefixtures("gpu")
def test_without_sglang_there_is_a_message(monkeypatch):
    monkeypatch.setitem(sys.modules, "sglang", None)
    with pytest.raises(RuntimeError, match="no SGLang"):
        install()


def test_another_level_is_refused():
    with pytest.raises(ValueError, match="level='everything'"):
        install(level="everything")


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("value", ["0", "false", "No", "n"])
def test_the_environment_variable_keeps_it_out(sglang, monkeypatch, caplog, value):
    monkeypatch.setenv("SGLANG_NSA_USE_TRITON_METADATA", value)
    with caplog.at_level(logging.INFO):
        assert install() == []
    assert sglang.current(EXPAND) is sglang.functions[EXPAND]
    assert [record.getMessage() for record in caplog.records] == [
        f"nsameta leaves SGLang as it is: SGLANG_NSA_USE_TRITON_METADATA={value}"
    ]


@pytest.mark.usefixtures("gpu")
def test_the_environment_variable_at_1_changes_nothing(sglang, monkeypatch):
    monkeypatch.setenv("SGLANG_NSA_USE_TRITON_METADATA", "1")
    assert install() == list(ORIGINALS)


def test_without_a_gpu_it_stays_out(sglang, monkeypatch, caplog):
    backends = [{"name": "cuda", "usable": False, "reason": "no driver"}, {"name": "cpu", "usable": True, "reason": ""}]
    monkeypatch.setattr(nsameta, "info", lambda: {"backends": backends})
    with caplog.at_level(logging.INFO):
        assert install() == []
    assert sglang.current(EXPAND) is sglang.functions[EXPAND]
    assert [record.getMessage() for record in caplog.records] == [
        "nsameta leaves SGLang as it is: no GPU that nsameta can use; cuda: no driver"
    ]


def test_the_import_brings_neither_sglang_nor_torch():
    script = (
        "import sys, nsameta.sglang, nsameta.sglang.plugin; print([m for m in ('sglang', 'torch') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
