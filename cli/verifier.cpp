#include "cli/verifier.h"

#include <algorithm>

namespace nsameta::cli {
namespace {

// Every so many checks the untouched part of the buffers is compared too, not just the cell after the written ones.
constexpr int64_t kCheckAllInterval = 64;

}  // namespace

void compare_output(const output_image& image, bool check_all, int64_t step, nsameta_mode mode, mismatch_list* list) {
  const size_t written = image.expected.size();
  if (written > image.cells.size()) {
    list->add({step, mode, image.name, static_cast<int64_t>(image.cells.size()), static_cast<int64_t>(written), 0});
    return;
  }
  const auto compare = [&](std::span<const int32_t> expected, size_t first) {
    const auto got = image.cells.subspan(first, expected.size());
    if (std::equal(expected.begin(), expected.end(), got.begin())) return;
    for (size_t i = 0; i < expected.size(); ++i) {
      if (got[i] != expected[i]) {
        list->add({step, mode, image.name, static_cast<int64_t>(first + i), expected[i], got[i]});
      }
    }
  };
  compare(image.expected, 0);
  const size_t num_others = image.cells.size() - written;
  compare(image.before.subspan(written, check_all ? num_others : std::min<size_t>(num_others, 1)), written);
}

verifier::verifier(const session& owner, const builder& source) : builder_(source), tables_(owner, source) {
  const auto& options = source.options();
  before_.resize(static_cast<size_t>(source.layout().num_cells));
  inputs_.mode = options.mode;
  inputs_.tokens_per_request = options.tokens_per_request;
  inputs_.topk = options.topk;
  inputs_.clamp = options.mode == NSAMETA_MODE_DRAFT_EXTEND;
  inputs_.ctx_lens_columns = source.limits().ctx_lens_columns;
  inputs_.num_sms = options.num_sms;
  inputs_.mqa_variant = NSAMETA_MQA_SM90_JUN26;
  inputs_.mqa_by_token = source.rows_are_tokens();
  inputs_.plan_rows = options.plan_rows;
  if (options.slots == nullptr) return;
  inputs_.req_to_token = options.slots->on_host();
  inputs_.pool_rows = options.slots->num_rows();
  inputs_.max_context = options.slots->max_context();
  inputs_.has_slots = true;
  inputs_.has_out_slots = true;
  inputs_.page_size = options.page_size;
  inputs_.table_columns = source.page_table_1().num_columns;
  inputs_.page_columns = source.real_page_table().num_columns;
  inputs_.max_keys = source.page_table_1_flattened().num_columns;
}

void verifier::prepare(const batch& lengths) {
  inputs_.seq_lens.assign(lengths.seq_lens.begin(), lengths.seq_lens.end());
  inputs_.extend_seq_lens.assign(lengths.extend_seq_lens.begin(), lengths.extend_seq_lens.end());
  inputs_.req_pool_indices.assign(lengths.pool_rows.begin(), lengths.pool_rows.end());
  reference::build_metadata(inputs_, &expected_);
  tables_.prepare(expected_);
  if (is_current_) return;
  const int32_t* cells = builder_.outputs_on_host(&scratch_);
  std::copy_n(cells, before_.size(), before_.begin());
  is_current_ = true;
}

std::span<const int32_t> verifier::view(int64_t scalar) {
  expected_total_ = static_cast<int32_t>(scalar);
  return {&expected_total_, 1};
}

void verifier::check(int64_t step, mismatch_list* list) {
  const int32_t* cells = builder_.outputs_on_host(&scratch_);
  const bool check_all = num_checks_++ % kCheckAllInterval == 0;
  const int64_t count_before = list->count;
  auto place = builder_.layout().places.begin();
  const auto compare = [&](std::span<const int32_t> expected) {
    if (place->capacity > 0) {
      const auto num_cells = static_cast<size_t>(place->num_cells);
      const auto before = std::span(before_).subspan(static_cast<size_t>(place->first_cell), num_cells);
      compare_output({place->name, {cells + place->first_cell, num_cells}, before, expected}, check_all, step,
                     builder_.options().mode, list);
      std::copy_n(expected.begin(), std::min(expected.size(), num_cells), before.begin());
    }
    ++place;
  };
#define NSAMETA_OUTPUT(name, kind) compare(view(expected_.name));
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  tables_.check(expected_, step, list);
  if (list->count != count_before) std::copy_n(cells, before_.size(), before_.begin());  // a stray write counts once
}

}  // namespace nsameta::cli
