// Several sets of outputs in one build: the same values, each with strides, capacities and a choice of its own.
#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

class build_metadata_destinations : public execution_test {
 protected:
  // Two more pitches, offsets and capacities for every set that is added.
  void add_sets(metadata_case* c, int num_more) {
    for (int i = 0; i < num_more; ++i) {
      set_layout set = static_cast<const set_layout&>(*c);
      for (auto& output : set.outputs) {
        output.slack += random_.in(0, 9);
        output.offset_elements = random_.in(0, 3);
      }
      set.page_table_1.memory.padding = random_.in(0, 9);
      set.real_page_table.memory.is_column_major = i % 3 == 1;
      set.page_table_1.num_columns = random_.in(100, 400);
      set.positions_dtype = i % 2 == 0 ? NSAMETA_INT64 : NSAMETA_INT32;
      set.out_slots_dtype = i % 2 == 0 ? NSAMETA_INT32 : NSAMETA_INT64;
      set.ctx_lens_row_slack = i;
      set.num_sms = random_.pick({1, 78, 132, 148, 512});
      c->more_sets.push_back(set);
    }
  }
  metadata_case some_case() {
    return ragged_case(NSAMETA_MODE_DRAFT_EXTEND, random_lengths(random_, 37, 0, 300),
                       random_lengths(random_, 37, 0, 5))
        .with_pool(random_);
  }
  random_source random_{74};
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_destinations);

TEST_P(build_metadata_destinations, two_to_eight_of_everything) {
  for (int num_more = 1; num_more < NSAMETA_MAX_DESTINATIONS; ++num_more) {
    for (const auto tail : {NSAMETA_TAIL_KEEP, NSAMETA_TAIL_LAST}) {
      auto c = some_case().want_all();
      c.tail = tail;
      add_sets(&c, num_more);
      check(c);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(build_metadata_destinations, every_mode) {
  auto decode = decode_case(random_lengths(random_, 40, 0, 300)).with_pool(random_).want_all();
  auto verify = verify_case(random_lengths(random_, 40, 0, 300), 4).with_pool(random_).want_all();
  auto extend = ragged_case(NSAMETA_MODE_EXTEND, {300, 9000, 40}, {300, 8192, 1}).with_pool(random_).want_all();
  for (auto* c : {&decode, &verify, &extend}) {
    add_sets(c, 2);
    check(*c);
  }
}

TEST_P(build_metadata_destinations, each_output_only_in_the_last_set) {
  for (int i = 0; i < kNumOutputs; ++i) {
    auto c = some_case().want({output_id::cache_seqlens});
    set_layout set;
    set.outputs[static_cast<size_t>(i)].is_wanted = true;
    c.more_sets = {set_layout{}, set};  // the second has nothing
    SCOPED_TRACE(output_name(i));
    check(c);
  }
}

TEST_P(build_metadata_destinations, random_subsets) {
  for (int i = 0; i < 60; ++i) {
    auto c = some_case().want_all();
    add_sets(&c, static_cast<int>(random_.in(1, 7)));
    for (auto& output : c.outputs) output.is_wanted = random_.chance(30);
    for (auto& set : c.more_sets) {
      for (auto& output : set.outputs) output.is_wanted = random_.chance(30);
    }
    c.want({output_id::cu_seqlens_k});
    check(c);
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_destinations, only_one_set_is_too_small) {
  for (const auto id : {output_id::seqlens_expanded, output_id::nsa_cu_seqlens_k, output_id::out_slots,
                        output_id::page_table_1, output_id::page_table_1_flattened, output_id::topk_plan}) {
    for (const size_t small : {0U, 1U, 2U}) {
      auto c = some_case().want_all();
      add_sets(&c, 2);
      set_layout& set = small == 0 ? c : c.more_sets[small - 1];
      set.at(id).slack = -5;
      SCOPED_TRACE(output_name(static_cast<int>(id)));
      check(c);
    }
  }
}

TEST_P(build_metadata_destinations, small_sets_keep_tails_of_large_ones) {
  for (const auto tail : {NSAMETA_TAIL_ZERO, NSAMETA_TAIL_LAST, NSAMETA_TAIL_MINUS_ONE}) {
    auto c = some_case().want_all().with_slack(-3);
    c.tail = tail;
    add_sets(&c, 3);
    for (auto& output : c.more_sets[1].outputs) output.slack = 200;
    check(c);
  }
}

}  // namespace
}  // namespace nsameta::test
