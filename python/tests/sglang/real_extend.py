"""init_forward_metadata of the SGLang that is installed here against ours, on the CPU, field by field."""

import copy
import dataclasses
import random
from types import SimpleNamespace

import fake_backend_extend
import torch
from nsameta.sglang.extend import init_forward_metadata
from sglang.srt.layers.attention import dsa_backend
from sglang.srt.layers.attention.dsa import utils
from sglang.srt.layers.cp import utils as cp_utils
from sglang.srt.model_executor.forward_batch_info import ForwardMode

NUM_BATCHES = 500
MODES = [ForwardMode.EXTEND, ForwardMode.EXTEND, ForwardMode.MIXED, ForwardMode.SPLIT_PREFILL, ForwardMode.DLLM_EXTEND]
RESULTS = ("forward_metadata", "use_mha", "using_mha_one_shot_fp8_dequant")  # the last two may be tensors of one bool


def make_backend(draw):
    """The class itself, without its __init__, which asks for a model and a GPU."""
    backend = object.__new__(dsa_backend.DeepseekSparseAttnBackend)
    made_up = fake_backend_extend.Backend(
        page_size=draw.choice([1, 64]), topk=draw.choice([1, 64, 2048]), is_fp8=draw.random() < 0.5
    )
    is_blackwell, sm = draw.random() < 0.5, draw.choice([80, 90, 100])
    vars(backend).update(vars(made_up))
    impl = draw.choice(["flashmla_sparse", "flashmla_auto", "fa3", "triton_sparse_mla"])
    vars(backend).update(
        device="cpu",
        dsa_prefill_impl=impl,
        enable_auto_select_prefill_impl=impl == "flashmla_auto",
        dsa_kv_cache_store_fp8=draw.random() < 0.6,
        supports_mha_one_shot=draw.random() < 0.6,
        use_mha=False,
        hisparse_coordinator=None,
        req_to_token=made_up.req_to_token_pool.req_to_token,
        dsa_topk_backend=SimpleNamespace(should_use_topk_v2=lambda: False),
        _arange_buf=torch.arange(64, dtype=torch.int32),
        _is_in_breakable_cuda_graph=lambda: False,
        _is_in_tc_piecewise_cuda_graph=lambda: False,
        _get_device_sm=lambda: sm,
        _is_blackwell=lambda: is_blackwell,
        _compute_flashmla_metadata=lambda cache_seqlens, seq_len_q: (cache_seqlens.clone(), seq_len_q),
    )
    return backend


def make_batch(draw):
    batch = fake_backend_extend.random_batch(draw)
    tokens, chunk = sum(batch.extend_seq_lens_cpu), draw.choice([100, 1 << 20])
    vars(batch).update(
        forward_mode=draw.choice(MODES),
        extend_num_tokens=tokens,
        global_num_tokens_cpu=None if batch.num_padded_tokens == tokens else [batch.num_padded_tokens],
        dp_padding_mode=utils.DpPaddingMode.MAX_LEN,
        attn_cp_metadata=None,
        get_max_chunk_capacity=lambda: chunk,
    )
    return batch


def assert_same(their, our, where):
    assert type(their) is type(our), where
    if isinstance(their, tuple):
        for each in zip(their, our, strict=True):
            assert_same(*each, where)
    elif isinstance(their, torch.Tensor):
        assert (their.dtype, their.shape, their.stride()) == (our.dtype, our.shape, our.stride()), where
        assert torch.equal(their, our), where
    else:
        assert their == our, where


def check_extend():
    parallel = SimpleNamespace(attn_cp_size=1, attn_cp_rank=0)
    utils.get_parallel, cp_utils.get_cp_strategy = lambda: parallel, lambda: None
    for seed in range(NUM_BATCHES):
        draw = random.Random(seed)
        theirs, their_batch = make_backend(draw), make_batch(draw)
        ours, our_batch = copy.copy(theirs), copy.copy(their_batch)
        theirs.init_forward_metadata(their_batch)
        assert init_forward_metadata(ours, our_batch) is None
        their, our = theirs.forward_metadata, ours.forward_metadata
        for field in dataclasses.fields(their):
            assert_same(getattr(their, field.name), getattr(our, field.name), (seed, field.name))
        for name, other in (("cu_seqlens_q", "cu_seqlens_k"), ("page_table_1", "real_page_table")):
            assert (getattr(their, name) is getattr(their, other)) == (getattr(our, name) is getattr(our, other)), seed
        assert bool(theirs.use_mha) == bool(ours.use_mha), seed
        their_flag, our_flag = (each.using_mha_one_shot_fp8_dequant for each in (their_batch, our_batch))
        assert bool(their_flag) == bool(our_flag), seed
        for their_state, our_state in ((theirs, ours), (their_batch, our_batch)):
            assert vars(their_state).keys() == vars(our_state).keys(), seed
            for name, value in vars(their_state).items():
                if name not in RESULTS and vars(our_state)[name] is not value:
                    assert_same(value, vars(our_state)[name], (seed, name))
