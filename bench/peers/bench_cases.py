"""The cases of bench/cases.json, with the names and the lengths that bench/workloads/case_list.cpp gives them."""

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path

_DOCUMENT = json.loads((Path(__file__).resolve().parents[1] / "cases.json").read_text())

TABLE_WIDTH = _DOCUMENT["table_width"]
PAGE_SIZE = _DOCUMENT["page_size"]
TOPK = _DOCUMENT["topk"]
NUM_SMS = _DOCUMENT["num_sms"]
_MASK = (1 << 32) - 1


@dataclass(frozen=True)
class Case:
    name: str
    group: str
    op: str
    mode: str
    batch: int
    context: int = 0
    prefix: int = -1
    spread: int = 0
    long_context: int = 0
    min_q: int = 1
    max_q: int = 1
    long_q: int = 0
    has_constant_q: bool = False
    kpool: int = 1
    clamp: bool = True
    outputs: tuple = field(default=())

    def query_lens(self):
        return _query_lens(self)

    def seq_lens(self):
        """What the operation is given; target_verify adds q to it."""
        return _seq_lens(self)


@functools.cache
def _query_lens(case):
    lens = [scattered(case.min_q, case.max_q + 1, r, 1) for r in range(case.batch)]
    if case.long_q:
        lens[0] = case.long_q
    return lens


@functools.cache
def _seq_lens(case):
    queries = _query_lens(case)
    if case.long_context:
        return [case.long_context if r == case.batch // 3 else case.context for r in range(case.batch)]
    if case.context:
        return [scattered(case.context // 2, case.context, r, 2) for r in range(case.batch)]
    if case.prefix >= 0:
        return [case.prefix + q for q in queries]
    return [q + scattered(0, case.spread, r, 2) for r, q in enumerate(queries)]


def scattered(low, high, place, salt):
    bits = ((place + 1) * 2654435761 + salt * 2246822519) & _MASK
    bits = ((bits ^ (bits >> 15)) * 2246822507) & _MASK
    bits ^= bits >> 13
    return low + (bits * (high - low) >> 32)


def _count_text(count):
    return f"{count // 1024}K" if count > 0 and count % 1024 == 0 else str(count)


def _name(group, shape):
    name = f"{group}/b{shape['batch']}"
    if shape.get("context", 0) > 0:
        name += "_c" + _count_text(shape["context"])
    if shape.get("long_context", 0) > 0:
        name += "_long" + _count_text(shape["long_context"])
    if shape.get("prefix", -1) >= 0:
        name += "_p" + _count_text(shape["prefix"])
    return name + (f"_q{shape['q']}" if "q" in shape else "")


def _case(group, shape):
    low, high = group.get("q", (1, 1))
    if "q" in shape:
        low = high = shape["q"]
    mode = group.get("mode", "decode")
    return Case(
        _name(group["group"], shape),
        group["group"],
        group.get("op", "build_metadata"),
        mode,
        shape["batch"],
        shape.get("context", 0),
        shape.get("prefix", -1),
        shape.get("spread", 0),
        shape.get("long_context", 0),
        low,
        high,
        shape.get("long_q", 0),
        group.get("constant_q", False) or mode in ("decode", "target_verify"),
        group.get("kpool", 1),
        group.get("clamp", True),
        tuple(_DOCUMENT["outputs"][group["outputs"]]) if "outputs" in group else (),
    )


def all_cases():
    cases = []
    for group in _DOCUMENT["groups"]:
        shapes = group["shapes"]
        if isinstance(shapes, str):
            shapes = _DOCUMENT["shapes"][shapes]
        cases += [_case(group, shape) for shape in shapes]
    return cases
