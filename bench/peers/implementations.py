"""Who can build a case, of what available.py could load."""

import torch

import abi
import bench_cases
import deep_gemm_kernels
import extend_candidates
import seed_forms
import sglang_cases
import torch_step
from candidate import Candidate, allocating, lens, our_candidates

_STEP_GROUPS = ("verify", "decode", "draft_extend")
_MOST_LOOPED = 4096  # requests of the form that launches a kernel for each
_PER_TOKEN = ("seqlens_expanded", "nsa_cache_seqlens")
_TABLES = ("page_table_1", "real_page_table")


def candidates(peers, case):
    if case.op != "build_metadata":
        return []
    if case.group.startswith("seed") and "nsa_cu_seqlens_k" not in case.outputs:
        return _seed_candidates(peers, case)
    if case.group.startswith("schedule"):
        return _schedule_candidates(peers, case)
    if case.group.startswith(_STEP_GROUPS):
        return _step_candidates(peers, case)
    return extend_candidates.of(peers, case) if case.mode == "extend" else []


# ---- the seed operation ----------------------------------------------------------------------------------------------


def _seed_candidates(peers, case):
    queries = case.query_lens()
    num_tokens, max_q = sum(queries), max(queries)
    extend, seq = lens(queries, peers), lens(case.seq_lens(), peers)
    topk = bench_cases.TOPK

    def outputs():
        return {name: torch.empty(num_tokens, dtype=torch.int32, device=peers.device) for name in case.outputs}

    def our_args():
        made = outputs()
        inputs = {"extend_seq_lens": extend, "seq_lens": seq}
        scalars = {"mode": abi.DRAFT_EXTEND, "topk": topk, "clamp": abi.CLAMP_OFF}
        return peers.context.build_args(made, inputs, **scalars), made

    def in_place():
        made = outputs()
        pair = [made[name] for name in _PER_TOKEN]
        return lambda: seed_forms.triton_in_place(extend, seq, topk, max_q, *pair), lambda: made

    def pair_of(form, *arguments):
        return lambda: dict(zip(_PER_TOKEN, form(extend, seq, topk, *arguments), strict=True))

    found = [
        *our_candidates(peers, our_args),
        Candidate("Triton in place", in_place),
        allocating("Triton allocating", pair_of(seed_forms.triton_allocating, max_q)),
        allocating("torch eager", pair_of(seed_forms.vectorised, num_tokens)),
    ]
    if case.batch <= _MOST_LOOPED:
        found.append(allocating("Python loop", pair_of(seed_forms.python_loop)))
    return found


# ---- the schedule ----------------------------------------------------------------------------------------------------


def _visible(case, peers):
    seq = lens(case.seq_lens(), peers)
    if case.mode == "decode":
        return seq.view(-1, 1)
    columns = torch.arange(1, case.max_q + 1, dtype=torch.int32, device=peers.device)
    return (seq[:, None] + columns).reshape(-1, 1).contiguous()


def _schedule_candidates(peers, case):
    sms = bench_cases.NUM_SMS

    def our_args():
        made = {"paged_mqa_schedule": torch.empty((sms + 1, 2), dtype=torch.int32, device=peers.device)}
        args = peers.context.build_args(
            made,
            {"seq_lens": lens(case.seq_lens(), peers)},
            mode=sglang_cases.MODES[case.mode],
            tokens_per_request=case.max_q if case.mode == "target_verify" else 0,
            topk=bench_cases.TOPK,
            mqa_variant=abi.MQA_SM90_JUN26,
        )
        return args, made

    visible = _visible(case, peers)

    def deep_gemm():
        return {"paged_mqa_schedule": deep_gemm_kernels.schedule(peers.deep_gemm, visible, sms)}

    found = our_candidates(peers, our_args)
    return [*found, allocating("DeepGEMM", deep_gemm)] if peers.deep_gemm else found


# ---- steps -----------------------------------------------------------------------------------------------------------


