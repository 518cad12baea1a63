// Wrong arguments of what reads req_to_token, of schedules, plans and destinations: as in build_metadata_validation.
#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

using args_t = nsameta_build_metadata_args;
using change_fn = std::function<void(args_t*)>;

class build_metadata_slot_validation : public execution_test {
 protected:
  void SetUp() override {
    execution_test::SetUp();
    expect_no_launch();
  }
  // 3 requests and 9 tokens with every output in two destinations.
  metadata_case good() {
    auto c = ragged_case(NSAMETA_MODE_EXTEND, {10, 20, 30}, {2, 3, 4}).with_pool(random_).want_all().with_slack(3);
    c.with_num_requests(3);
    c.inputs.topk_plan_clusters = 0;  // a plan of more than one row
    c.more_sets.push_back(c);
    return c;
  }
  // A constant q, so that the host knows T.
  metadata_case constant() { return verify_case({10, 20, 30}, 2).with_pool(random_).want_all(); }
  template <typename T>
  void refuse(T args_t::* field, T value, const std::vector<std::string>& parts) {
    check_refused(good(), [&](args_t* a) { a->*field = value; }, parts);
  }
  // `change` of an output of the first destination, and of the second by way of a copy.
  void refuse_output(const metadata_case& c, output_id id, const std::function<void(nsameta_tensor*)>& change,
                     std::vector<std::string> parts) {
    const int output = static_cast<int>(id);
    parts.emplace_back(output_name(output));
    SCOPED_TRACE(output_name(output));
    check_refused(c, [&](args_t* a) { change(&tensor_of(a, output)); }, parts);
    if (c.more_sets.empty()) return;
    nsameta_metadata_outputs second{};
    check_refused(
        c,
        [&](args_t* a) {
          second = *a->more_outputs;
          change(&tensor_of(&second, output));
          a->more_outputs = &second;
        },
        parts);
  }
  random_source random_{77};
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_slot_validation);

constexpr output_id kSlotOutputs[] = {output_id::out_slots, output_id::page_table_1, output_id::real_page_table,
                                      output_id::page_table_1_flattened};
constexpr output_id kNewOutputs[] = {output_id::out_slots,          output_id::page_table_1,
                                     output_id::real_page_table,    output_id::page_table_1_flattened,
                                     output_id::paged_mqa_schedule, output_id::topk_plan};

void misalign(nsameta_tensor* tensor) { tensor->data = static_cast<char*>(tensor->data) + 1; }

