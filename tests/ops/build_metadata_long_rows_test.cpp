// Tables of decode and verify steps with long contexts and a bound on them, which GPUs may copy in another way.
#include <algorithm>

#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

constexpr int64_t kContext = 20'480;

class build_metadata_long_rows : public execution_test {
 protected:
  metadata_case long_case(std::vector<int64_t> lengths, int tokens_per_request) {
    auto c =
        tokens_per_request == 1 ? decode_case(std::move(lengths)) : verify_case(std::move(lengths), tokens_per_request);
    c.with_pool(random_, kContext);
    c.max_kv_bound = kContext;
    return c.want({output_id::seqlens_expanded, output_id::nsa_cu_seqlens_k, output_id::cu_seqlens_k,
                   output_id::cache_seqlens, output_id::page_table_1, output_id::real_page_table});
  }

  // Requests that together have enough columns for the copy engine of the device, if it has one.
  int64_t large_batch() const {
    if (GetParam().kind == execution_kind::staged) return 4;
    nsameta_backend_info info;
    for (int32_t i = 0; i < nsameta_num_backends(); ++i) {
      nsameta_device_info device;
      if (nsameta_get_backend_info(i, &info) != NSAMETA_OK || info.name != GetParam().backend) continue;
      if (nsameta_get_device_info(i, 0, &device) == NSAMETA_OK && device.num_multiprocessors > 0) {
        return int64_t{device.num_multiprocessors} * 24 * 1024 / kContext + 1;
      }
    }
    return 4;
  }

  // One long request among short ones.
  std::vector<int64_t> skewed_lengths(int64_t batch) {
    auto lengths = random_lengths(random_, batch, 0, 400);
    lengths[static_cast<size_t>(random_.in(0, batch - 1))] = kContext - random_.in(0, 200);
    return lengths;
  }

  random_source random_{72};
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_long_rows);

TEST_P(build_metadata_long_rows, batches_and_widths) {
  for (const int64_t batch : {int64_t{1}, large_batch(), int64_t{33}}) {
    for (const int width : {1, 2, 4}) {
      check(long_case(skewed_lengths(batch), width));
      if (batch <= large_batch()) check(long_case(random_lengths(random_, batch, 8'000, kContext), width));
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(build_metadata_long_rows, columns_and_pages) {
  for (const int page_size : {1, 16, 64, 256}) {
    for (const int64_t columns : {20'480, 12'289, 9'002, 8'999}) {
      std::vector<int64_t> lengths{kContext, 1, 0, 2, 3, 9'000, 12'290};
      lengths.resize(static_cast<size_t>(std::max<int64_t>(large_batch(), 7)), 5);
      auto c = long_case(std::move(lengths), 4);
      c.inputs.page_size = page_size;
      c.page_table_1.num_columns = columns;
      c.real_page_table.num_columns = (columns + page_size - 1) / page_size;
      if (page_size == 1) c.at(output_id::real_page_table).is_wanted = false;
      check(c);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(build_metadata_long_rows, rows_and_keys_out_of_range) {
  std::vector<int64_t> lengths{kContext + 300, 17'000, 12, 9'001};
  lengths.resize(static_cast<size_t>(std::max<int64_t>(large_batch(), 4)), 300);
  auto c = long_case(std::move(lengths), 4);
  c.inputs.req_pool_indices[1] = -1;
  c.inputs.req_pool_indices[2] = c.inputs.pool_rows;
  check(c);
}

}  // namespace
}  // namespace nsameta::test
