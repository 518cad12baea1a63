#include "tests/support/bound_case.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace nsameta::test {
namespace {

// T and the keys of the requests that exist; with a constant q the host asks for room for the whole batch.
output_counts count(const metadata_case& c) {
  auto inputs = c.inputs;
  inputs.max_tokens = 0;
  const auto m = reference::build_metadata(inputs);
  const int64_t width = inputs.mode == NSAMETA_MODE_DECODE ? 1 : inputs.tokens_per_request;
  return {has_constant_query(inputs) ? c.batch() * width : m.total_tokens, m.total_keys, c.batch()};
}

nsameta_build_metadata_args make_args(const metadata_case& c) {
  const auto& in = c.inputs;
  nsameta_build_metadata_args args;
  nsameta_build_metadata_args_init(&args);
  args.mode = in.mode;
  args.tokens_per_request = in.tokens_per_request;
  args.static_width = in.static_width ? 1 : 0;
  args.topk = in.topk;
  args.kpool = in.kpool;
  args.clamp = c.clamp;
  args.tail = c.tail;
  args.page_size = in.page_size;
  args.table_width = in.table_width;
  args.table_rows = c.table_rows;
  args.mqa_variant = in.mqa_variant;
  args.mqa_lengths = c.mqa_lengths;
  args.mqa_next_n = in.mqa_next_n;
  args.topk_plan_arch = in.topk_plan_arch;
  args.topk_plan_clusters = in.topk_plan_clusters;
  args.topk_plan_threshold = in.topk_plan_threshold;
  args.max_table_width = c.max_table_width;
  args.programmatic_launch = c.is_programmatic ? 1 : 0;
  args.num_tokens_bound = c.num_tokens_bound;
  args.max_kv_bound = c.max_kv_bound;
  if (c.spare_requests > 0) args.batch = static_cast<int32_t>(c.batch());
  return args;
}

}  // namespace

nsameta_tensor& tensor_of(nsameta_build_metadata_args* args, int output) { return tensor_of(&args->out, output); }

bound_case::bound_case(nsameta_context* context, void* stream, const metadata_case& c, device_memory* memory)
    : context_(context), case_(c), block_(context, stream, memory) {
  resolve(&case_);
  args_ = make_args(case_);
  add_inputs();
  add_sets();
  block_.allocate();
  if (block_.data() != nullptr) rebase();
}

nsameta_tensor bound_case::add_vector(const char* name, const input_layout& layout, int64_t count, int* region) {
  const auto place = place_vector(count, layout.stride);
  *region = block_.image().add(name, layout.dtype == NSAMETA_INT64 ? 8 : 4, place.extent, layout.offset_elements);
  return vector_at(block_.image().offset_bytes(*region), place, layout.dtype, nsameta_context_device(context_));
}

void bound_case::add_inputs() {
  const auto& in = case_.inputs;
  const int64_t spare = case_.spare_requests;
  args_.seq_lens = add_vector("seq_lens", case_.seq_lens, std::ssize(in.seq_lens) + spare, &seq_region_);
  if (has_extend_tensor(in)) {
    args_.extend_seq_lens =
        add_vector("extend_seq_lens", case_.extend_seq_lens, std::ssize(in.extend_seq_lens) + spare, &extend_region_);
  }
  if (case_.has_num_requests()) args_.num_requests = add_vector("num_requests", {}, 1, &num_requests_region_);
  if (case_.pool == nullptr) return;
  args_.req_pool_indices = add_vector("req_pool_indices", case_.req_pool_indices,
                                      std::ssize(in.req_pool_indices) + spare, &pool_indices_region_);
  pool_place_ = place_matrix(case_.req_to_token, in.pool_rows, in.max_context);
  pool_region_ = block_.image().add("req_to_token", 4, pool_place_.extent, case_.pool_offset_elements);
  args_.req_to_token =
      matrix_at(block_.image().offset_bytes(pool_region_), pool_place_, nsameta_context_device(context_));
}

void bound_case::add_sets() {
  const auto counts = count(case_);
  for (size_t i = 0; i < case_.num_sets(); ++i) {
    sets_.emplace_back(case_, i, counts, nsameta_context_device(context_), &block_.image());
  }
}

// So far the tensors hold offsets into the block.
void bound_case::rebase() {
  for (auto* tensor :
       {&args_.seq_lens, &args_.extend_seq_lens, &args_.num_requests, &args_.req_pool_indices, &args_.req_to_token}) {
    if (tensor->ndim != 0)
      tensor->data = static_cast<std::byte*>(block_.data()) + reinterpret_cast<uintptr_t>(tensor->data);
  }
  for (auto& set : sets_) set.rebase(block_.data());
  args_.out = sets_[0].tensors();
  for (size_t i = 1; i < sets_.size(); ++i) more_outputs_.push_back(sets_[i].tensors());
  args_.num_more_outputs = static_cast<int32_t>(more_outputs_.size());
  args_.more_outputs = more_outputs_.empty() ? nullptr : more_outputs_.data();
}

