"""The SGLang plugin: entry point `nsameta` of the group `sglang.srt.plugins`."""

from nsameta.sglang.environment import LEVEL, level, refusal
from nsameta.sglang.hooks import HOOKS, log
from nsameta.sglang.sites import LEVELS, survey


def register():
    """Registers a hook on each function of this SGLang that nsameta stands in for, or says why not and does nothing."""
    reason = refusal()
    if reason is None and level() not in LEVELS:
        reason = f"{LEVEL}={level()} is none of {', '.join(LEVELS)}"
    if reason is None:
        there, problems = survey(level())
        reason = "; ".join(problems) if problems else None if there else "it has no function that nsameta knows"
    if reason is not None:
        log.info("nsameta leaves SGLang as it is: %s", reason)
        return
    from sglang.srt.plugins.hook_registry import HookRegistry, HookType

    new = [found for found in there if HOOKS[found.site.target].by is None]
    for found in new:
        hook = HOOKS[found.site.target]
        # With REPLACE, the hooks of other plugins stay around it, in whatever order they come.
        HookRegistry.register(found.site.target, hook.wrap(found.original), HookType.REPLACE)
        hook.by = "plugin"
        hook.turn_on()
    log.info("nsameta stands in for %d functions of SGLang", len(new))
