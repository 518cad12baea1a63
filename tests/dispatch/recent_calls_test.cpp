// Which calls without a plan find their launch, on a backend that counts.
#include <memory>
#include <optional>
#include <vector>

#include "core/status.h"
#include "tests/dispatch/choosing_backend.h"

namespace nsameta::dispatch {
namespace {

class recent_calls_of_a_context : public choosing_backend {
 protected:
  nsameta_status call() { return nsameta_build_metadata(&context_, &args_, nullptr); }

  // Calls, and returns how often a launch was chosen for that.
  int choices_of_call() {
    const int before = the_log.num_choices;
    EXPECT_EQ(call(), NSAMETA_OK) << last_error_message();
    return the_log.num_choices - before;
  }
};

TEST_F(recent_calls_of_a_context, find_their_launch) {
  EXPECT_EQ(choices_of_call(), 1);
  EXPECT_EQ(choices_of_call(), 0);
  EXPECT_EQ(the_log.num_launches, 2);
  EXPECT_EQ(context_.num_launches, 2U);
  EXPECT_EQ(the_log.num_operations, 0);
}

TEST_F(recent_calls_of_a_context, are_told_apart_by_every_argument) {
  std::array<int32_t, 8> other{};
  const build_metadata_args first = args_;
  std::vector<build_metadata_args> calls(6, first);
  calls[0].batch = 5;
  calls[1].mode = NSAMETA_MODE_EXTEND;
  calls[1].extend_seq_lens = args_.seq_lens;
  calls[2].seq_lens = make_tensor(other.data(), other.size());
  calls[3].out.cache_seqlens = make_tensor(other.data(), other.size());
  calls[4].max_kv_bound = 5;
  calls[5].programmatic_launch = 1;
  for (const build_metadata_args& each : calls) {
    args_ = first;
    (void)choices_of_call();
    args_ = each;
    EXPECT_EQ(choices_of_call(), 1);
    EXPECT_EQ(choices_of_call(), 0);
  }
  args_.batch = 5;
  (void)choices_of_call();
  EXPECT_EQ(the_log.last_launch.batch, 5);
}

// Whatever their addresses hash to.
TEST_F(recent_calls_of_a_context, of_four_batches_all_stay) {
  for (const int first : {1, 5}) {
    for (int round = 0; round < 2; ++round) {
      for (args_.batch = first; args_.batch < first + 4; ++args_.batch) {
        EXPECT_EQ(choices_of_call(), 1 - round) << args_.batch;
      }
    }
  }
}

TEST_F(recent_calls_of_a_context, choose_anew_after_a_tunable_was_set) {
  (void)choices_of_call();
  ASSERT_EQ(nsameta_context_set_tunable(&context_, "width", 3), NSAMETA_OK) << last_error_message();
  EXPECT_EQ(choices_of_call(), 1);
  EXPECT_EQ(choices_of_call(), 0);
}

TEST_F(recent_calls_of_a_context, launch_nothing_old_after_bad_arguments_or_a_failure) {
  (void)choices_of_call();
  args_.topk = -1;
  EXPECT_EQ(call(), NSAMETA_INVALID_ARGUMENT);
  EXPECT_EQ(call(), NSAMETA_INVALID_ARGUMENT);
  args_.topk = 1;
  the_log.refuses_choices = true;
  EXPECT_EQ(call(), NSAMETA_DEVICE_ERROR);
  EXPECT_EQ(call(), NSAMETA_DEVICE_ERROR);
  EXPECT_EQ(the_log.num_launches, 1);
  the_log.refuses_choices = false;
  args_.topk = 2048;  // whose launch the failure may have damaged
  EXPECT_EQ(choices_of_call(), 1);
}

TEST_F(recent_calls_of_a_context, with_several_sets_of_outputs_go_the_long_way) {
  const nsameta_metadata_outputs more{};
  args_.num_more_outputs = 1;
  args_.more_outputs = &more;
  EXPECT_EQ(choices_of_call(), 0);
  EXPECT_EQ(the_log.num_operations, 1);
}

TEST_F(recent_calls_of_a_context, of_an_older_header_go_the_long_way) {
  args_.struct_size -= sizeof(nsameta_tensor);
  EXPECT_EQ(choices_of_call(), 0);
  EXPECT_EQ(the_log.num_operations, 1);
}

nsameta_context* the_context = nullptr;
const build_metadata_args* the_args = nullptr;

// As if another thread called while this one launches.
nsameta_status launch_and_call(void* state, const void* prepared, void* stream) {
  if (the_log.num_launches > 0) return launch(state, prepared, stream);
  ++the_log.num_launches;
  EXPECT_EQ(nsameta_build_metadata(the_context, the_args, nullptr), NSAMETA_OK) << last_error_message();
  return NSAMETA_OK;
}

TEST_F(recent_calls_of_a_context, in_use_send_the_next_the_long_way) {
  the_context = &context_;
  the_args = &args_;
  table_.launch_prepared = launch_and_call;
  EXPECT_EQ(choices_of_call(), 1);
  EXPECT_EQ(the_log.num_operations, 1);
  EXPECT_EQ(choices_of_call(), 0);
  EXPECT_EQ(the_log.num_operations, 1);
}

TEST(recent_calls, go_with_their_context) {
  the_log = {};
  nsameta_backend table{};
  table.release_prepared = release;
  table.destroy = [](void*) { EXPECT_EQ(the_log.num_releases, 1) << "the state went first"; };
  table.prepare_build_metadata = choose;
  table.launch_prepared = launch;
  std::array<int32_t, 8> lengths{};
  build_metadata_args args;
  args.mode = NSAMETA_MODE_DECODE;
  args.topk = 1;
  args.seq_lens = make_tensor(lengths.data(), lengths.size());
  {
    nsameta_context context;
    context.device = kCpuDevice;
    context.backend = context.owner = &table;
    context.state = context.owner_state = &table;
    ASSERT_EQ(nsameta_build_metadata(&context, &args, nullptr), NSAMETA_OK) << last_error_message();
  }
  EXPECT_EQ(the_log.num_releases, 1);
}

}  // namespace
}  // namespace nsameta::dispatch
