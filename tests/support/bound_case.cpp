#include "tests/support/bound_case.h"

#include <algorithm>
#include <cstdlib>

namespace nsameta::test {
namespace {

int64_t size_of(const std::vector<int64_t>& lengths) { return static_cast<int64_t>(lengths.size()); }

// Where element `idx` of `count` lies, in elements from the lowest address.
int64_t place_of(const input_layout& layout, int64_t idx, int64_t count) {
  return layout.stride >= 0 ? idx * layout.stride : (count - 1 - idx) * -layout.stride;
}

nsameta_tensor vector_at(void* data, int64_t count, int64_t stride, nsameta_dtype dtype, nsameta_device device) {
  return {.data = data, .shape = {count, 0}, .strides = {stride, 0}, .ndim = 1, .dtype = dtype, .device = device};
}

}  // namespace

nsameta_tensor& tensor_of(nsameta_build_metadata_args* args, int output) {
  nsameta_tensor* const tensors[] = {
#define NSAMETA_OUTPUT(name, kind) &args->name,
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  };
  return *tensors[output];
}

bound_case::bound_case(nsameta_context* context, void* stream, const metadata_case& c)
    : context_(context), stream_(stream), case_(c) {
  resolve(&case_);
  const auto& in = case_.inputs;
  nsameta_build_metadata_args_init(&args_);
  args_.mode = in.mode;
  args_.tokens_per_request = in.tokens_per_request;
  args_.static_width = in.static_width ? 1 : 0;
  args_.topk = in.topk;
  args_.kpool = in.kpool;
  args_.clamp = case_.clamp;
  args_.tail = case_.tail;
  args_.num_tokens_bound = case_.num_tokens_bound;
  if (case_.spare_requests > 0) args_.batch = static_cast<int32_t>(in.seq_lens.size());
  args_.seq_lens = add_input("seq_lens", case_.seq_lens, size_of(in.seq_lens) + case_.spare_requests, &seq_region_);
  if (has_extend_tensor(in)) {
    args_.extend_seq_lens = add_input("extend_seq_lens", case_.extend_seq_lens,
                                      size_of(in.extend_seq_lens) + case_.spare_requests, &extend_region_);
  }
  add_outputs();
  const auto status = nsameta_device_alloc(context_, image_.size_bytes(), &block_);
  EXPECT_EQ(status, NSAMETA_OK) << nsameta_last_error_message();
  if (status != NSAMETA_OK) return;
  // So far the tensors hold offsets into the block.
  const auto rebase = [&](nsameta_tensor* tensor) {
    tensor->data = static_cast<std::byte*>(block_) + reinterpret_cast<uintptr_t>(tensor->data);
  };
  rebase(&args_.seq_lens);
  if (extend_region_ >= 0) rebase(&args_.extend_seq_lens);
  for (int i = 0; i < kNumOutputs; ++i) {
    if (regions_[static_cast<size_t>(i)] >= 0) rebase(&tensor_of(&args_, i));
  }
}

bound_case::~bound_case() { nsameta_device_free(context_, block_); }

nsameta_tensor bound_case::add_input(const char* name, const input_layout& layout, int64_t count, int* region) {
  const int64_t extent = count == 0 ? 0 : (count - 1) * std::abs(layout.stride) + 1;
  const int64_t element_bytes = layout.dtype == NSAMETA_INT64 ? 8 : 4;
  *region = image_.add(name, static_cast<int>(element_bytes), extent, layout.offset_elements);
  const int64_t first = count == 0 ? 0 : place_of(layout, 0, count);
  const auto offset = image_.offset_bytes(*region) + static_cast<size_t>(first * element_bytes);
  return vector_at(reinterpret_cast<void*>(offset), count, layout.stride, layout.dtype,
                   nsameta_context_device(context_));
}

void bound_case::add_outputs() {
  reference::metadata_inputs counted = case_.inputs;
  counted.max_tokens = 0;
  const auto counts = reference::build_metadata(counted);
  const int64_t batch = size_of(case_.inputs.seq_lens);
  const int64_t columns = case_.inputs.ctx_lens_columns;
  for (int i = 0; i < kNumOutputs; ++i) {
    const auto idx = static_cast<size_t>(i);
    const auto& layout = case_.outputs[idx];
    regions_[idx] = -1;
    if (!layout.is_wanted) continue;
    const int64_t needed[] = {counts.total_tokens, counts.total_tokens + 1, batch, batch + 1, batch, 1};
    capacities_[idx] = std::max<int64_t>(needed[static_cast<int>(kind_of(i))] + layout.slack, 0);
    const bool is_positions = i == static_cast<int>(output_id::positions);
    const auto dtype = is_positions ? case_.positions_dtype : NSAMETA_INT32;
    const bool is_row = kind_of(i) == output_kind::REQUEST_ROW;
    const int64_t stride = is_row ? columns + case_.ctx_lens_row_slack : 1;
    regions_[idx] =
        image_.add(output_name(i), dtype == NSAMETA_INT64 ? 8 : 4, capacities_[idx] * stride, layout.offset_elements);
    auto& tensor = tensor_of(&args_, i);
    tensor = vector_at(reinterpret_cast<void*>(image_.offset_bytes(regions_[idx])), capacities_[idx], stride, dtype,
                       nsameta_context_device(context_));
    if (is_row) {
      tensor.ndim = 2;
      tensor.shape[1] = columns;
      tensor.strides[1] = 1;
    }
  }
}

void bound_case::store(const input_layout& layout, const std::vector<int64_t>& lengths, int64_t count, int region) {
  for (int64_t i = 0; i < size_of(lengths); ++i) {
    image_.set(region, place_of(layout, i, count), lengths[static_cast<size_t>(i)]);
  }
}

void bound_case::reset(const reference::metadata_inputs& inputs) {
  image_.poison(++salt_ * 0x01000193U);
  store(case_.seq_lens, inputs.seq_lens, args_.seq_lens.shape[0], seq_region_);
  if (extend_region_ >= 0) {
    store(case_.extend_seq_lens, inputs.extend_seq_lens, args_.extend_seq_lens.shape[0], extend_region_);
  }
  const auto& bytes = image_.bytes();
  ASSERT_EQ(nsameta_copy_to_device(context_, block_, bytes.data(), bytes.size(), stream_), NSAMETA_OK)
      << nsameta_last_error_message();
}

std::vector<std::byte> bound_case::read_back() {
  std::vector<std::byte> bytes(image_.size_bytes());
  EXPECT_EQ(nsameta_copy_to_host(context_, bytes.data(), block_, bytes.size(), stream_), NSAMETA_OK)
      << nsameta_last_error_message();
  return bytes;
}

void bound_case::expect_rows(const reference::metadata& m, memory_image* expected) const {
  const int output = static_cast<int>(output_id::paged_mqa_ctx_lens_2d);
  const int64_t columns = case_.inputs.ctx_lens_columns;
  for (int64_t i = 0; i < num_values(m, output); ++i) {
    const int64_t place = i / columns * (columns + case_.ctx_lens_row_slack) + i % columns;
    expected->set(regions_[static_cast<size_t>(output)], place, value_at(m, output, i));
  }
}

void bound_case::expect_output(const reference::metadata& m, int output, memory_image* expected) const {
  const int region = regions_[static_cast<size_t>(output)];
  const int64_t capacity = capacities_[static_cast<size_t>(output)];
  const int64_t written = std::min(num_values(m, output), capacity);
  for (int64_t i = 0; i < written; ++i) expected->set(region, i, value_at(m, output, i));
  if (!is_per_token(output) || m.total_tokens == 0 || case_.tail == NSAMETA_TAIL_KEEP || written == capacity) return;
  const int64_t fill = case_.tail == NSAMETA_TAIL_ZERO        ? 0
                       : case_.tail == NSAMETA_TAIL_MINUS_ONE ? -1
                                                              : value_at(m, output, written - 1);
  for (int64_t i = written; i < capacity; ++i) expected->set(region, i, fill);
}

testing::AssertionResult bound_case::has_right_fault(const reference::metadata& m) {
  auto allowed = m.faults;
  for (int i = 0; i < kNumOutputs; ++i) {
    const auto idx = static_cast<size_t>(i);
    if (regions_[idx] < 0 || !is_per_token(i)) continue;
    const int64_t needed = m.total_tokens + (kind_of(i) == output_kind::TOKEN_CU ? 1 : 0);
    if (needed > capacities_[idx]) {
      allowed.push_back({NSAMETA_CHECK_TOKENS_OVER_CAPACITY, -1, capped(m.total_tokens)});
    }
  }
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
    const bool is_same_request = got.request_idx == fault.request_idx || case_.inputs.static_width;
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
  for (int i = 0; i < kNumOutputs; ++i) {
    if (is_per_token(i)) limited.max_tokens = std::max(limited.max_tokens, capacities_[static_cast<size_t>(i)]);
  }
  return reference::build_metadata(limited);
}

testing::AssertionResult bound_case::has_right_bytes(const reference::metadata& m) {
  memory_image expected = image_;
  for (int i = 0; i < kNumOutputs; ++i) {
    if (regions_[static_cast<size_t>(i)] < 0) continue;
    if (kind_of(i) == output_kind::REQUEST_ROW) {
      expect_rows(m, &expected);
    } else {
      expect_output(m, i, &expected);
    }
  }
  auto result = expected.equals(read_back());
  return result ? result : result << "\n" << case_;
}

testing::AssertionResult bound_case::holds(const reference::metadata_inputs& inputs) {
  const auto m = expected_of(inputs);
  if (auto result = has_right_bytes(m); !result) return result;
  auto result = has_right_fault(m);
  return result ? result : result << "\n" << case_;
}

testing::AssertionResult bound_case::is_untouched() {
  auto result = image_.equals(read_back());
  return result ? result : result << "\n" << case_;
}

}  // namespace nsameta::test
