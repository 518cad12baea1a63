"""Replays of graphs by one plan against the formulas: every buffer of every backend, and what lies around them."""

import gc
import logging
import weakref
from dataclasses import replace
from types import SimpleNamespace

import nsameta
import pytest
import torch
from fake_backend import MODES, SLACK, Case, ForwardMode
from nsameta.sglang import probe
from nsameta.sglang.replay import apply_cuda_graph_metadata, init_forward_metadata_out_graph

from reference import KEPT

TABLES = [(1, True), (64, True), (64, False)]  # page size, whether the wide table is there


def apply(backend, case, seq_lens, pool, **changed):
    arguments = {
        "bs": case.batch,
        "req_pool_indices": pool,
        "seq_lens": seq_lens,
        "seq_lens_cpu": None,
        "forward_mode": MODES[case.mode],
        "spec_info": None,
    }
    return apply_cuda_graph_metadata(backend, **{**arguments, **changed})


def launches(of=nsameta.Plan(mode="decode", topk=1, seq_lens=torch.tensor([1]), out={})):
    """Launches of the context that all plans here share."""
    return of.context.num_launches


def replay_and_check(case, backend, seed, **inputs):
    case.poison()
    seq_lens, pool = case.inputs(seed, **inputs)
    assert apply(backend, case, seq_lens, pool) is None
    case.check()
    return seq_lens, pool