class _Step:
    """Inputs of a case, and buffers as an engine has them."""

    def __init__(self, peers, case):
        self.peers, self.case = peers, case
        self.config = sglang_cases.Config(
            case.mode,
            case.batch,
            bench_cases.PAGE_SIZE,
            "page_table_1" in case.outputs,
            next_n=case.max_q,
            static=case.mode == "draft_extend" and case.has_constant_q,
            kpool=case.kpool if case.kpool > 1 else 0,
            topk=bench_cases.TOPK,
        )
        queries, rows = case.query_lens(), case.batch + 1
        slots = torch.arange(rows * bench_cases.TABLE_WIDTH, dtype=torch.int32, device=peers.device)
        self.inputs = sglang_cases.Inputs(
            lens(case.seq_lens(), peers),
            lens(queries, peers),
            lens(range(case.batch, 0, -1), peers),
            slots.view(rows, bench_cases.TABLE_WIDTH),
            bench_cases.TABLE_WIDTH,
            case.batch if case.mode == "decode" else sum(queries),
        )
        added = case.max_q if case.mode == "target_verify" else 0
        longest = max(case.seq_lens()) + added
        self.live = min(-(-longest // 128) * 128, bench_cases.TABLE_WIDTH)

    def new_schedule(self):
        return torch.zeros((bench_cases.NUM_SMS + 1, 2), dtype=torch.int32, device=self.peers.device)

    def buffers(self):
        """By the library's names; None is absent."""
        return sglang_cases.make_buffers(self.config, self.peers.device, bench_cases.TABLE_WIDTH, slack=0)

    def live_part(self, buffers):
        """What any implementation must have written."""
        num_rows, part = self.inputs.num_tokens, {}
        kv = self.inputs.seq_lens + (self.case.max_q if self.case.mode == "target_verify" else 0)
        if self.case.mode != "decode":
            kv = torch.repeat_interleave(kv, self.inputs.extend_seq_lens, output_size=num_rows)
        for name, buffer in buffers.items():
            if buffer is None:
                continue
            if name in _TABLES:
                page = bench_cases.PAGE_SIZE if name == "real_page_table" else 1
                cells = buffer[:num_rows, : -(-self.live // page)]
                columns = torch.arange(cells.shape[1], device=self.peers.device) * page
                part[name] = torch.where(columns < kv[:, None], cells, 0)
            elif name == "nsa_cu_seqlens_k":
                part[name] = buffer[: num_rows + 1]
            else:
                part[name] = buffer[:num_rows] if name in _PER_TOKEN else buffer
        return part


def _step_candidates(peers, case):
    step = _Step(peers, case)

    def our_args(with_schedule):
        made = step.buffers()
        if with_schedule:
            made["paged_mqa_schedule"] = step.new_schedule()
        args = sglang_cases.our_args(peers.context, step.config, step.inputs, made, host_knows_width=True)
        args.mqa_variant = abi.MQA_SM90_JUN26
        args.max_kv_bound = step.live
        return args, made

    ours = our_candidates(peers, lambda: our_args(True))
    for alone in our_candidates(peers, lambda: our_args(False))[:1]:
        ours.append(Candidate("nsameta without schedule", alone.make))

    found = [*ours, *_sglang_candidates(peers, step), *_torch_candidates(peers, step)]
    return [Candidate(candidate.impl, _with_live_part(step, candidate.make)) for candidate in found]


def _torch_candidates(peers, step):
    case = step.case

    def by_torch(**options):
        def make():
            made = step.buffers()
            arguments = (case.mode, case.max_q, bench_cases.TOPK, case.kpool, bench_cases.PAGE_SIZE, step.live)
            return lambda: torch_step.step(step.inputs, made, *arguments, **options), lambda: made

        return make

    def expand(extend_seq_lens, kv, num_tokens):
        return peers.sglang["seqlens_expand_triton"](extend_seq_lens, kv, num_tokens, case.max_q)

    found = [Candidate("torch eager", by_torch())]
    if case.mode == "draft_extend" and not case.has_constant_q and "seqlens_expand_triton" in peers.sglang:
        found.append(Candidate("SGLang expand, torch", by_torch(expand=expand)))
    return found


def _with_live_part(step, make):
    def made():
        call, outputs = make()
        return call, lambda: step.live_part(outputs())

    return made


def _sglang_candidates(peers, step):
    def fused(config):
        def make():
            made = step.buffers()
            return lambda: sglang_cases.call_peer(peers.sglang, config, step.inputs, made), lambda: made

        return make

    def sequence():
        call, outputs = fused(step.config)()
        made, case, count = outputs(), step.case, step.inputs.num_tokens
        made["paged_mqa_schedule"] = step.new_schedule()
        lens = made["cache_seqlens" if case.mode == "decode" else "seqlens_expanded"][:count].view(-1, 1)
        context_lens = torch.zeros_like(lens)

        def with_schedule():
            if step.config.static:
                torch.full((case.batch,), case.max_q, dtype=torch.int32, device=peers.device)
            call()
            schedule = deep_gemm_kernels.schedule(peers.deep_gemm, lens, bench_cases.NUM_SMS)
            made["paged_mqa_schedule"].copy_(schedule)
            context_lens.copy_(lens)

        return with_schedule, lambda: made

    name = f"fused_dsa_{step.case.mode}_metadata"
    found = []
    if step.case.kpool == 1 and name in peers.sglang:
        found.append(Candidate("SGLang fused", fused(step.config)))
        if peers.deep_gemm:
            found.append(Candidate("SGLang sequence", sequence))
    if f"{name}_kpool" in peers.sglang:
        pooled = sglang_cases.Config(**{**vars(step.config), "kpool": step.case.kpool})
        found.append(Candidate("SGLang fused kpool", fused(pooled)))
    return found
