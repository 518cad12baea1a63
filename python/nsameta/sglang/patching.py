"""Puts nsameta's functions into a running SGLang by hand, and takes them out again."""

import functools
import gc
import sys
import types

from nsameta.sglang.environment import refusal
from nsameta.sglang.hooks import HOOKS, log
from nsameta.sglang.sites import BACKEND, LEVELS, survey

_patched = {}  # target: (what was found there, what stands there now)


def install(level="functions"):
    """Lets nsameta answer the calls of SGLang's metadata functions, in each module that has imported them.

    Attention backends that were made keep functions of their own: they get ours, too, for which all objects of the
    process are looked through, once. What nsameta cannot answer goes to SGLang's own function, as status() shows. A
    second call changes the level, if anything; uninstall() takes it back.

    level   'functions': the functions that compute metadata; 'replay': also the methods that prepare the replay of a
            CUDA graph, each as one launch
    Returns the dotted names of the functions that it answers for now: none, with one line in the log, where
    SGLANG_NSA_USE_TRITON_METADATA=0 or no GPU can be used.
    Raises ValueError for another level, RuntimeError where SGLang has none of the functions, or one with a signature
    that is not known. Nothing is patched then.
    """
    if level not in LEVELS:
        raise ValueError(f"level={level!r} must be {' or '.join(map(repr, LEVELS))}")
    reason = refusal()
    if reason is not None:
        log.info("nsameta leaves SGLang as it is: %s", reason)
        return []
    there, problems = survey(level)
    if problems:
        raise RuntimeError("this release of SGLang is not known: " + "; ".join(problems))
    if not there:
        raise RuntimeError("there is no SGLang here with a function that nsameta knows")
    new = [found for found in there if HOOKS[found.site.target].by is None]
    for found in new:
        hook = HOOKS[found.site.target]
        hook.by = "install"
        _patched[found.site.target] = (found, hook.wrap(found.original))
    _rebind({found.original: wrapper for found, wrapper in _patched.values()})
    targets = [found.site.target for found in there]
    for target, hook in HOOKS.items():
        if target in targets:
            hook.turn_on()
        else:
            hook.turn_off()
    return targets


def uninstall():
    """Gives every call back to SGLang's own functions, by plugin or by install(); those of install() are put back."""
    for hook in HOOKS.values():
        hook.turn_off()
    _rebind({wrapper: found.original for found, wrapper in _patched.values()})
    for target in _patched:
        HOOKS[target].by = None
    _patched.clear()


def status():
    """What nsameta stands in for: {dotted name: {...}}.

    by              'plugin' or 'install'
    num_calls       calls that nsameta answered
    num_declined    calls that it left to SGLang's function, because it does not build what they asked for
    num_failures    calls that failed, and that SGLang's function answered then
    last_failure    the last one's error, or None
    """
    return {
        target: {
            "by": hook.by,
            "num_calls": hook.num_calls,
            "num_declined": hook.num_declined,
            "num_failures": hook.num_failures,
            "last_failure": hook.last_failure,
        }
        for target, hook in HOOKS.items()
        if hook.stand_in is not None
    }


def _rebind(replacements):
    """Replaces functions, keys by values, in all loaded modules, the classes that own them and attention backends."""
    by_id = {id(old): new for old, new in replacements.items()}
    owners = [module for module in list(sys.modules.values()) if isinstance(module, types.ModuleType)]
    owners += [found.owner for found, _ in _patched.values() if isinstance(found.owner, type)]
    for owner in owners + _attention_backends():
        for name, value in list(vars(owner).items()):
            if id(value) in by_id:
                setattr(owner, name, by_id[id(value)])
            elif type(value) is functools.partial and id(value.func) in by_id:
                setattr(owner, name, functools.partial(by_id[id(value.func)], *value.args, **value.keywords))


def _attention_backends():
    """Those that were made: they keep the functions that they found then, bare or with their pool size."""
    backend = getattr(sys.modules.get(BACKEND), "DeepseekSparseAttnBackend", None)
    if not isinstance(backend, type):
        return []
    return [each for each in gc.get_objects() if issubclass(type(each), backend) and hasattr(each, "__dict__")]
