// Writes the outputs of a block of requests that hold an element or row per token or request, of all sets.
#pragma once

#include <cstdint>

#include "backends/cpu/request_block.h"
#include "core/backend.h"

namespace nsameta::cpu {

class block_writer {
 public:
  explicit block_writer(const nsameta_build_metadata_desc& desc) : source_(desc) {}

  const nsameta_build_metadata_desc& desc() const { return source_.desc; }
  const request_source& source() const { return source_; }
  // Token outputs bypass the cache; call finish_streaming (token_fill.h) in the same thread after the last block.
  void set_streamed(bool is_streamed) { is_streamed_ = is_streamed; }
  bool is_streamed() const { return is_streamed_; }

  // The per-request outputs of requests [begin, end) of the block; cu outputs at r + 1.
  void write_request_outputs(const request_block& block, int begin, int end) const;
  // The block's tokens before `end_token`, as far as each output has room.
  void write_token_outputs(const request_block& block, int64_t end_token) const;

 private:
  template <typename Element = int32_t, typename Run, typename Base>
  void write_tokens(const request_block& block, int64_t end_token, const nsameta_output& output, int num_leading,
                    const Run& run, Base base) const;
  template <typename Element, typename Run, typename Base>
  void fill_tokens(const request_block& block, int64_t end_token, const nsameta_output& output, int num_leading,
                   const Run& run, Base base) const;
  template <typename Element>
  void write_slots(const request_block& block, int64_t end_token, const nsameta_output& output) const;
  void write_request_outputs(const nsameta_output_set& set, const request_block& block, int begin, int end) const;
  void write_token_outputs(const nsameta_output_set& set, const request_block& block, int64_t end_token) const;
  // The outputs that follow visible lengths.
  template <bool kClamped>
  void write_ramps(const nsameta_output_set& set, const request_block& block, int64_t end_token) const;
  template <typename Kept>
  void write_kept(const nsameta_output_set& set, const request_block& block, int64_t end_token, const Kept& kept) const;

  request_source source_;
  bool is_streamed_ = false;
};

}  // namespace nsameta::cpu
