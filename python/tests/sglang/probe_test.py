"""The rules that SGLang's functions follow are found by their results."""

import pytest
import torch
from nsameta.sglang import probe

STEP = {"mode": "target_verify", "batch": 3, "tokens_per_request": 4, "mqa_lengths": "kv", "mqa_next_n": 4}


@pytest.mark.parametrize("variant", ["v1", "apr26", "sm90_jun26", "sm100_jun26"])
def test_each_rule_is_told_from_the_others(engine, variant):
    engine.variant = variant
    schedule = torch.zeros(8, 2, dtype=torch.int32)
    assert probe.schedule_variant(engine.schedule, 7, schedule, STEP) == variant
    assert probe.schedule_variant(engine.schedule, 6, schedule, STEP) is None


@pytest.mark.parametrize("odd", [range(200), range(1000, 20_000), range(200_000, 400_000)])
def test_a_rule_that_fails_for_some_lengths_is_unknown(engine, odd):
    def schedule(lengths, block_kv, num_sms):
        return engine.schedule(lengths, block_kv, num_sms) + int(int(lengths.max()) in odd)

    assert probe.schedule_variant(schedule, 7, torch.zeros(8, 2, dtype=torch.int32), STEP) is None


@pytest.mark.parametrize("num_tokens", [31, 40, 64, 100, 200, 300, 512])
@pytest.mark.parametrize("arch", ["hopper", "blackwell"])
def test_each_plan_is_told_from_the_other(engine, arch, num_tokens):
    engine.arch, engine.clusters = arch, 30
    assert probe.topk_plan_arch(num_tokens, "cpu") == arch


def test_a_plan_that_is_left_alone(engine):
    engine.clusters = 30
    assert probe.topk_plan_arch(30, "cpu") == ""
