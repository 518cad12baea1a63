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


def elsewhere(tensor):
    return tensor.clone()


def in_columns(tensor):
    return torch.stack((tensor, tensor + 1), dim=1)[:, 0]


@pytest.mark.parametrize("which", [0, 1], ids=["seq_lens", "req_pool_indices"])
@pytest.mark.parametrize("moved", [elsewhere, in_columns])
def test_other_inputs_are_bound_anew(engine, case, made, which, moved):
    backend = case.backend()
    inputs = list(replay_and_check(case, backend, 1))
    compared = engine.num_plans, engine.num_schedules
    inputs[which] = moved(inputs[which])
    inputs[which][0] = [400, 4][which]
    case.seq_lens, case.pool = (each[: case.batch].numpy() for each in inputs)
    case.poison()
    apply(backend, case, *inputs)
    case.check()
    assert len(made) == 2
    assert (engine.num_plans, engine.num_schedules) == compared


@pytest.mark.parametrize("which", [0, 1], ids=["seq_lens", "req_pool_indices"])
@pytest.mark.parametrize("change", ["stride", "dtype"])
def test_other_inputs_at_the_same_address_are_bound_anew(case, which, change):
    backend = case.backend()
    memory = [torch.zeros(4 * case.batch, dtype=torch.int64) for _ in range(2)]
    for each in ("as before", change):
        inputs = [memory[0][: case.batch], memory[1][: case.batch]]
        if each == "stride":
            inputs[which] = memory[which][::2][: case.batch]
        if each == "dtype":
            inputs[which] = memory[which].view(torch.int32)[: case.batch]
        for to, values in zip(inputs, ([300, 70, 8], [2, 0, 4]), strict=True):
            to.copy_(torch.tensor(values))
        case.seq_lens, case.pool = (values.numpy() for values in inputs)
        case.poison()
        apply(backend, case, *inputs)
        case.check()


def test_another_width_is_not_replayed_by_the_plan_of_the_first(case):
    backend = case.backend()
    replay_and_check(case, backend, 1)
    case.poison()
    backend.speculative_num_draft_tokens = 2
    assert apply(backend, case, *case.inputs(1)) is NotImplemented
    assert case.is_untouched()


@pytest.mark.parametrize("name", ["cache_seqlens_int32", "page_table_1", "topk_v2_plan"])
@pytest.mark.parametrize("how", ["field", "metadata"])
def test_other_buffers_get_a_plan_of_their_own(case, name, how):
    backend = case.backend()
    inputs = replay_and_check(case, backend, 1)
    old = backend.decode_cuda_graph_metadata[case.batch]
    twin = Case(case.engine, case.mode)
    new = twin.backend().decode_cuda_graph_metadata[case.batch]
    if how == "field":
        object.__setattr__(old, name, getattr(new, name))
    else:
        backend.decode_cuda_graph_metadata[case.batch] = new
    case.bases[0].update(twin.bases[0] if how == "metadata" else {name: twin.bases[0][name]})
    case.poison()
    apply(backend, case, *inputs)
    case.check()


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
