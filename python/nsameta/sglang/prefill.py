"""Where the keys of each token of a prefill begin and end, without a loop over the requests."""

import torch

import nsameta


def indexer_k_start_end(seq_lens, extend_seq_lens, num_tokens, batch=-1):
    """Returns new ((ks, ke), token_to_batch_idx), [num_tokens] int32 each.

    seq_lens, extend_seq_lens   [>= batch] int32 or int64: keys of each request, the cached ones among them, and its new
                                tokens
    num_tokens                  sum of extend_seq_lens, which the host knows
    """
    ks, ke, token_to_batch_idx = (seq_lens.new_empty(num_tokens, dtype=torch.int32) for _ in range(3))
    nsameta.build_metadata(
        mode="extend",
        batch=batch,
        seq_lens=seq_lens,
        extend_seq_lens=extend_seq_lens,
        topk=1,
        num_tokens_bound=num_tokens,
        out={"indexer_ks": ks, "indexer_ke": ke, "token_to_batch_idx": token_to_batch_idx},
    )
    return (ks, ke), token_to_batch_idx


def cal_indexer_k_start_end(self, forward_batch, bs_idx=None):
    """Drop-in for DeepseekSparseAttnBackend._cal_indexer_k_start_end of SGLang 0.5.23.

    NotImplemented, which leaves the call to the original, for what it does not build: a selection of requests (context
    parallelism), an empty batch, lengths that are on the host alone.
    """
    if not forward_batch.forward_mode.is_extend_without_speculative():
        return None, None
    if bs_idx is not None or forward_batch.batch_size == 0 or forward_batch.extend_seq_lens is None:
        return NotImplemented
    num_tokens = sum(forward_batch.extend_seq_lens_cpu[: forward_batch.batch_size])
    return indexer_k_start_end(
        forward_batch.seq_lens, forward_batch.extend_seq_lens, num_tokens, forward_batch.batch_size
    )
