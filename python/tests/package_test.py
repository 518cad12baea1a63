"""The package itself: what it says about the machine, contexts, the program, and what it costs to import."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import nsameta
import numpy as np
import pytest


def test_info():
    info = nsameta.info()
    assert info["version"] == nsameta.__version__
    assert info["backends"] == nsameta.backends()
    names = [backend["name"] for backend in info["backends"]]
    assert [name for name in names if name in ("cuda", "hip", "cpu")] == ["cuda", "hip", "cpu"]
    for backend in info["backends"]:
        assert backend["usable"] == (backend["reason"] == "")
    assert info["backends"][names.index("cpu")]["devices"][0]["device"] == "cpu"


def test_context():
    context = nsameta.Context("cpu", backend="cpu")
    assert (context.device, context.backend, context.is_staged) == ("cpu", "cpu", False)
    assert context.num_launches == 0
    out = {"cu_seqlens_k": np.zeros(3, np.int32)}
    nsameta.build_metadata(mode="decode", topk=4, seq_lens=np.array([1, 2]), out=out, context=context)
    assert context.num_launches == 1
    context.synchronize()
    assert "cpu" in repr(context)


def test_faults_are_reported():
    context = nsameta.Context("cpu")
    assert context.fault() is None
    out = {"cache_seqlens": np.zeros(2, np.int32)}
    nsameta.build_metadata(mode="decode", topk=4, seq_lens=np.array([1, -5]), out=out, context=context)
    assert context.fault() == {"check": "negative_kv", "request_idx": 1, "value": -5}
    context.clear_fault()
    assert context.fault() is None


def test_tunables():
    context = nsameta.Context("cpu")
    name, value = next(iter(context.tunables().items()))
    context.set_tunable(name, value + 1)
    assert context.tunables()[name] == value + 1
    with pytest.raises(ValueError, match="no_such_tunable"):
        context.set_tunable("no_such_tunable", 1)


@pytest.mark.parametrize("device", ("xpu", "cpu:1", "cuda:", "cuda:x", "cuda:-1", "", 3))
def test_devices_that_cannot_be_read(device):
    with pytest.raises(ValueError, match="device"):
        nsameta.Context(device)


def test_backends_that_cannot_serve():
    with pytest.raises(RuntimeError, match="no_such_backend"):
        nsameta.Context("cpu", "no_such_backend")
    with pytest.raises(TypeError, match="backend"):
        nsameta.Context("cpu", 3)


def run_python(*arguments, **variables):
    return subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )


def test_import_needs_neither_torch_nor_numpy():
    code = (
        "import sys; sys.modules['torch'] = sys.modules['numpy'] = None; import nsameta; "
        "assert nsameta.Context('cpu').backend == 'cpu'"
    )
    ran = run_python("-c", code)
    assert ran.returncode == 0, ran.stderr


def test_the_environment_chooses_the_backend():
    code = "import nsameta; print(nsameta.Context('cpu').backend)"
    assert run_python("-c", code, NSAMETA_BACKEND="cpu").stdout == "cpu\n"
    refused = run_python("-c", code, NSAMETA_BACKEND="cuda")
    assert refused.returncode != 0
    assert "RuntimeError" in refused.stderr
    assert "cuda" in refused.stderr


def test_the_program_comes_along():
    if not (Path(nsameta.__file__).parent / "bin" / "nsameta").is_file():
        pytest.skip("built without the program")
    ran = run_python("-m", "nsameta", "info")
    assert ran.returncode == 0, ran.stderr
    assert "cpu" in ran.stdout
    assert run_python("-m", "nsameta", "no_such_command").returncode != 0


@pytest.mark.parametrize("name", ("build_metadata", "copy_metadata", "map_topk_to_slots", "mla_schedule"))
def test_the_stub_has_the_arguments_that_are_taken(name):
    stub = ast.parse((Path(nsameta.__file__).parent / "_core.pyi").read_text())
    function = next(node for node in stub.body if getattr(node, "name", None) == name)
    names = [argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)]
    names = [argument for argument in names if argument != "num_sms"]  # taken with outputs alone
    with pytest.raises(TypeError, match="neither a tensor nor a context"):
        getattr(nsameta, name)(**dict.fromkeys(names))
    for argument in names:
        assert argument in getattr(nsameta, name).__doc__


def test_the_package_is_typed_and_described():
    assert (Path(nsameta.__file__).parent / "py.typed").is_file()
    stub = (Path(nsameta.__file__).parent / "_core.pyi").read_text()
    for name in nsameta.__all__:
        assert name in stub
        assert name == "__version__" or getattr(nsameta, name).__doc__
