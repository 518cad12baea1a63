"""What a replay leaves to SGLang, before it has written anything."""

import logging

import pytest
from fake_backend import MODES, Case, ForwardMode
from replaying import apply


def alone(name, change):
    """(what is changed, how) for the list below."""
    return pytest.param(change, id=name)


def set_field(name, value):
    def change(engine, backend, metadata):
        object.__setattr__(metadata, name, value(metadata) if callable(value) else value)

    return change


def set_attribute(name, value):
    return lambda engine, backend, metadata: setattr(backend, name, value)


UNBUILT = [
    alone("pools without fusion", set_attribute("dsa_index_kpool", 4)),
    alone("no top-k", set_attribute("dsa_index_topk", None)),
    alone("another page size", set_attribute("physical_page_size", 16)),
    alone("no schedule", set_field("paged_mqa_schedule_metadata", None)),
    alone("no context lengths", set_field("paged_mqa_ctx_lens_2d", None)),
    alone("context lengths apart", set_field("paged_mqa_ctx_lens_2d", lambda m: m.paged_mqa_ctx_lens_2d.clone())),
    alone("context lengths flat", set_field("paged_mqa_ctx_lens_2d", lambda m: m.paged_mqa_ctx_lens_2d.view(-1))),
    alone("FlashMLA without a buffer", set_attribute("dsa_decode_impl", "flashmla_kv")),
    alone("neither CUDA nor HIP", lambda engine, backend, metadata: setattr(engine, "is_cuda", False)),
    alone("an unknown schedule", lambda engine, backend, metadata: setattr(engine, "variant", "unknown")),
    alone("an unknown top-k plan", lambda engine, backend, metadata: vars(engine).update(arch="unknown", clusters=1)),
]


@pytest.mark.parametrize("change", UNBUILT)
@pytest.mark.parametrize("mode", MODES)
def test_what_is_not_built_is_left_alone(engine, mode, change, caplog):
    case = Case(engine, mode)
    backend = case.backend()
    change(engine, backend, backend.decode_cuda_graph_metadata[case.batch])
    with caplog.at_level(logging.INFO, logger="nsameta"):
        for seed in range(2):
            assert apply(backend, case, *case.inputs(seed)) is NotImplemented
    assert case.is_untouched()
    assert backend.prefill_choices == []
    assert backend.forward_metadata is None
    (line,) = [record.getMessage() for record in caplog.records]  # said once
    assert line.startswith(f"SGLang prepares {mode} graphs of 3 requests itself: ")


def test_a_table_of_its_own_for_pages_of_one_token(engine):
    case = Case(engine, "decode", page_size=1)
    backend = case.backend()
    metadata = backend.decode_cuda_graph_metadata[case.batch]
    object.__setattr__(metadata, "real_page_table", metadata.page_table_1.clone())
    assert apply(backend, case, *case.inputs(0)) is NotImplemented


@pytest.mark.parametrize("is_cuda", [True, False], ids=["cuda", "hip"])
def test_decode_lengths_that_are_there_twice(engine, is_cuda):
    engine.is_cuda, engine.module._is_hip = is_cuda, not is_cuda
    case = Case(engine, "decode")
    backend = case.backend()
    metadata = backend.decode_cuda_graph_metadata[case.batch]
    object.__setattr__(metadata, "dsa_seqlens_expanded", metadata.cache_seqlens_int32.clone())
    assert apply(backend, case, *case.inputs(0)) is NotImplemented


def test_other_calls_are_left_alone(engine):
    case = Case(engine, "decode")
    backend = case.backend()
    seq_lens, pool = case.inputs(0)
    for changed in ({"bs": 7}, {"forward_mode": ForwardMode.EXTEND}):
        assert apply(backend, case, seq_lens, pool, **changed) is NotImplemented
    assert case.is_untouched()
    assert apply(backend, case, seq_lens, pool, forward_mode=ForwardMode.IDLE) is None
    case.check()


def test_an_error_is_raised_once_and_nothing_is_written(engine):
    case = Case(engine, "decode")
    backend = case.backend()
    seq_lens, pool = case.inputs(0)
    with pytest.raises(ValueError, match="req_pool_indices"):
        apply(backend, case, seq_lens, pool[:1])
    assert apply(backend, case, seq_lens, pool) is NotImplemented
    assert case.is_untouched()
