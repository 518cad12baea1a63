"""nsameta's functions take what SGLang's take: as written down here, and as in its files where they lie in peers/sg."""

import ast
import inspect
from pathlib import Path

import pytest
from nsameta.sglang.sites import SITES
from originals import ORIGINALS, REPLAY_ORIGINALS, SEED_ORIGINALS

PEER = Path(__file__).resolve().parents[3] / "peers" / "sg"
OF_SGLANG = {**ORIGINALS, **REPLAY_ORIGINALS}
ALL = {**OF_SGLANG, **SEED_ORIGINALS}
STAND_INS = {site.target: site.load_stand_in for site in SITES}


def test_every_site_is_written_down():
    assert set(STAND_INS) == set(ALL)


@pytest.mark.parametrize("target", ALL)
def test_parameters_are_those_written_down(target):
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(STAND_INS[target]()).parameters.values()
    ]
    assert ", ".join(map(str, parameters)) == ALL[target]


@pytest.mark.parametrize("target", OF_SGLANG)
def test_parameters_are_those_of_sglang(target):
    path, names = split(target)
    if path is None:
        pytest.skip(f"SGLang's file of {target} is not in peers/sg")
    node = ast.parse(path.read_text())
    for name in names:
        node = next(each for each in node.body if getattr(each, "name", None) == name)
    for argument in node.args.args:
        argument.annotation = None
    assert ast.unparse(node.args).replace("=", " = ") == ALL[target].replace("=", " = ")


def split(target):
    """(file in peers/sg, names within it) of a dotted name; (None, None) where the file is not there."""
    parts = target.split(".")
    for length in range(len(parts) - 1, 0, -1):
        path = PEER.joinpath(*parts[:length]).with_suffix(".py")
        if path.is_file():
            return path, parts[length:]
    return None, None
