// A metadata_case in words, for messages of failed tests.
#include <algorithm>
#include <ostream>

#include "tests/support/metadata_case.h"

namespace nsameta::test {
namespace {

void print(std::ostream& out, const char* name, const std::vector<int64_t>& lengths, const input_layout& layout) {
  constexpr size_t kShown = 8;
  out << "\n  " << name << " [" << lengths.size() << "] " << (layout.dtype == NSAMETA_INT64 ? "int64" : "int32")
      << " stride " << layout.stride << " offset " << layout.offset_elements << ":";
  for (size_t i = 0; i < std::min(kShown, lengths.size()); ++i) out << " " << lengths[i];
  if (lengths.size() > kShown) out << " ...";
}

void print(std::ostream& out, const set_layout& set, size_t idx) {
  out << "\n  destination " << idx << ":";
  for (int i = 0; i < kNumOutputs; ++i) {
    const auto& o = set.outputs[static_cast<size_t>(i)];
    if (o.is_wanted) out << "\n    " << output_name(i) << " slack " << o.slack << " offset " << o.offset_elements;
  }
  const auto print_table = [&](output_id id, const table_layout& table) {
    if (!set.at(id).is_wanted) return;
    out << "\n    " << output_name(static_cast<int>(id)) << " columns " << table.num_columns << " "
        << to_string(table.memory);
  };
  print_table(output_id::page_table_1, set.page_table_1);
  print_table(output_id::real_page_table, set.real_page_table);
  if (set.at(output_id::paged_mqa_schedule).is_wanted) out << "\n    num_sms " << set.num_sms;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const metadata_case& c) {
  const auto& in = c.inputs;
  out << "mode " << in.mode << " batch " << in.seq_lens.size() << " n " << in.tokens_per_request << " static_width "
      << in.static_width << " topk " << in.topk << " kpool " << in.kpool << " clamp " << c.clamp << " tail " << c.tail
      << " num_tokens_bound " << c.num_tokens_bound << " max_kv_bound " << c.max_kv_bound << " spare_requests "
      << c.spare_requests << " programmatic_launch " << c.is_programmatic;
  if (c.has_num_requests()) out << " num_requests " << in.num_requests;
  print(out, "seq_lens", in.seq_lens, c.seq_lens);
  if (has_extend_tensor(in)) print(out, "extend_seq_lens", in.extend_seq_lens, c.extend_seq_lens);
  if (c.pool != nullptr) {
    print(out, "req_pool_indices", in.req_pool_indices, c.req_pool_indices);
    out << "\n  req_to_token [" << in.pool_rows << ", " << in.max_context << "] " << to_string(c.req_to_token)
        << "\n  page_size " << in.page_size << " table_width " << in.table_width << " table_rows " << c.table_rows
        << " max_table_width " << c.max_table_width << " mqa_variant " << in.mqa_variant << " mqa_lengths "
        << c.mqa_lengths << " mqa_next_n " << in.mqa_next_n << " topk_plan arch " << in.topk_plan_arch << " clusters "
        << in.topk_plan_clusters << " threshold " << in.topk_plan_threshold;
  }
  for (size_t i = 0; i < c.num_sets(); ++i) print(out, c.set(i), i);
  return out;
}

}  // namespace nsameta::test