void bound_case::store(const input_layout& layout, const std::vector<int64_t>& lengths, int64_t count, int region) {
  const auto place = place_vector(count, layout.stride);
  for (int64_t i = 0; i < std::ssize(lengths); ++i)
    block_.image().set(region, place.at(i), lengths[static_cast<size_t>(i)]);
}

void bound_case::reset(const reference::metadata_inputs& inputs) {
  current_ = inputs;
  block_.image().poison(++salt_ * 0x01000193U);
  store(case_.seq_lens, inputs.seq_lens, args_.seq_lens.shape[0], seq_region_);
  if (extend_region_ >= 0) {
    store(case_.extend_seq_lens, inputs.extend_seq_lens, args_.extend_seq_lens.shape[0], extend_region_);
  }
  if (num_requests_region_ >= 0) block_.image().set(num_requests_region_, 0, inputs.num_requests);
  if (pool_region_ >= 0) {
    store(case_.req_pool_indices, inputs.req_pool_indices, args_.req_pool_indices.shape[0], pool_indices_region_);
    const int32_t* cell = inputs.req_to_token;
    for (int64_t row = 0; row < inputs.pool_rows; ++row) {
      for (int64_t c = 0; c < inputs.max_context; ++c)
        block_.image().set(pool_region_, pool_place_.at(row, c), *cell++);
    }
  }
  block_.upload();
}

std::vector<reference::metadata_fault> bound_case::faults_of(const reference::metadata& m) const {
  auto faults = m.faults;
  const auto any = [&](const auto& shows) { return std::any_of(sets_.begin(), sets_.end(), shows); };
  if (any([&](const bound_set& set) { return set.has_too_few_tokens(case_, m); })) {
    faults.push_back({NSAMETA_CHECK_TOKENS_OVER_CAPACITY, -1, capped(m.total_tokens)});
  }
  if (any([&](const bound_set& set) { return set.has_too_few_keys(m); })) {
    faults.push_back({NSAMETA_CHECK_KEYS_OVER_CAPACITY, -1, capped(m.total_keys)});
  }
  return faults;
}

testing::AssertionResult bound_case::has_right_fault(const reference::metadata& m) {
  auto allowed = faults_of(m);
  const bool keeps_first = std::strcmp(nsameta_context_backend(context_), "cpu") == 0;
  if (keeps_first && allowed.size() > 1) allowed.resize(1);
  nsameta_fault got{};
  if (nsameta_context_error(context_, &got) != NSAMETA_OK || nsameta_context_clear_error(context_) != NSAMETA_OK) {
    return testing::AssertionFailure() << nsameta_last_error_message();
  }
  nsameta_fault cleared{};
  if (nsameta_context_error(context_, &cleared) != NSAMETA_OK || cleared.check != NSAMETA_CHECK_NONE) {
    return testing::AssertionFailure() << "the fault " << cleared.check << " is still there after clear_error";
  }
  if (allowed.empty() && got.check == NSAMETA_CHECK_NONE) return testing::AssertionSuccess();
  for (const auto& fault : allowed) {
    // A static width that is negative is every request's.
    const bool is_width = case_.inputs.static_width && fault.check == NSAMETA_CHECK_NEGATIVE_QUERY;
    const bool is_same_request = got.request_idx == fault.request_idx || is_width;
    if (got.check == fault.check && static_cast<int32_t>(got.value) == fault.value && is_same_request) {
      return testing::AssertionSuccess();
    }
  }
  return testing::AssertionFailure() << "fault: got check " << got.check << " request " << got.request_idx << " value "
                                     << got.value << ", expected "
                                     << (allowed.empty() ? 0 : static_cast<int>(allowed[0].check)) << " request "
                                     << (allowed.empty() ? -1 : allowed[0].request_idx) << " value "
                                     << (allowed.empty() ? 0 : allowed[0].value) << " or one of " << allowed.size()
                                     << " in all";
}

reference::metadata bound_case::expected_of(const reference::metadata_inputs& inputs) const {
  reference::metadata_inputs limited = inputs;
  limited.max_tokens = 0;
  for (const auto& set : sets_) set.raise_limits(&limited);
  return reference::build_metadata(limited);
}

testing::AssertionResult bound_case::has_right_bytes(const reference::metadata& m) {
  memory_image expected = block_.image();
  for (const auto& set : sets_) {
    set.expect(case_, m, std::ssize(current_.seq_lens), &expected);
    if (set.num_sms() == 0) continue;
    // Destinations may be for different numbers of SMs.
    reference::metadata_inputs inputs = current_;
    inputs.max_tokens = 0;
    inputs.num_sms = set.num_sms();
    set.expect_schedule(reference::build_metadata(inputs).paged_mqa_schedule, &expected);
  }
  auto result = block_.equals(expected);
  return result ? result : result << "\n" << case_;
}

testing::AssertionResult bound_case::holds(const reference::metadata_inputs& inputs) {
  const auto m = expected_of(inputs);
  if (auto result = has_right_bytes(m); !result) return result;
  auto result = has_right_fault(m);
  return result ? result : result << "\n" << case_;
}

testing::AssertionResult bound_case::is_untouched() {
  auto result = block_.is_untouched();
  return result ? result : result << "\n" << case_;
}

}  // namespace nsameta::test
