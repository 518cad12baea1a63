"""Measures all candidates of a case: compares each with ours, times it, and counts its calls of the CUDA API."""

import gc
import traceback
from functools import partial

import torch

import api_calls
import measure


def difference(expected, made):
    """None, or the first output that differs, of those that both have."""
    for name in expected.keys() & made.keys():
        theirs, ours = made[name], expected[name]
        if theirs.shape != ours.shape:
            return f"{name}: shape {tuple(theirs.shape)}, ours {tuple(ours.shape)}"
        if not torch.equal(theirs, ours):
            return f"{name}: {int((theirs != ours).sum())} elements differ from ours"
    return None


class Sweep:
    """What fails is a row that says so, and stops nothing else."""

    def __init__(self, candidates_of, is_gpu, repetitions, wanted):
        """candidates_of(case), a list that begins with ours; `wanted`: a pattern of the implementations to measure."""
        self._candidates_of, self._is_gpu = candidates_of, is_gpu
        self._repetitions, self._wanted = repetitions, wanted
        self._flush = measure.Flush() if is_gpu else None
        self._told = set()  # implementations whose failure was printed in full

    def rows_of(self, case):
        """The first candidate, ours, is what the others are compared with."""
        rows, expected = [], None
        try:
            found = self._candidates_of(case)
        except Exception as error:  # noqa: BLE001 - a case that cannot be prepared must not end the others
            return [self._row(case, "nsameta", self._failure("nsameta", error))]
        for candidate in found:
            is_wanted = self._wanted.search(candidate.impl)
            if expected is not None and not is_wanted:
                continue
            try:
                call, made = self._first_call(candidate)
                if expected is None and candidate.impl.startswith("nsameta"):
                    expected = made
                differs = difference(expected, made) if expected is not None else None
                facts = {"error": differs} if differs else {"ok": True}
                if is_wanted and not differs:
                    facts |= self._measure(case, candidate.impl, call, made)
            except Exception as error:  # noqa: BLE001 - a peer that fails must not take the others' rows along
                facts = self._failure(candidate.impl, error)
            if is_wanted or "error" in facts:
                rows.append(self._row(case, candidate.impl, facts))
            call = made = None
            gc.collect()
        return rows

    def count_api_calls(self, case, rows):
        """Adds `api` to those rows of the case that have times."""
        for row in rows:
            if "metrics" in row:
                make = partial(self._warm_call, case, row["impl"])
                row["api"] = api_calls.count_of(make, f"{case.name} {row['impl']}")

    def _first_call(self, candidate):
        call, outputs = candidate.make()
        call()
        if self._is_gpu:
            torch.cuda.synchronize()
        return call, {name: tensor.clone() for name, tensor in outputs().items()}

    def _measure(self, case, impl, call, made):
        if not self._is_gpu:
            return measure.measure_on_cpu(call, self._repetitions)
        num_bytes = sum(tensor.numel() * tensor.element_size() for tensor in made.values())

        def others():
            count = measure.num_cold_sets(num_bytes, measure.l2_bytes()) - 1
            return [self._call_on_new_buffers(case, impl) for _ in range(count)]

        return measure.measure_on_gpu(call, others, self._flush, self._repetitions)

    def _call_on_new_buffers(self, case, impl):
        (candidate,) = (found for found in self._candidates_of(case) if found.impl == impl)
        return candidate.make()[0]

    def _warm_call(self, case, impl):
        call = self._call_on_new_buffers(case, impl)
        call()
        return call

    def _failure(self, impl, error):
        if impl not in self._told:
            traceback.print_exception(error)  # once: most failures come in every case
            self._told.add(impl)
        return {"error": repr(error)}

    @staticmethod
    def _row(case, impl, facts):
        row = {"case": case.name, "group": case.group, "impl": impl, "variant": "plain"}
        return row | {"batch": case.batch, "context": max(case.context, case.long_context)} | facts
