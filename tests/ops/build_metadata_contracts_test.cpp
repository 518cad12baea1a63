// The contracts beside the values: tails, capacities, empty batches, wrapping, faults, bounds.
#include <algorithm>

#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

class build_metadata_contracts : public execution_test {};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_contracts);

TEST_P(build_metadata_contracts, tails) {
  random_source random(30);
  for (const auto tail : kTails) {
    for (const int64_t slack : {0, 1, 2, 3, 4, 5, 63, 1000, 20000}) {
      auto ragged = random_ragged_case(random, NSAMETA_MODE_EXTEND, 12, 7).want_all().with_slack(slack);
      auto constant = verify_case(random_lengths(random, 12, 0, 900), 3).want_all().with_slack(slack);
      for (auto* c : {&ragged, &constant}) {
        c->tail = tail;
        c->positions_dtype = slack % 2 == 0 ? NSAMETA_INT32 : NSAMETA_INT64;
        check(*c);
      }
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(build_metadata_contracts, slots_have_tails_and_tables_have_none) {
  random_source random(35);
  for (const auto tail : kTails) {
    for (const auto mode : {NSAMETA_MODE_EXTEND, NSAMETA_MODE_DRAFT_EXTEND}) {
      auto c = ragged_case(mode, random_lengths(random, 20, 0, 300), random_lengths(random, 20, 0, 4));
      c.with_pool(random).want_all();
      for (auto& output : c.outputs) output.slack = random.in(0, 30);
      c.tail = tail;
      check(c);
    }
  }
}

TEST_P(build_metadata_contracts, tails_of_outputs_with_different_capacities) {
  random_source random(31);
  for (const auto tail : kTails) {
    auto c = random_ragged_case(random, NSAMETA_MODE_DRAFT_EXTEND, 50, 5).want_all();
    c.tail = tail;
    for (int i = 0; i < kNumOutputs; ++i) {
      if (is_per_token(i)) c.outputs[static_cast<size_t>(i)].slack = random.in(0, 100);
    }
    check(c);
  }
}

TEST_P(build_metadata_contracts, tail_behind_requests_without_tokens) {
  // The last token belongs to request 1, the last request has none.
  for (const auto tail : kTails) {
    auto c = ragged_case(NSAMETA_MODE_EXTEND, {5, 70, 9, 8}, {0, 3, 0, 0}).want_all().with_slack(9);
    c.tail = tail;
    check(c);
  }
}

TEST_P(build_metadata_contracts, per_request_outputs_have_no_tail) {
  for (const auto tail : kTails) {
    auto c = decode_case({4, 5, 6}).want_all();
    for (auto& output : c.outputs) output.slack = 6;
    c.tail = tail;
    check(c);
  }
}

TEST_P(build_metadata_contracts, tokens_over_capacity) {
  random_source random(32);
  for (const auto tail : kTails) {
    for (const int64_t slack : {-1, -2, -3, -17, -1000}) {
      auto c = random_ragged_case(random, NSAMETA_MODE_EXTEND, 40, 8).want_all().with_slack(slack);
      c.tail = tail;
      c.at(output_id::nsa_cu_seqlens_k).slack = std::max<int64_t>(slack, -30);
      check(c);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(build_metadata_contracts, one_output_over_capacity) {
  for (int i = 0; i < kNumOutputs; ++i) {
    if (!is_per_token(i)) continue;
    for (const auto tail : {NSAMETA_TAIL_KEEP, NSAMETA_TAIL_ZERO}) {
      auto c = ragged_case(NSAMETA_MODE_EXTEND, {50, 60, 70}, {3, 4, 5}).want_all().with_slack(4);
      c.outputs[static_cast<size_t>(i)].slack = -1;
      c.tail = tail;
      SCOPED_TRACE(output_name(i));
      check(c);
    }
  }
}

TEST_P(build_metadata_contracts, static_width_over_capacity) {
  auto c = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, {50, 60, 70}, {4}).want_all().with_slack(-1);
  c.inputs.static_width = true;
  check(c);
}

TEST_P(build_metadata_contracts, static_width_far_over_capacity) {
  random_source random(36);
  for (const int batch : {3, 300}) {
    for (const int32_t width : {1 << 23, 1 << 30, INT32_MAX}) {
      auto c = ragged_case(NSAMETA_MODE_EXTEND, random_lengths(random, batch, 0, 900), {width}).want_all();
      c.with_slack(500 - int64_t{batch} * width);
      c.inputs.static_width = true;
      check(c);
    }
  }
}

TEST_P(build_metadata_contracts, far_more_tokens_than_capacity) {
  // Lengths that are garbage: requests of nearly 2^31 tokens each, into buffers for a few. Behind so many tokens no
  // tail has room.
  random_source random(36);
  for (const size_t batch : {3U, 256U}) {
    const auto size = static_cast<int64_t>(batch);
    auto c =
        ragged_case(NSAMETA_MODE_EXTEND, random_lengths(random, size, 0, 5000), std::vector<int64_t>(batch, INT32_MAX))
            .want_all()
            .with_slack(11 * size - size * INT32_MAX);
    for (const auto tail : kTails) {
      c.tail = tail;
      check(c);
    }
  }
}

TEST_P(build_metadata_contracts, static_width_that_is_negative) {
  // Counts as 0 for every request, whichever kernel the batch takes.
  random_source random(37);
  for (const int64_t batch : {3, 300, 3000}) {
    auto c = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, random_lengths(random, batch, 0, 5000), {-5}).want_all();
    c.inputs.static_width = true;
    check(c);
  }
}

TEST_P(build_metadata_contracts, empty_batch) {
  for (const auto tail : kTails) {
    auto ragged = ragged_case(NSAMETA_MODE_EXTEND, {}, {}).want_all();
    auto constant = verify_case({}, 4).want_all();
    auto static_width = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, {}, {}).want_all();
    static_width.inputs.static_width = true;
    for (auto* c : {&ragged, &constant, &static_width}) {
      for (const int64_t slack : {0, 8}) {
        for (auto& output : c->outputs) output.slack = slack;
        c->tail = tail;
        check(*c);
        c->spare_requests = 5;  // batch 0 of longer tensors
        check(*c);
        c->spare_requests = 0;
      }
    }
  }
}

TEST_P(build_metadata_contracts, requests_without_tokens) {
  for (const auto tail : kTails) {
    for (const size_t batch : {1U, 3U, 300U, 5000U}) {
      auto c =
          ragged_case(NSAMETA_MODE_EXTEND, std::vector<int64_t>(batch, 9), std::vector<int64_t>(batch, 0)).want_all();
      for (auto& output : c.outputs) output.slack = 7;
      c.tail = tail;
      check(c);
    }
  }
}

TEST_P(build_metadata_contracts, sums_wrap) {
  for (const int topk : {2048, INT32_MAX}) {
    auto decode = decode_case({INT32_MAX, INT32_MAX, 5, 1'500'000'000, INT32_MAX - 1}).want_all();
    auto extend = ragged_case(NSAMETA_MODE_EXTEND, {INT32_MAX, 2'000'000'000, 9, 1'900'000'000}, {5, 300, 9, 2})
                      .want_all()
                      .with_slack(40);
    extend.tail = NSAMETA_TAIL_LAST;
    for (auto* c : {&decode, &extend}) {
      for (const int kpool : {1, 64, 100}) {
        c->inputs.topk = topk;
        c->inputs.kpool = kpool;
        check(*c);
      }
    }
  }
}

TEST_P(build_metadata_contracts, faults_of_negative_lengths) {
  random_source random(33);
  for (const auto clamp : {NSAMETA_CLAMP_OFF, NSAMETA_CLAMP_ON}) {
    for (const size_t batch : {1U, 40U, 3000U}) {
      auto good = random_ragged_case(random, NSAMETA_MODE_EXTEND, static_cast<int64_t>(batch), 6).want_all();
      good.clamp = clamp;
      auto kv = good;
      kv.inputs.seq_lens[batch / 2] = -3;
      auto query = good;
      query.inputs.extend_seq_lens[batch - 1] = INT32_MIN;
      auto both = kv;
      both.inputs.extend_seq_lens[0] = -1;
      for (const auto& c : {kv, query, both}) check(c);
    }
  }
}

TEST_P(build_metadata_contracts, faults_of_wrapped_and_static_lengths) {
  auto wrapped = verify_case({10, INT32_MAX - 1, 30}, 4).want_all();
  check(wrapped);
  auto width = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, {10, 20, 30}, {-2}).want_all();
  width.inputs.static_width = true;
  check(width);
  check(decode_case({3, -1, 4}).want_all());
}

TEST_P(build_metadata_contracts, token_bound_changes_no_result) {
  random_source random(34);
  for (const int64_t bound : {int64_t{0}, int64_t{1}, int64_t{100}, int64_t{100'000}, INT64_MAX}) {
    for (const auto tail : {NSAMETA_TAIL_KEEP, NSAMETA_TAIL_LAST}) {
      auto c = random_ragged_case(random, NSAMETA_MODE_EXTEND, 200, 40).want_all().with_slack(50);
      c.num_tokens_bound = bound;
      c.tail = tail;
      check(c);
      auto verify = verify_case(random_lengths(random, 300, 0, 900), 4).want_all();
      verify.num_tokens_bound = bound;
      check(verify);
    }
  }
}

}  // namespace
}  // namespace nsameta::test
