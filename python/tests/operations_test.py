"""copy_metadata, map_topk_to_slots and mla_schedule, one-shot and by plan."""

import nsameta
import numpy as np
import pytest

from reference import KEPT


def call(name, by_plan, **arguments):
    if by_plan:
        nsameta.Plan(name, **arguments).run()
    else:
        assert getattr(nsameta, name)(**arguments) is None


@pytest.mark.parametrize("by_plan", (False, True))
def test_copy_metadata(tensors, by_plan):
    sources = [tensors.make(np.arange(6)), tensors.make(np.arange(8).reshape(2, 4), np.int64)]
    destinations = [tensors.make([KEPT] * 6), tensors.make(np.full((2, 4), KEPT), np.int64)]
    call("copy_metadata", by_plan, pairs=list(zip(sources, destinations, strict=True)))
    for source, destination in zip(sources, destinations, strict=True):
        np.testing.assert_array_equal(tensors.read(destination), tensors.read(source))


def test_copy_metadata_takes_pairs_by_position(tensors):
    destination = tensors.make([KEPT] * 2)
    nsameta.copy_metadata([(tensors.make([1, 2]), destination)])
    np.testing.assert_array_equal(tensors.read(destination), [1, 2])


def test_bad_pairs(tensors):
    good = (tensors.make([1]), tensors.make([KEPT]))
    for pairs, exception, name in (
        (3, TypeError, "pairs"),
        ([3], TypeError, "pairs"),
        ([good, (tensors.make([1]),)], ValueError, r"pairs\[1\]"),
        ([good, (tensors.make([1], np.float32), tensors.make([1]))], TypeError, r"pairs\[1\].source"),
        ([good, (tensors.make([1]), 3)], TypeError, r"pairs\[1\].destination"),
        ([good, (tensors.make([1]), tensors.make([1, 2]))], ValueError, r"pairs\[1\].destination"),
    ):
        with pytest.raises(exception, match=name):
            nsameta.copy_metadata(pairs)
    np.testing.assert_array_equal(tensors.read(good[1]), [KEPT])


@pytest.mark.parametrize("by_plan", (False, True))
def test_map_topk_to_slots(tensors, by_plan):
    generator = np.random.default_rng(5)
    table = generator.permutation(4 * 32).astype(np.int32).reshape(4, 32)
    pool, q = np.array([3, 1, 0]), [2, 0, 3]
    request = np.repeat(np.arange(3), q)
    chosen = generator.integers(-1, 32, (5, 6)).astype(np.int32)
    slots, num_valid = tensors.make(np.full((5, 6), KEPT)), tensors.make([KEPT] * 5)
    call(
        "map_topk_to_slots",
        by_plan,
        topk_indices=tensors.make(chosen),
        req_to_token=tensors.make(table),
        req_pool_indices=tensors.make(pool),
        token_to_batch=tensors.make(request),
        slots=slots,
        num_valid=num_valid,
    )
    expected = [[table[pool[request[t]], x] if x >= 0 else -1 for x in chosen[t]] for t in range(5)]
    np.testing.assert_array_equal(tensors.read(slots), expected)
    np.testing.assert_array_equal(tensors.read(num_valid), (chosen >= 0).sum(axis=1))


def split_keys(keys, num_parts, block_size, overhead):
    """num_splits by FlashMLA's rule: how many parts work on each request, summed up."""
    blocks = [max(-(-k // block_size), 1) for k in keys]
    payload = -(-sum(b + overhead for b in blocks) // num_parts) + overhead
    splits, request, done = [0] * len(blocks), 0, 0
    for _ in range(num_parts):
        left = payload
        while request < len(blocks):
            rest = blocks[request] - done
            if left >= rest + overhead:
                splits[request] += 1
                left -= rest + overhead
                request, done = request + 1, 0
                continue
            if left - overhead > 0:
                splits[request] += 1
                done += left - overhead
            break
    return np.cumsum([0, *splits])


@pytest.mark.parametrize("by_plan", (False, True))
def test_mla_schedule(tensors, by_plan):
    for keys in ([5000, 17, 64, 900], [1], [40000, 3]):
        parts, num_splits = tensors.make(np.full((8, 8), KEPT)), tensors.make([KEPT] * (len(keys) + 1))
        call("mla_schedule", by_plan, seq_lens=tensors.make(keys), parts=parts, num_splits=num_splits)
        np.testing.assert_array_equal(tensors.read(num_splits), split_keys(keys, 8, 64, 5))


def test_missing_outputs_are_named(tensors):
    with pytest.raises(ValueError, match="parts"):
        nsameta.mla_schedule(seq_lens=tensors.make([1]), num_splits=tensors.make([0, 0]))
    with pytest.raises(ValueError, match="slots"):
        nsameta.map_topk_to_slots(topk_indices=tensors.make([[1]]))
