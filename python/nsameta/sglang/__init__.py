"""nsameta's functions in the place of SGLang's: by a plugin (nsameta.sglang.plugin), or by hand with install().

Importing this package imports neither SGLang nor torch.
"""

from nsameta.sglang.patching import install, status, uninstall

__all__ = ["install", "status", "uninstall"]
