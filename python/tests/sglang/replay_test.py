"""Replays of graphs by one plan against the formulas: every buffer, and what lies around it."""

from types import SimpleNamespace

import pytest
import torch
from fake_backend import MODES, Case
from replaying import TABLES, apply, check_flashmla, flashmla_backend, replay_and_check

from reference import KEPT


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
    assert case.bases[0]["topk_v2_plan"][:6].tolist() == [
        [65536, 4],
        *([4 + j, 100_001 + j] for j in range(4)),
        [KEPT] * 2,
    ]


@pytest.mark.parametrize("mode", MODES)
def test_pools_with_fusion_are_updated_by_the_backend(engine, mode):
    case = Case(engine, mode, kpool=4)
    backend = case.backend()
    accepted = torch.arange(9)
    seq_lens, pool = case.inputs(4)
    assert apply(backend, case, seq_lens, pool, spec_info=SimpleNamespace(num_accept_tokens=accepted)) is None
    case.check()
    ((metadata, lengths, rows, forward_mode), keywords) = backend.kpool_updates.pop()
    assert metadata is backend.forward_metadata
    assert lengths.tolist() == seq_lens[:3].tolist()
    assert rows.tolist() == pool[:3].tolist()
    assert forward_mode is MODES[mode]
    accepted = keywords["effective_n_per_batch"]
    assert accepted is None if mode != "draft_extend" else accepted.tolist() == [0, 1, 2]
    assert backend.kpool_updates == []


@pytest.mark.parametrize("mode", MODES)
def test_flashmla_gets_its_schedule(engine, mode):
    case = Case(engine, mode)
    backend = flashmla_backend(case)
    seq_lens, pool = case.inputs(2)
    assert apply(backend, case, seq_lens, pool) is None
    check_flashmla(case, backend)
