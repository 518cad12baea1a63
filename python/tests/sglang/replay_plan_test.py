"""One launch a replay: the plan is made once for each batch size and mode, and anew for other buffers."""

import gc
import weakref

import nsameta
import pytest
import torch
from fake_backend import MODES, Case
from nsameta.sglang import probe
from replaying import apply, launches, replay_and_check


@pytest.fixture
def case(engine):
    return Case(engine, "target_verify")


@pytest.fixture
def made(monkeypatch):
    plans, make = [], nsameta.Plan
    monkeypatch.setattr(nsameta, "Plan", lambda **arguments: plans.append(1) or make(**arguments))
    return plans


def test_one_launch_and_no_comparison_after_the_first(engine, case, made):
    backend = case.backend()
    seq_lens, pool = replay_and_check(case, backend, 1)
    compared = engine.num_plans, engine.num_schedules
    before = launches()
    for lengths in (seq_lens, seq_lens[: case.batch], seq_lens[:]):
        assert apply(backend, case, lengths, pool) is None
    assert launches() == before + 3
    assert (engine.num_plans, engine.num_schedules) == compared
    assert len(made) == 1


def test_other_inputs_are_bound_anew(engine, case, made):
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
def test_other_buffers_get_a_plan_of_their_own(case, name, how):
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


def test_another_table_of_requests_is_read(case):
    backend = case.backend()
    replay_and_check(case, backend, 1)
    backend.req_to_token = case.table = case.table + 7
    replay_and_check(case, backend, 2)


def test_batch_sizes_and_modes_have_plans_of_their_own(engine):
    cases = [Case(engine, mode, batch) for batch in (2, 3) for mode in MODES]
    backends = {mode: Case(engine, mode).backend() for mode in MODES}
    for case in cases:
        backend = backends[case.mode]
        backend.req_to_token = case.table
        backend.decode_cuda_graph_metadata[case.batch] = case.metadata()
    for case in cases * 2:
        backends[case.mode].req_to_token = case.table
        replay_and_check(case, backends[case.mode], 5)


def test_the_plan_dies_with_the_backend(case):
    backend = case.backend()
    replay_and_check(case, backend, 1)
    gone = weakref.ref(backend.decode_cuda_graph_metadata[case.batch].cu_seqlens_k)
    del backend
    case.bases.clear()
    gc.collect()
    assert gone() is None


def test_nothing_is_compared_while_a_graph_is_captured(engine, case, monkeypatch):
    backend, captures = case.backend(), True
    monkeypatch.setattr(probe, "is_capturing", lambda device: captures)
    assert apply(backend, case, *case.inputs(1)) is NotImplemented
    assert case.is_untouched()
    assert engine.num_schedules == 0
    captures = False
    replay_and_check(case, backend, 1)
    captures = True
    replay_and_check(case, backend, 2)
