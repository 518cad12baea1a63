#include <algorithm>
#include <ostream>

#include "tests/fuzz/fuzz_case.h"

namespace nsameta::fuzz {
namespace {

constexpr size_t kShown = 300;

void print(std::ostream& out, const char* name, const std::vector<int64_t>& values) {
  out << "\n  " << name << " [" << values.size() << "]:";
  for (size_t i = 0; i < std::min(kShown, values.size()); ++i) out << " " << values[i];
  if (values.size() > kShown) out << " ...";
}

const char* name_of(nsameta_dtype dtype) { return dtype == NSAMETA_INT64 ? "int64" : "int32"; }

void print(std::ostream& out, const test::metadata_case& c) {
  out << c;
  print(out, "all seq_lens", c.inputs.seq_lens);
  print(out, "all extend_seq_lens", c.inputs.extend_seq_lens);
  print(out, "all req_pool_indices", c.inputs.req_pool_indices);
}

void print(std::ostream& out, const reference::cell_layout& layout, int buffer) {
  out << "buffer " << buffer << " first " << layout.first << " strides (" << layout.row_stride << ", "
      << layout.column_stride << ")";
}

void print(std::ostream& out, const test::copy_case& c) {
  out << c.pairs.size() << " pairs";
  for (size_t i = 0; i < c.buffers.size(); ++i) {
    const auto& b = c.buffers[i];
    out << "\n  buffer " << i << ": " << b.num_elements << " " << name_of(b.dtype) << " offset " << b.offset_elements;
  }
  for (size_t i = 0; i < c.pairs.size(); ++i) {
    const auto& p = c.pairs[i];
    out << "\n  pair " << i << ": [" << p.num_rows << ", " << p.num_columns << "] from ";
    print(out, p.source.layout, p.source.buffer);
    out << " to ";
    print(out, p.destination.layout, p.destination.buffer);
  }
}

void print(std::ostream& out, const test::topk_case& c) {
  constexpr const char* kTables[] = {"req_to_token", "page_table", "flattened", "none"};
  const auto& in = c.inputs;
  out << "table " << kTables[static_cast<size_t>(in.kind)] << " [" << in.table_rows << ", " << in.table_columns
      << "] row slack " << c.table_row_slack << (c.is_table_transposed ? " transposed" : "") << "\n  tokens "
      << c.num_tokens << " topk " << in.num_topk << (c.is_in_place ? " in place" : "")
      << (c.has_num_valid ? "" : " without num_valid") << " row slacks " << c.topk_row_slack << ", "
      << c.slots_row_slack << " offsets " << c.topk_offset_elements << ", " << c.slots_offset_elements
      << " vector stride " << c.vector_stride << " slack " << c.vector_slack << " req_pool_indices "
      << name_of(c.pool_dtype);
  print(out, "topk_indices, reversed before each run", in.topk_indices);
  print(out, "offset", in.offset);
  print(out, "req_pool_indices", in.req_pool_indices);
  print(out, "token_to_batch", in.token_to_batch);
  print(out, "cu_seqlens_q", in.cu_seqlens_q);
  print(out, "table", in.table);
}

void print(std::ostream& out, const test::mla_case& c) {
  const auto& in = c.inputs;
  out << "parts " << in.num_parts << " block_size " << in.block_size << " fixed_overhead " << in.fixed_overhead
      << " topk " << in.topk << " min_keys " << in.min_keys << " layout " << in.layout << " " << name_of(c.dtype)
      << " stride " << c.stride << " slack " << c.slack << (c.has_lengths ? "" : " without seq_lens");
  print(out, "seq_lens", in.seq_lens);
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const fuzz_case& c) {
  out << kOpNames[c.op()] << (c.by_plan ? " by a plan" : " one-shot");
  if (c.by_plan) {
    out << ", for " << c.count << ", bounds " << c.num_tokens_bound << " and " << c.max_kv_bound;
  }
  if (c.spoiler >= 0) out << ", spoilt by change " << c.spoiler;
  out << "\n  ";
  std::visit([&](const auto& call) { print(out, call); }, c.call);
  return out;
}

}  // namespace nsameta::fuzz
