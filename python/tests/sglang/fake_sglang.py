"""Modules with SGLang's names: functions with its parameters, modules that imported them, its registry of hooks."""

import enum
import functools
import importlib
import inspect
import sys
import types

from originals import BACKEND, DSA, PAD

REGISTRY = "sglang.srt.plugins.hook_registry"
MANAGER = "sglang.srt.layers.attention.dsa.dsa_metadata_manager"


def signature(parameters):
    """From "a, b, c=1"; defaults stay text."""
    split = (parameter.partition("=") for parameter in parameters.split(", "))
    return inspect.Signature(
        inspect.Parameter(
            name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default if is_optional else inspect.Parameter.empty
        )
        for name, is_optional, default in split
    )


class FakeSGLang:
    """Puts the modules into sys.modules; each function counts its calls and returns "original"."""

    def __init__(self, monkeypatch, originals):
        self.monkeypatch = monkeypatch
        self.originals = originals
        self.calls = dict.fromkeys(originals, 0)
        self.functions = {}
        for target, parameters in originals.items():
            self.define(target, parameters)
        self._import_by_name()

    def module(self, name):
        if name in sys.modules:
            return sys.modules[name]
        module = types.ModuleType(name)
        module.__path__ = []
        self.monkeypatch.setitem(sys.modules, name, module)
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(self.module(parent), last, module)
        return module

    def define(self, target, parameters):
        owner, name = self.owner(target), target.rpartition(".")[2]

        def function(*_, **__):
            self.calls[target] += 1
            return "original"

        function.__name__ = name
        function.__signature__ = signature(parameters)
        self.functions[target] = function
        setattr(owner, name, function)

    def owner(self, target):
        """The module or class that holds a function."""
        path = target.rpartition(".")[0]
        if path.startswith(BACKEND):
            module, name = self.module(BACKEND), path.rpartition(".")[2]
            if not hasattr(module, name):
                setattr(module, name, type(name, (), {}))
            return vars(module)[name]
        return self.module(path)

    def current(self, target):
        return vars(self.owner(target))[target.rpartition(".")[2]]

    def _import_by_name(self):
        """The places where SGLang has `from ... import ...`."""
        imports = [(MANAGER, f"{DSA}.metadata.fused_dsa_{mode}_metadata") for mode in ("decode", "draft_extend")]
        imports += [(BACKEND, f"{PAD}.seqlens_expand_triton")]
        self.importers = [(self.module(importer), target) for importer, target in imports if target in self.functions]
        for importer, target in self.importers:
            setattr(importer, target.rpartition(".")[2], self.functions[target])

    def seen_by_importers(self):
        return [(vars(importer)[target.rpartition(".")[2]], target) for importer, target in self.importers]


class HookType(enum.Enum):
    BEFORE = "before"
    AFTER = "after"
    AROUND = "around"
    REPLACE = "replace"


class FakeRegistry:
    """As much of SGLang's as a plugin with REPLACE hooks needs."""

    def __init__(self):
        self.hooks = []

    def register(self, target, hook, hook_type=HookType.AFTER, *, source=None):
        self.hooks.append((target, hook, hook_type))

    def apply_hooks(self):
        for target, hook, hook_type in self.hooks:
            assert hook_type is HookType.REPLACE
            path, _, name = target.rpartition(".")
            try:
                owner = importlib.import_module(path)
            except ImportError:
                module, _, class_name = path.rpartition(".")
                owner = getattr(importlib.import_module(module), class_name)
            original = vars(owner)[name]
            self._rebind(owner, original, self._replace(original, hook))

    @staticmethod
    def _replace(original, hook):
        @functools.wraps(original)
        def wrapper(*args, **kwargs):
            return hook(*args, **kwargs)

        return wrapper

    @staticmethod
    def _rebind(owner, original, wrapper):
        for each in [owner, *(module for module in list(sys.modules.values()) if isinstance(module, types.ModuleType))]:
            for name, value in list(vars(each).items()):
                if value is original:
                    setattr(each, name, wrapper)


def add_registry(sglang):
    module = sglang.module(REGISTRY)
    module.HookRegistry, module.HookType = FakeRegistry(), HookType
    return module.HookRegistry
