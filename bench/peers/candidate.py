"""Who may build a case, and ours among them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass
class Candidate:
    """make() returns the call to be timed and the tensors that it writes, by name, as they are after a call."""

    impl: str
    make: Callable


def our_candidates(peers, make_args):
    """Candidates that build the same, through a plan and in one call."""

    def by_plan():
        args, outputs = make_args()
        plan = peers.context.plan(args)
        return lambda: plan.run(peers.stream()), lambda: outputs

    def at_once():
        args, outputs = make_args()
        return lambda: peers.context.build_metadata(args, peers.stream()), lambda: outputs

    return [Candidate("nsameta", by_plan), Candidate("nsameta one-shot", at_once)] if peers.context else []


def allocating(impl, form):
    """form() returns the outputs by name."""

    def make():
        kept = {}
        return lambda: kept.update(form()), lambda: kept

    return Candidate(impl, make)


def lens(values, peers):
    return torch.tensor(values, dtype=torch.int32, device=peers.device)
