"""Whether this process wants nsameta in SGLang, how much of it, and whether it can gain from it."""

import os

import nsameta

SWITCH = "SGLANG_NSA_USE_TRITON_METADATA"
LEVEL = "NSAMETA_SGLANG_LEVEL"


def level():
    """The level of install() at which the plugin stands in; whether there is such a level is not checked."""
    return os.environ.get(LEVEL, "functions")


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