@pytest.mark.parametrize("is_cuda", [True, False], ids=["cuda", "hip"])
@pytest.mark.parametrize("tables", TABLES, ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_random_replays(engine, mode, tables, is_cuda):
    engine.is_cuda, engine.module._is_hip = is_cuda, not is_cuda
    for seed in range(6):
        case = Case(engine, mode, 1 + seed * 2, *tables, width=1 + seed % 4, topk=[16, 100, 2048][seed % 3])
        backend = case.backend()
        for step in range(4):
            replay_and_check(case, backend, 10 * seed + step, dtype=[torch.int32, torch.int64][seed % 2])
            assert backend.forward_metadata is backend.decode_cuda_graph_metadata[case.batch]
            assert backend.prefill_choices == [None] * (step + 1)


@pytest.mark.parametrize("variant", ["v1", "sm90_jun26"])
@pytest.mark.parametrize("mode", MODES)
def test_the_schedule_follows_the_rule_of_the_engine(engine, mode, variant):
    engine.variant = variant
    case = Case(engine, mode, batch=5)
    backend = case.backend()
    for seed in range(5):
        replay_and_check(case, backend, seed)


@pytest.mark.parametrize("variant", ["v1", "apr26", "sm90_jun26", "sm100_jun26"])
@pytest.mark.parametrize("width", [2, 3, 4])
def test_a_schedule_by_request_with_its_lengths(engine, variant, width):
    engine.variant = variant
    case = Case(engine, "target_verify", width=width, by_request=True)
    backend = case.backend()
    for seed in range(5):
        replay_and_check(case, backend, seed)


@pytest.mark.parametrize("arch", ["hopper", "blackwell"])
@pytest.mark.parametrize(("batch", "clusters"), [(33, 30), (200, 30), (30, 30), (513, 30)])
def test_the_topk_plan_follows_the_rule_of_the_engine(engine, arch, batch, clusters):
    engine.arch, engine.clusters = arch, clusters
    case = Case(engine, "decode", batch=batch)
    replay_and_check(case, case.backend(), 1)


def test_tokens_above_the_threshold_are_in_the_topk_plan(engine):
    case = Case(engine, "target_verify", batch=2, width=4)
    backend = case.backend()
    seq_lens, pool = case.inputs(1)
    case.seq_lens[1] = seq_lens[1] = 100_000  # of keys, of which the tables show what fits
    apply(backend, case, seq_lens, pool)
    case.check()
    assert case.bases[0]["topk_v2_plan"][:6].tolist() == [[65536, 4], *([4 + j, 100_001 + j] for j in range(4)), [KEPT] * 2]


def test_pools_with_fusion_are_updated_by_the_backend(engine):
    case = Case(engine, "draft_extend", kpool=4)
    backend = case.backend()
    accepted = torch.arange(9)
    seq_lens, pool = case.inputs(4)
    assert apply(backend, case, seq_lens, pool, spec_info=SimpleNamespace(num_accept_tokens=accepted)) is None
    case.check()
    ((metadata, lengths, rows, mode), keywords) = backend.kpool_updates.pop()
    assert metadata is backend.forward_metadata
    assert lengths.tolist() == seq_lens[:3].tolist()
    assert rows.tolist() == pool[:3].tolist()
    assert mode is MODES["draft_extend"]
    assert keywords["effective_n_per_batch"].tolist() == [0, 1, 2]
    assert backend.kpool_updates == []


def flashmla_buffers(case, metadata, tokens):
    buffers = case.backend()._compute_flashmla_metadata(torch.zeros(tokens + SLACK, dtype=torch.int32), 1)
    buffers.flashmla_metadata.fill_(KEPT)
    buffers.num_splits.fill_(KEPT)
    return replace(metadata, flashmla_metadata=buffers)


def flashmla_backend(case):
    backend = case.backend()
    metadatas = backend.decode_cuda_graph_metadata
    metadatas[case.batch] = flashmla_buffers(case, metadatas[case.batch], case.tokens)
    backend.dsa_decode_impl = "flashmla_kv"
    return backend


def check_flashmla(case, backend):
    lengths = case.expected()["dsa_cache_seqlens_int32"]
    buffers = backend.forward_metadata.flashmla_metadata
    assert (buffers.flashmla_metadata == sum(lengths)).all()
    splits = [0, *torch.tensor(lengths).cumsum(0).tolist()]
    assert buffers.num_splits.tolist() == splits + [KEPT] * SLACK


@pytest.mark.parametrize("mode", MODES)
def test_flashmla_gets_its_schedule(engine, mode):
    case = Case(engine, mode)
    backend = flashmla_backend(case)
    seq_lens, pool = case.inputs(2)
    assert apply(backend, case, seq_lens, pool) is None
    check_flashmla(case, backend)


class TestOnePlan:
    """One launch a replay; the plan is made once, and anew for other buffers."""

    @pytest.fixture
    def case(self, engine):
        return Case(engine, "target_verify")

    @pytest.fixture
    def made(self, monkeypatch):
        plans, make = [], nsameta.Plan
        monkeypatch.setattr(nsameta, "Plan", lambda **arguments: plans.append(1) or make(**arguments))
        return plans

    def test_one_launch_and_no_comparison_after_the_first(self, engine, case, made):
        backend = case.backend()
        seq_lens, pool = replay_and_check(case, backend, 1)
        compared = engine.num_plans, engine.num_schedules
        before = launches()
        for lengths in (seq_lens, seq_lens[: case.batch], seq_lens[:]):
            assert apply(backend, case, lengths, pool) is None
        assert launches() == before + 3
        assert (engine.num_plans, engine.num_schedules) == compared
        assert len(made) == 1

    def test_other_inputs_are_bound_anew(self, engine, case, made):
        backend = case.backend()
        kept = [replay_and_check(case, backend, seed) for seed in (1, 2, 3)]
        compared = engine.num_plans, engine.num_schedules
        made.clear()
        case.poison()
        seq_lens, pool = kept[1]
        case.seq_lens, case.pool = seq_lens[:3].numpy(), pool[:3].numpy()
        apply(backend, case, seq_lens, pool)
        case.check()
        strided = torch.stack((seq_lens + 1, seq_lens), dim=1)[:, 1]
        apply(backend, case, strided, pool)
        case.check()
        assert len(made) == 2
        assert (engine.num_plans, engine.num_schedules) == compared

    @pytest.mark.parametrize("name", ["cache_seqlens_int32", "page_table_1", "topk_v2_plan"])
    @pytest.mark.parametrize("how", ["field", "set_", "metadata"])
    def test_other_buffers_get_a_plan_of_their_own(self, case, name, how):
        backend = case.backend()
        replay_and_check(case, backend, 1)
        old = backend.decode_cuda_graph_metadata[case.batch]
        twin = Case(case.engine, case.mode)
        new = twin.backend().decode_cuda_graph_metadata[case.batch]
        if how == "field":
            object.__setattr__(old, name, getattr(new, name))
        elif how == "set_":
            getattr(old, name).set_(getattr(new, name))
        else:
            backend.decode_cuda_graph_metadata[case.batch] = new
        case.bases[0].update(twin.bases[0] if how == "metadata" else {name: twin.bases[0][name]})
        replay_and_check(case, backend, 2)

    def test_another_table_of_requests_is_read(self, case):
        backend = case.backend()
        replay_and_check(case, backend, 1)
        backend.req_to_token = case.table = case.table + 7
        replay_and_check(case, backend, 2)

    def test_batch_sizes_and_modes_have_plans_of_their_own(self, engine):
        cases = [Case(engine, mode, batch) for batch in (2, 3) for mode in MODES]
        backends = {mode: Case(engine, mode).backend() for mode in MODES}
        for case in cases:
            backend = backends[case.mode]
            backend.req_to_token = case.table
            backend.decode_cuda_graph_metadata[case.batch] = case.metadata()
        for case in cases * 2:
            backends[case.mode].req_to_token = case.table
            replay_and_check(case, backends[case.mode], 5)

    def test_the_plan_dies_with_the_backend(self, case):
        backend = case.backend()
        replay_and_check(case, backend, 1)
        gone = weakref.ref(backend.decode_cuda_graph_metadata[case.batch].cu_seqlens_k)
        del backend
        case.bases.clear()
        gc.collect()
        assert gone() is None

    def test_nothing_is_compared_while_a_graph_is_captured(self, engine, case, monkeypatch):
        backend, captures = case.backend(), True
        monkeypatch.setattr(probe, "is_capturing", lambda device: captures)
        assert apply(backend, case, *case.inputs(1)) is NotImplemented
        assert case.is_untouched()
        assert engine.num_schedules == 0
        captures = False
        replay_and_check(case, backend, 1)
        captures = True
        replay_and_check(case, backend, 2)


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


def test_decode_lengths_that_are_there_twice(engine):
    case = Case(engine, "decode")
    backend = case.backend()
    metadata = backend.decode_cuda_graph_metadata[case.batch]
    object.__setattr__(metadata, "dsa_seqlens_expanded", metadata.cache_seqlens_int32.clone())
    assert apply(backend, case, *case.inputs(0)) is NotImplemented


def test_other_calls_are_left_alone(engine):
    case = Case(engine, "decode")
    backend = case.backend()
    seq_lens, pool = case.inputs(0)
    for changed in ({"bs": 7}, {"bs": 0}, {"forward_mode": ForwardMode.EXTEND}):
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


class TestMultiStep:
    def multi(self, case, steps=4, **changed):
        backends = [case.backend() for _ in range(steps - 1)]
        attributes = {"attn_backends": backends, "speculative_num_steps": steps}
        return type("MultiStep", (), {**attributes, **changed})()

    def replay(self, multi, case, seq_lens, pool, **keywords):
        batch = SimpleNamespace(batch_size=case.batch, seq_lens=seq_lens, req_pool_indices=pool)
        return init_forward_metadata_out_graph(multi, batch, **keywords)

    @pytest.mark.parametrize("steps", [2, 4, 9])
    @pytest.mark.parametrize("tables", TABLES, ids=str)
    def test_one_launch_leaves_nothing_stale(self, engine, tables, steps):
        case = Case(engine, "decode", 5, *tables)
        multi = self.multi(case, steps)
        for seed in range(4):
            case.poison()
            seq_lens, pool = case.inputs(seed)
            before = launches()
            assert self.replay(multi, case, seq_lens, pool) is None
            assert seed == 0 or launches() == before + 1
            case.check()
            for backend in multi.attn_backends:
                assert backend.forward_metadata is backend.decode_cuda_graph_metadata[case.batch]
                assert backend.prefill_choices == [None] * (seed + 1)

    def test_another_buffer_of_any_backend_is_seen(self, engine):
        case = Case(engine, "decode")
        multi = self.multi(case)
        self.replay(multi, case, *case.inputs(1))
        metadata = multi.attn_backends[2].decode_cuda_graph_metadata[case.batch]
        metadata.cu_seqlens_k.set_(torch.full((case.batch + 1,), KEPT, dtype=torch.int32))
        case.bases[2]["cu_seqlens_k"] = metadata.cu_seqlens_k
        case.poison()
        self.replay(multi, case, *case.inputs(2))
        case.check()

    def test_flashmla_gets_its_schedule_in_all_backends(self, engine):
        case = Case(engine, "decode")
        multi = self.multi(case, steps=1)
        multi.attn_backends, multi.speculative_num_steps = [flashmla_backend(case) for _ in range(3)], 4
        assert self.replay(multi, case, *case.inputs(1)) is None
        for backend in multi.attn_backends:
            check_flashmla(case, backend)

    @pytest.mark.parametrize("steps", [1, 10])
    def test_no_backends_or_too_many(self, engine, steps):
        case = Case(engine, "decode")
        assert self.replay(self.multi(case, steps), case, *case.inputs(1)) is NotImplemented

    def test_what_is_not_built_is_left_alone(self, engine):
        case = Case(engine, "decode")
        seq_lens, pool = case.inputs(1)
        assert self.replay(self.multi(case), case, seq_lens, pool, in_capture=True) is NotImplemented
        pooled = self.multi(case)
        pooled.attn_backends[1].dsa_index_kpool = 4
        assert self.replay(pooled, case, seq_lens, pool) is NotImplemented
        unlike = self.multi(case)
        unlike.attn_backends[1].dsa_index_topk = 4
        assert self.replay(unlike, case, seq_lens, pool) is NotImplemented
        unknown = self.multi(case)
        del unknown.attn_backends[2].decode_cuda_graph_metadata[case.batch]
        assert self.replay(unknown, case, seq_lens, pool) is NotImplemented
        assert case.is_untouched()


class TestProbe:
    STEP = {"mode": "target_verify", "batch": 3, "tokens_per_request": 4, "mqa_lengths": "kv", "mqa_next_n": 4}

    @pytest.mark.parametrize("variant", ["v1", "apr26", "sm90_jun26", "sm100_jun26"])
    def test_each_rule_is_told_from_the_others(self, engine, variant):
        engine.variant = variant
        schedule = torch.zeros(8, 2, dtype=torch.int32)
        assert probe.schedule_variant(engine.schedule, 7, schedule, self.STEP) == variant
        assert probe.schedule_variant(engine.schedule, 6, schedule, self.STEP) is None

    @pytest.mark.parametrize("num_tokens", [31, 40, 64, 100, 200, 300, 512])
    @pytest.mark.parametrize("arch", ["hopper", "blackwell"])
    def test_each_plan_is_told_from_the_other(self, engine, arch, num_tokens):
        engine.arch, engine.clusters = arch, 30
        assert probe.topk_plan_arch(num_tokens, "cpu") == arch

    def test_a_plan_that_is_left_alone(self, engine):
        engine.clusters = 30
        assert probe.topk_plan_arch(30, "cpu") == ""