TEST_P(build_metadata_slot_validation, scalars_out_of_range) {
  refuse(&args_t::page_size, 0, {"page_size=0", "[1, 256]"});
  refuse(&args_t::page_size, -64, {"page_size=-64", "[1, 256]"});
  refuse(&args_t::page_size, 512, {"page_size=512", "[1, 256]"});
  refuse(&args_t::page_size, 48, {"page_size=48", "power of two"});
  refuse(&args_t::table_width, 3, {"table_width=3", "[0, 2]"});
  refuse(&args_t::table_rows, 3, {"table_rows=3", "[0, 2]"});
  refuse(&args_t::mqa_variant, 4, {"mqa_variant=4", "[0, 3]"});
  refuse(&args_t::mqa_lengths, 3, {"mqa_lengths=3", "[0, 2]"});
  refuse(&args_t::mqa_next_n, 0, {"mqa_next_n=0", "[1, 65536]"});
  refuse(&args_t::mqa_next_n, 65'537, {"mqa_next_n=65537", "[1, 65536]"});
  refuse(&args_t::topk_plan_arch, 2, {"topk_plan_arch=2", "[0, 1]"});
  refuse(&args_t::topk_plan_clusters, -1, {"topk_plan_clusters=-1", "[0, "});
  refuse(&args_t::topk_plan_threshold, -2, {"topk_plan_threshold=-2", "[-1, "});
  refuse(&args_t::num_more_outputs, -1, {"num_more_outputs=-1", "[0, 7]"});
  refuse(&args_t::num_more_outputs, 8, {"num_more_outputs=8", "[0, 7]"});
  refuse(&args_t::programmatic_launch, 2, {"programmatic_launch=2", "[0, 1]"});
  refuse(&args_t::max_table_width, int64_t{-2}, {"max_table_width=-2", "[-1, "});
  refuse(&args_t::max_kv_bound, int64_t{-2}, {"max_kv_bound=-2", "[-1, "});
}

TEST_P(build_metadata_slot_validation, next_n_of_visible_lengths) {
  check_refused(constant(), [](args_t* a) { a->mqa_next_n = 2; }, {"mqa_next_n=2", "1"});
  check_refused(good(),
                [](args_t* a) {
                  a->mqa_next_n = 4;
                  a->mqa_lengths = NSAMETA_MQA_LENGTHS_VISIBLE;
                },
                {"mqa_next_n=4", "VISIBLE"});
}

TEST_P(build_metadata_slot_validation, num_requests) {
  const auto refuse_it = [&](const std::function<void(nsameta_tensor*)>& change, std::vector<std::string> parts) {
    parts.emplace_back("num_requests");
    check_refused(good(), [&](args_t* a) { change(&a->num_requests); }, parts);
  };
  refuse_it([](nsameta_tensor* t) { t->dtype = NSAMETA_INT64; }, {"int64", "int32"});
  refuse_it([](nsameta_tensor* t) { t->dtype = 5; }, {"dtype=5"});
  refuse_it([](nsameta_tensor* t) { t->shape[0] = 0; }, {"shape[0]=0"});
  refuse_it([](nsameta_tensor* t) { t->ndim = 2; }, {"ndim=2", "1"});
  refuse_it([](nsameta_tensor* t) { t->device.id = 3; }, {"context is for"});
  refuse_it(misalign, {"aligned"});
}

TEST_P(build_metadata_slot_validation, pool_is_required) {
  refuse(&args_t::req_to_token, {}, {"req_to_token=NULL"});
  refuse(&args_t::req_pool_indices, {}, {"req_pool_indices=NULL"});
  for (const auto id : kSlotOutputs) {
    auto c = decode_case({5, 6}).with_pool(random_).want({id});
    check_refused(c, [](args_t* a) { a->req_to_token = {}; }, {"req_to_token=NULL"});
    check_refused(c, [](args_t* a) { a->req_pool_indices.data = nullptr; }, {"req_pool_indices=NULL"});
    // Only the second destination needs it.
    metadata_case second = decode_case({5, 6}).with_pool(random_).want({output_id::cache_seqlens});
    second.more_sets.emplace_back().at(id).is_wanted = true;
    check_refused(second, [](args_t* a) { a->req_to_token = {}; }, {"req_to_token=NULL"});
  }
}

TEST_P(build_metadata_slot_validation, req_pool_indices) {
  const auto refuse_it = [&](const std::function<void(nsameta_tensor*)>& change, std::vector<std::string> parts) {
    parts.emplace_back("req_pool_indices");
    check_refused(good(), [&](args_t* a) { change(&a->req_pool_indices); }, parts);
  };
  refuse_it([](nsameta_tensor* t) { t->shape[0] = 2; }, {"batch=3", "shape[0]=2"});
  refuse_it([](nsameta_tensor* t) { t->shape[0] = -1; }, {"shape[0]=-1"});
  refuse_it([](nsameta_tensor* t) { t->dtype = 2; }, {"dtype=2"});
  refuse_it([](nsameta_tensor* t) { t->ndim = 2; }, {"ndim=2", "1"});
  refuse_it([](nsameta_tensor* t) { t->device.type = 7; }, {"context is for"});
  refuse_it([](nsameta_tensor* t) { t->strides[0] = int64_t{1} << 29; }, {"strides[0]=536870912"});
  refuse_it(misalign, {"aligned"});
}

TEST_P(build_metadata_slot_validation, req_to_token) {
  const auto refuse_it = [&](const std::function<void(nsameta_tensor*)>& change, std::vector<std::string> parts) {
    parts.emplace_back("req_to_token");
    check_refused(good(), [&](args_t* a) { change(&a->req_to_token); }, parts);
  };
  refuse_it([](nsameta_tensor* t) { t->dtype = NSAMETA_INT64; }, {"int64"});
  refuse_it([](nsameta_tensor* t) { t->dtype = -3; }, {"dtype=-3"});
  refuse_it([](nsameta_tensor* t) { t->ndim = 1; }, {"ndim=1", "2"});
  refuse_it([](nsameta_tensor* t) { t->shape[0] = -4; }, {"shape[0]=-4"});
  refuse_it([](nsameta_tensor* t) { t->shape[1] = -4; }, {"shape[1]=-4"});
  refuse_it([](nsameta_tensor* t) { t->device.id = 3; }, {"context is for"});
  refuse_it(misalign, {"aligned"});
}

TEST_P(build_metadata_slot_validation, every_new_output) {
  for (const auto id : kNewOutputs) {
    const bool is_vector = id == output_id::out_slots || id == output_id::page_table_1_flattened;
    refuse_output(good(), id, [](nsameta_tensor* t) { t->dtype = -1; }, {"dtype=-1"});
    refuse_output(good(), id, [&](nsameta_tensor* t) { t->ndim = is_vector ? 2 : 1; },
                  {is_vector ? "ndim=2 must be 1" : "ndim=1 must be 2"});
    refuse_output(good(), id, [](nsameta_tensor* t) { t->device.id = 9; }, {"context is for"});
    refuse_output(good(), id, [](nsameta_tensor* t) { t->shape[0] = -2; }, {"shape[0]=-2"});
    refuse_output(good(), id, misalign, {"aligned"});
    if (id != output_id::out_slots) {
      refuse_output(good(), id, [](nsameta_tensor* t) { t->dtype = NSAMETA_INT64; }, {"int64", "int32"});
    }
    if (is_vector) refuse_output(good(), id, [](nsameta_tensor* t) { t->strides[0] = 2; }, {"strides[0]=2", "1"});
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_slot_validation, capacities_that_the_host_knows) {
  const auto shrink = [](nsameta_tensor* t) { t->shape[0] -= 1; };
  for (const auto id : {output_id::out_slots, output_id::page_table_1, output_id::real_page_table}) {
    refuse_output(constant(), id, shrink, {"num_tokens=6", "capacity 5"});
  }
  for (const auto id : {output_id::page_table_1, output_id::real_page_table}) {
    refuse_output(good(), id, shrink, {"batch=3", "capacity 2"});
  }
  refuse_output(good(), output_id::topk_plan, [](nsameta_tensor* t) { t->shape[0] = 0; }, {"capacity 0", "1"});
}

TEST_P(build_metadata_slot_validation, tables) {
  for (const auto id : {output_id::page_table_1, output_id::real_page_table}) {
    auto c = good();
    for (auto* set : {static_cast<set_layout*>(&c), &c.more_sets[0]}) {
      set->page_table_1.num_columns = 8;
      set->real_page_table.num_columns = 8;
    }
    refuse_output(c, id, [](nsameta_tensor* t) { t->strides[0] = INT64_MIN; }, {"strides[0]=-9223372", "2^61 bytes"});
    refuse_output(c, id, [](nsameta_tensor* t) { t->strides[0] = int64_t{1} << 60; }, {"strides[0]=", "2^61 bytes"});
    refuse_output(c, id, [](nsameta_tensor* t) { t->strides[0] = 0; }, {"strides=(0, 1)", "alias"});
    refuse_output(c, id, [](nsameta_tensor* t) { t->strides[0] = 7; }, {"strides=(7, 1)", "3 x 8"});
    refuse_output(c, id, [](nsameta_tensor* t) { t->strides[0] = -7; }, {"strides=(-7, 1)", "alias"});
    refuse_output(c, id, [](nsameta_tensor* t) { t->strides[1] = 0; }, {"strides=(8, 0)", "alias"});
    refuse_output(c, id, [](nsameta_tensor* t) { t->strides[1] = 2; }, {"strides=(8, 2)", "alias"});
    refuse_output(c, id, [](nsameta_tensor* t) { t->shape[1] = -1; }, {"shape[1]=-1"});
  }
  refuse(&args_t::page_size, 1, {"page_size=1", "real_page_table"});
}

TEST_P(build_metadata_slot_validation, schedules_and_plans) {
  for (const auto id : {output_id::paged_mqa_schedule, output_id::topk_plan}) {
    refuse_output(good(), id, [](nsameta_tensor* t) { t->shape[1] = 3; }, {"shape[1]=3", "2"});
    refuse_output(good(), id, [](nsameta_tensor* t) { t->shape[1] = 0; }, {"shape[1]=0", "2"});
    refuse_output(good(), id, [](nsameta_tensor* t) { t->strides[0] = 3; }, {"strides[0]=3", "2"});
    refuse_output(good(), id, [](nsameta_tensor* t) { t->strides[0] = -2; }, {"strides[0]=-2", "2"});
    refuse_output(good(), id, [](nsameta_tensor* t) { t->strides[1] = 2; }, {"strides[1]=2", "1"});
  }
  const auto id = output_id::paged_mqa_schedule;
  refuse_output(good(), id, [](nsameta_tensor* t) { t->shape[0] = 0; }, {"num_sms", "=-1", "[1, 512]"});
  refuse_output(good(), id, [](nsameta_tensor* t) { t->shape[0] = 1; }, {"num_sms", "=0", "[1, 512]"});
  refuse_output(good(), id, [](nsameta_tensor* t) { t->shape[0] = 514; }, {"num_sms", "=513", "[1, 512]"});
}

TEST_P(build_metadata_slot_validation, more_outputs) {
  check_refused(good(), [](args_t* a) { a->more_outputs = nullptr; }, {"more_outputs=NULL", "num_more_outputs=1"});
  // Destinations that share memory with one another or with themselves.
  nsameta_metadata_outputs sets[2];
  check_refused(good(),
                [&](args_t* a) {
                  sets[0] = *a->more_outputs;
                  sets[1] = *a->more_outputs;
                  a->more_outputs = sets;
                  a->num_more_outputs = 2;
                },
                {"overlaps"});
  check_refused(good(), [](args_t* a) { a->more_outputs = &a->out; }, {"overlaps"});
}

TEST_P(build_metadata_slot_validation, overlaps) {
  for (const auto id : kNewOutputs) {
    const std::string name = output_name(static_cast<int>(id));
    SCOPED_TRACE(name);
    const auto move_to = [&](void* (*where)(args_t*), const char* other) {
      check_refused(good(), [&](args_t* a) { tensor_of(a, static_cast<int>(id)).data = where(a); },
                    {name, "overlaps", other});
    };
    move_to([](args_t* a) { return a->req_to_token.data; }, "req_to_token");
    move_to([](args_t* a) { return a->req_pool_indices.data; }, "req_pool_indices");
    move_to([](args_t* a) { return a->num_requests.data; }, "num_requests");
    move_to([](args_t* a) { return a->out.seqlens_expanded.data; }, "seqlens_expanded");
    move_to([](args_t* a) { return a->more_outputs->cu_seqlens_k.data; }, "cu_seqlens_k");
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace nsameta::test
