"""Counts the calls of the CUDA API that one call of ours or of a peer makes, from the trace of torch's profiler.

CUPTI records what goes through the runtime, whichever copy of it a library brought, and launches through the driver.
It stays attached after the first trace and makes every later call slower: count when all times have been taken.
"""

import re
import sys
import time
from dataclasses import dataclass

KINDS = ("launches", "copies", "synchronisations", "allocations", "other")
NUM_CALLS = 5
_MARK = "nsameta counted calls"
_MARGIN_S = 1e-3  # on both sides of the range's ends: the clocks of its events and of CUPTI's are not quite one
_LONG_S = 0.02  # calls that take longer than this are traced once: they make ten thousands of events

_API = re.compile(r"^cu(da)?[A-Z]")
# What no call has to wait for, and no work comes from. They are tried before the others.
_QUERIES = re.compile(
    r"^cu(da)?("
    r"(Ctx|Device|DevicePrimaryCtx|Driver|Event|Func|Kernel|Library|Mem|Module|Pointer|Runtime|Stream)?"
    r"(Get|Is|Peek|Query)"
    r"|Occupancy|ThreadExchangeStreamCaptureMode|EventElapsedTime"
    r"|SetDevice|CtxPushCurrent|CtxPopCurrent|CtxSetCurrent|Init)"
)
_KINDS = (
    ("synchronisations", re.compile(r"Synchronize|^cu(da)?(Memcpy|Memset)(?!.*Async)")),
    ("launches", re.compile(r"Launch")),
    ("copies", re.compile(r"^cu(da)?(Memcpy|Memset)")),
    (
        "allocations",
        re.compile(r"^cu(da)?(Malloc|Free|HostAlloc|HostRegister|MemAlloc|MemFree|MemHost|MemCreate|MemMap)"),
    ),
)


@dataclass(frozen=True)
class Event:
    name: str
    start: float
    end: float


def kind_of(name):
    """One of KINDS, or None for a pure query and for what is no call of the API."""
    if not _API.match(name) or _QUERIES.match(name):
        return None
    for kind, pattern in _KINDS:
        if pattern.search(name):
            return kind
    return "other"


def count(events, mark, num_calls):
    """Calls of each kind by one of the `num_calls` calls within the event named `mark`; None without any call there.

    A call that another one makes inside itself, as the runtime does through the driver, counts as one with it.
    """
    ranges = [event for event in events if event.name == mark]
    if not ranges:
        return None
    begin, end = ranges[0].start, max(event.end for event in ranges)
    within = [event for event in events if begin <= event.start <= end and _API.match(event.name)]
    found, busy_until = dict.fromkeys(KINDS, 0), begin
    for event in sorted(within, key=lambda event: (event.start, -event.end)):
        if event.end <= busy_until:
            continue
        busy_until = event.end
        kind = kind_of(event.name)
        if kind is not None:
            found[kind] += 1
    if not any(found.values()):
        return None
    return {kind: _per_call(number, num_calls) for kind, number in found.items()}


def _per_call(number, num_calls):
    return number // num_calls if number % num_calls == 0 else round(number / num_calls, 2)


def _seconds(call):
    import torch

    torch.cuda.synchronize()
    begin = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return time.perf_counter() - begin


def _trace(call, num_calls):
    import torch
    from torch.profiler import ProfilerActivity, profile, record_function

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        torch.cuda.synchronize()
        time.sleep(_MARGIN_S)
        with record_function(_MARK):
            time.sleep(_MARGIN_S)
            for _ in range(num_calls):
                call()
            time.sleep(_MARGIN_S)
        time.sleep(_MARGIN_S)
        torch.cuda.synchronize()
    on_host = torch.autograd.DeviceType.CPU
    return [
        Event(event.name, event.time_range.start, event.time_range.end)
        for event in profiler.events()
        if event.device_type == on_host
    ]


def count_of(make, what):
    """Calls of each kind by the warm call that make() returns, or None where that cannot be told, as stderr then says."""
    try:
        call = make()
        num_calls = 1 if _seconds(call) > _LONG_S else NUM_CALLS
        for _ in range(2):  # a first trace may begin before CUPTI does
            found = count(_trace(call, num_calls), _MARK, num_calls)
            if found is not None:
                return found
        why = "the trace holds no call of the CUDA API"
    except Exception as error:  # noqa: BLE001 - no CUPTI, a busy one, or a peer that fails: the times are there anyway
        why = repr(error)
    print(f"{what}: API calls not counted: {why}", file=sys.stderr)
    return None
