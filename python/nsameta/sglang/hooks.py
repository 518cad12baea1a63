"""Calls of SGLang's functions that nsameta answers."""

import functools

from nsameta.sglang.sites import SITES, log


class Hook:
    """Answers calls of one site; what it cannot answer goes to the original, as it was."""

    def __init__(self, site):
        self.site = site
        self.stand_in = None  # while it is None, the original answers
        self.by = None  # "plugin" or "install": who put it in the way of the calls
        self.num_calls = 0
        self.num_declined = 0
        self.num_failures = 0
        self.last_failure = None

    def wrap(self, original):
        """What stands in the place of the original."""

        @functools.wraps(original)
        def wrapper(*args, **kwargs):
            stand_in = self.stand_in
            if stand_in is not None:
                try:
                    result = stand_in(*args, **kwargs)
                except Exception as error:  # noqa: BLE001 - whatever it is, the engine has a function that works
                    self._note(error)
                else:
                    if result is not NotImplemented:
                        self.num_calls += 1
                        return result
                    self.num_declined += 1
            return original(*args, **kwargs)

        return wrapper

    def turn_on(self):
        self.stand_in = self.site.load_stand_in()

    def turn_off(self):
        self.stand_in = None

    def _note(self, error):
        self.num_failures += 1
        self.last_failure = f"{type(error).__name__}: {error}"
        if self.num_failures == 1:
            log.warning("%s: SGLang's own function answers: %s", self.site.target, self.last_failure)


HOOKS = {site.target: Hook(site) for site in SITES}
