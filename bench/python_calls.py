"""Host time of calls from Python: ./dev exec python3 bench/python_calls.py [--library torch|numpy] [--device cuda:0]

A verify step of 4 requests with 4 tokens, 3 inputs and 9 outputs. What a call costs beyond the C function is its time
minus that of bench_cpu's or bench_gpu's enqueue benchmark. The best of several rounds is printed, the interpreter's own
call taken off.
"""

import argparse
import importlib
import timeit

import nsameta

NUM_REQUESTS, WIDTH, CONTEXT, ROUNDS = 4, 4, 512, 7


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


def nanoseconds(function, num_calls):
    return min(timeit.repeat(function, number=num_calls, repeat=ROUNDS)) / num_calls * 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", choices=("torch", "numpy"), default="torch")
    parser.add_argument("--device", help="of torch; default: cuda:0 where there is one")
    parser.add_argument("--calls", type=int, default=50000)
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
    print(f"{plan.context!r}, {options.library}")
    of_interpreter = nanoseconds(lambda: None, options.calls)
    for name, call in calls.items():
        print(f"{nanoseconds(call, options.calls) - of_interpreter:8.0f} ns  {name}")
        plan.context.synchronize()


if __name__ == "__main__":
    main()
