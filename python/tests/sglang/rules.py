"""The rules of DeepGEMM's schedule and of SGLang's top-k plan, written down naively with numpy alone."""

import numpy as np

CANDIDATES = {
    "hopper": {65536: 30, 98304: 45, 131072: 60, 196608: 80, 262144: 112, 393216: 128},
    "blackwell": {32768: 48, 131072: 66, 163840: 99, 196608: 132, 262144: 198, 393216: 231, 524288: 264},
}


def mqa_schedule(variant, lengths, next_n, num_sms):
    """Rows (length, segment) where each multiprocessor begins; next_n tokens are asked of each length."""
    pairs = -(-next_n // 2) if next_n >= 2 else 1
    halves = next_n // 2 if next_n % 2 == 0 else next_n
    atoms = {"v1": 1, "apr26": halves, "sm90_jun26": pairs, "sm100_jun26": next_n}[variant]
    work = []
    for i, length in enumerate(lengths):
        segments = range(-(-int(length) // 256))
        if variant == "sm100_jun26":  # a segment for all tokens, then the next
            work += [(i * atoms, segment) for segment in segments for _ in range(atoms)]
        else:
            work += [(i * atoms + atom, segment) for atom in range(atoms) for segment in segments]
    share, rest = divmod(len(work), num_sms)
    rows = []
    for s in range(num_sms + 1):
        extra = max(0, s - (num_sms - rest)) if variant == "sm90_jun26" else min(s, rest)
        start = s * share + extra
        rows.append(work[start] if s < num_sms and start < len(work) else (len(lengths) * atoms, 0))
    return np.array(rows, np.int32)


def topk_plan(visible, arch, clusters):
    """The rows of the plan, its tokens ascending; None where it is left alone."""
    if not clusters < len(visible) <= 512:
        return None
    visible = np.asarray(visible)
    candidates = sorted(CANDIDATES[arch].items(), reverse=True)
    threshold = candidates[0][0]
    for candidate, most in candidates:
        if (visible > candidate).sum() > most:
            break
        threshold = candidate
    threshold = max(threshold, 32768)
    above = np.flatnonzero(visible > threshold)
    return np.array([(threshold, len(above)), *((i, visible[i]) for i in above)], np.int32)
