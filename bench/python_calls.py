"""Host time of calls from Python: ./dev exec python3 bench/python_calls.py [--library torch|numpy] [--device cuda:0]

A verify step of 4 requests with 4 tokens, 3 inputs and 9 outputs. What a call costs beyond the C function is its time
minus that of bench_cpu's or bench_gpu's enqueue benchmark. The calls take turns, some hundred at a time; the least and
the median of the rounds are printed, the interpreter's own call taken off.
"""

import argparse
import importlib
import statistics
import timeit

import nsameta

NUM_REQUESTS, WIDTH, CONTEXT, CALLS_OF_A_ROUND = 4, 4, 512, 500


def make_step(library, device):
    if library == "torch":
        torch = importlib.import_module("torch")
        device = device or ("cuda:0" if torch.cuda.is_available() else "cpu")

        def zeros(*shape):
            return torch.zeros(shape, dtype=torch.int32, device=device)
    else:
        numpy = importlib.import_module("numpy")

        def zeros(*shape):
            return numpy.zeros(shape, numpy.int32)

    tokens = NUM_REQUESTS * WIDTH
    per_token = ("seqlens_expanded", "nsa_cache_seqlens", "token_to_batch_idx", "positions")
    out = {name: zeros(tokens) for name in per_token}
    out |= {"nsa_cu_seqlens_k": zeros(tokens + 1), "cache_seqlens": zeros(NUM_REQUESTS), "total_tokens": zeros(1)}
    out |= {name: zeros(NUM_REQUESTS + 1) for name in ("cu_seqlens_k", "cu_seqlens_q")}
    inputs = {
        "seq_lens": zeros(NUM_REQUESTS) + 100,
        "req_pool_indices": zeros(NUM_REQUESTS),
        "req_to_token": zeros(8, CONTEXT),
    }
    return inputs, out


def measure(calls, num_rounds, synchronize):
    """{name: ns of a call in each round}"""
    times = {name: [] for name in calls}
    for _ in range(num_rounds):
        for name, call in calls.items():
            times[name].append(timeit.timeit(call, number=CALLS_OF_A_ROUND) / CALLS_OF_A_ROUND * 1e9)
            synchronize()
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", choices=("torch", "numpy"), default="torch")
    parser.add_argument("--device", help="of torch; default: cuda:0 where there is one")
    parser.add_argument("--calls", type=int, default=50000, help="of each function (%(default)s)")
    options = parser.parse_args()
    inputs, out = make_step(options.library, options.device)
    seq_lens, pool, table = inputs.values()
    step = {"mode": "target_verify", "topk": 2048, "tokens_per_request": WIDTH, **inputs, "out": out}
    plan, checked_plan = nsameta.Plan(**step), nsameta.Plan(**step, check=True)
    run, run_checked, build = plan.run, checked_plan.run, nsameta.build_metadata

    def one_shot():
        build(
            mode="target_verify",
            topk=2048,
            tokens_per_request=WIDTH,
            seq_lens=seq_lens,
            req_pool_indices=pool,
            req_to_token=table,
            out=out,
        )

    calls = {
        "plan.run(4, 16, 128)": lambda: run(4, 16, 128),
        "plan.run(4, 16, 128, 0)": lambda: run(4, 16, 128, 0),
        "build_metadata, 12 tensors": one_shot,
        "plan.run(4, 16, 128), check=True": lambda: run_checked(4, 16, 128),
        "plan.check_tensors, 12 tensors": plan.check_tensors,
        "Plan(...), 12 tensors": lambda: nsameta.Plan(**step),
    }
    num_rounds = max(options.calls // CALLS_OF_A_ROUND, 1)
    times = measure({**calls, "interpreter": lambda: None}, num_rounds, plan.context.synchronize)
    of_interpreter = min(times.pop("interpreter"))
    print(f"{plan.context!r}, {options.library}, {num_rounds} rounds\n   least    median")
    for name, rounds in times.items():
        print(f"{min(rounds) - of_interpreter:8.0f} {statistics.median(rounds) - of_interpreter:9.0f} ns  {name}")


if __name__ == "__main__":
    main()
