"""Whether this process wants nsameta in SGLang, and whether it can gain from it."""

import os

import nsameta

SWITCH = "SGLANG_NSA_USE_TRITON_METADATA"


def refusal():
    """Why SGLang should be left as it is; None if nothing speaks against it."""
    value = os.environ.get(SWITCH)
    if value is not None and value.lower() in ("0", "false", "no", "n"):
        return f"{SWITCH}={value}"
    reasons = []
    for backend in nsameta.info()["backends"]:
        if backend["name"] == "cpu":
            continue
        if backend["usable"]:
            return None
        reasons.append(f"{backend['name']}: {backend['reason']}")
    return "no GPU that nsameta can use" + "".join(f"; {reason}" for reason in reasons)
