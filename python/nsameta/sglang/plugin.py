"""The SGLang plugin: entry point `nsameta` of the group `sglang.srt.plugins`."""

from nsameta.sglang.environment import refusal
from nsameta.sglang.hooks import HOOKS, log
from nsameta.sglang.sites import survey


def register():
    """Registers a hook on each function of this SGLang that nsameta stands in for, or says why not and does nothing."""
    reason = refusal()
    if reason is None:
        there, problems = survey()
        reason = "; ".join(problems) if problems else None if there else "it has no function that nsameta knows"
    if reason is not None:
        log.info("nsameta leaves SGLang as it is: %s", reason)
        return
    from sglang.srt.plugins.hook_registry import HookRegistry, HookType

    # AROUND rather than REPLACE: the hook is given the original, to which it leaves what it cannot do.
    new = [HOOKS[found.site.target] for found in there if HOOKS[found.site.target].by is None]
    for hook in new:
        HookRegistry.register(hook.site.target, hook, HookType.AROUND)
        hook.by = "plugin"
        hook.turn_on()
    log.info("nsameta stands in for %d functions of SGLang", len(new))
