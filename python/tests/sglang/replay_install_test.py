"""install(level="replay") and the plugin at that level, on a made-up SGLang."""

import logging
from types import SimpleNamespace

import fake_backend_extend
import pytest
from fake_backend import Case
from fake_backend_extend import extend_batch
from fake_sglang import add_registry
from nsameta.sglang import install, status, uninstall
from nsameta.sglang.plugin import register
from originals import BACKEND, ORIGINALS, REPLAY_ORIGINALS
from replaying import arguments_of

BOTH = [*ORIGINALS, *REPLAY_ORIGINALS]
APPLY, EXTEND, MULTI_STEP = REPLAY_ORIGINALS

pytestmark = pytest.mark.usefixtures("gpu")


def backend_of(sglang, case):
    return case.backend(sglang.module(BACKEND).DeepseekSparseAttnBackend)


def call(backend, case, seq_lens, pool, **changed):
    """As SGLang calls it: by keywords."""
    arguments = {**arguments_of(case, seq_lens, pool), "out_cache_loc": None, "actual_forward_mode": None}
    return backend._apply_cuda_graph_metadata(**{**arguments, **changed})


def counts(target):
    of_target = status()[target]
    return tuple(of_target[f"num_{what}"] for what in ("calls", "declined", "failures"))


def test_the_methods_are_answered(sglang, engine):
    assert install(level="replay") == BOTH
    case = Case(engine, "draft_extend")
    backend = backend_of(sglang, case)
    assert call(backend, case, *case.inputs(1)) is None
    case.check()
    assert counts(APPLY) == (1, 0, 0)
    assert sglang.calls[APPLY] == 0


def test_the_method_for_several_backends_is_answered(sglang, engine):
    install(level="replay")
    case = Case(engine, "decode")
    multi_step = sglang.module(BACKEND).DeepseekSparseAttnMultiStepBackend()
    multi_step.attn_backends, multi_step.speculative_num_steps = [case.backend() for _ in range(3)], 4
    seq_lens, pool = case.inputs(1)
    batch = SimpleNamespace(batch_size=case.batch, seq_lens=seq_lens, req_pool_indices=pool)
    assert multi_step.init_forward_metadata_out_graph(batch) is None
    case.check()
    assert multi_step.init_forward_metadata_out_graph(batch, in_capture=True) == "original"
    assert counts(MULTI_STEP) == (1, 1, 0)


def test_the_method_for_an_extend_is_answered(sglang):
    install(level="replay")
    module = sglang.module(BACKEND)
    for name in ("DSAMetadata", "TopkTransformMethod", "can_dsa_prefill_cp_interleave", "pad_dsa_cache_seqlens"):
        setattr(module, name, getattr(fake_backend_extend, name))
    method = module.DeepseekSparseAttnBackend.init_forward_metadata
    extending = type("Extending", (fake_backend_extend.Backend,), {"__module__": BACKEND, "method": method})
    backend = extending(topk=64, is_ragged=True, device="cpu")
    assert backend.method(extend_batch([2, 3], [0, 5], "cpu")) is None
    assert backend.forward_metadata.dsa_seqlens_expanded.tolist() == [1, 2, 6, 7, 8]
    assert counts(EXTEND) == (1, 0, 0)
    assert sglang.calls[EXTEND] == 0


def test_a_failure_goes_to_the_original_once(sglang, engine, caplog):
    install(level="replay")
    case = Case(engine, "decode")
    backend = backend_of(sglang, case)
    seq_lens, pool = case.inputs(1)
    for _ in range(3):
        assert call(backend, case, seq_lens, pool[:1]) == "original"
    assert case.is_untouched()
    assert counts(APPLY) == (0, 2, 1)
    assert "req_pool_indices" in status()[APPLY]["last_failure"]
    assert sum(record.levelno == logging.WARNING for record in caplog.records) == 1


def test_the_level_can_change(sglang, engine):
    case = Case(engine, "decode")
    backend = backend_of(sglang, case)
    inputs = case.inputs(1)
    assert install() == list(ORIGINALS)
    assert call(backend, case, *inputs) == "original"
    assert install("replay") == install("replay") == BOTH
    assert call(backend, case, *inputs) is None
    assert install("functions") == list(ORIGINALS)
    assert set(status()) == set(ORIGINALS)
    assert call(backend, case, *inputs) == "original"
    install("replay")
    assert call(backend, case, *inputs) is None
    uninstall()
    assert status() == {}
    for target in BOTH:
        assert sglang.current(target) is sglang.functions[target]
    assert call(backend, case, *inputs) == "original"


def test_an_unknown_method_is_refused_at_its_level_only(sglang):
    sglang.define(APPLY, "self, bs, seq_lens")
    with pytest.raises(RuntimeError, match=r"_apply_cuda_graph_metadata takes \(self, bs, seq_lens\), not \("):
        install(level="replay")
    assert sglang.current(MULTI_STEP) is sglang.functions[MULTI_STEP]
    assert status() == {}
    assert install() == list(ORIGINALS)


@pytest.mark.parametrize(("value", "targets"), [(None, [*ORIGINALS]), ("functions", [*ORIGINALS]), ("replay", BOTH)])
def test_the_plugin_takes_its_level_from_the_environment(sglang, engine, monkeypatch, value, targets):
    monkeypatch.delenv("NSAMETA_SGLANG_LEVEL", raising=False)
    if value is not None:
        monkeypatch.setenv("NSAMETA_SGLANG_LEVEL", value)
    registry = add_registry(sglang)
    register()
    registry.apply_hooks()
    assert set(status()) == set(targets)
    case = Case(engine, "decode")
    backend = backend_of(sglang, case)
    answer = call(backend, case, *case.inputs(1))
    assert answer == (None if value == "replay" else "original")
    install(level="functions")
    assert call(backend, case, *case.inputs(1)) == "original"


def test_the_plugin_stays_out_where_the_level_is_unknown(sglang, monkeypatch, caplog):
    monkeypatch.setenv("NSAMETA_SGLANG_LEVEL", "all")
    registry = add_registry(sglang)
    with caplog.at_level(logging.INFO, logger="nsameta"):
        register()
    assert registry.hooks == []
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "nsameta leaves SGLang as it is: NSAMETA_SGLANG_LEVEL=all is none of functions, replay"
