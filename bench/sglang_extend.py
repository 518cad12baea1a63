"""Host time of a prefill's metadata for SGLang: ./dev exec python3 bench/sglang_extend.py [--device cuda:0]

nsameta.sglang.extend.init_forward_metadata on the made-up backend of its tests, for NUM_TOKENS new tokens: what the
host needs until all is enqueued, as the best of several rounds. `--without-build` leaves the launch itself out.
"""

import argparse
import functools
import sys
import time
from pathlib import Path

import nsameta
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "python" / "tests" / "sglang"))
from fake_backend_extend import POOL_ROWS, Backend, extend_batch
from nsameta.sglang.extend import init_forward_metadata

NUM_TOKENS, PREFIX, ROUNDS = 8192, 4096, 20


def make_case(size, has_prefix, device):
    """fp8 keys that are gathered where there is a prefix, else keys that are read in place."""
    backend = Backend(topk=2048, is_ragged=has_prefix, device=device)
    table = torch.randint(0, 1 << 20, (POOL_ROWS, NUM_TOKENS + PREFIX), dtype=torch.int32)
    backend.req_to_token_pool.req_to_token = table.to(device)
    backend._build_topk_v2_plan = lambda _: None
    return backend, extend_batch([NUM_TOKENS // size] * size, [PREFIX * has_prefix] * size, device)


def microseconds(function, num_calls, synchronize):
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(num_calls):
            function()
        best = min(best, time.perf_counter() - start)
        synchronize()
    return best / num_calls * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--without-build", action="store_true")
    options = parser.parse_args()
    if options.without_build:
        nsameta.build_metadata = lambda **_: None
    synchronize = torch.cuda.synchronize if options.device.startswith("cuda") else lambda: None
    with torch.inference_mode():
        for size in (1, 8, 64):
            for has_prefix in (False, True):
                backend, batch = make_case(size, has_prefix, options.device)
                call = functools.partial(init_forward_metadata, backend, batch)
                assert call() is None
                time_us = microseconds(call, options.calls, synchronize)
                print(f"{time_us:7.1f} us  batch {size}, {'prefix, gathered' if has_prefix else 'no prefix'}")


if __name__ == "__main__":
    main()
