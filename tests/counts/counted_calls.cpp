#include "tests/counts/counted_calls.h"

#include <algorithm>
#include <new>
#include <utility>

namespace nsameta::counts {
namespace {

constexpr std::size_t kBatch = 32;
constexpr std::size_t kContext = 512;
constexpr std::int32_t kPageSize = 64;
constexpr std::int32_t kLength = 300;
constexpr std::int32_t kDraftTokens = 4;

// Lengths per token and request, which all modes write.
build_metadata_args lengths(nsameta_mode mode, std::size_t num_tokens, tensor_memory* memory) {
  build_metadata_args args;
  args.mode = mode;
  args.topk = 2048;
  args.seq_lens = memory->vector(kBatch, kLength);
  args.out.seqlens_expanded = memory->vector(num_tokens);
  args.out.nsa_cache_seqlens = memory->vector(num_tokens);
  return args;
}

void add_sums(build_metadata_args* args, std::size_t num_tokens, tensor_memory* memory) {
  args->out.nsa_cu_seqlens_k = memory->vector(num_tokens + 1);
  args->out.cache_seqlens = memory->vector(kBatch);
  args->out.cu_seqlens_k = memory->vector(kBatch + 1);
}

void add_tables(build_metadata_args* args, std::size_t num_rows, tensor_memory* memory) {
  args->page_size = kPageSize;
  args->req_pool_indices = memory->vector(kBatch);
  args->req_to_token = memory->matrix(kBatch, kContext);
  args->out.page_table_1 = memory->matrix(num_rows, kContext);
  args->out.real_page_table = memory->matrix(num_rows, kContext / kPageSize);
}

void add_schedule(build_metadata_args* args, tensor_memory* memory) {
  args->mqa_variant = NSAMETA_MQA_SM90_JUN26;
  args->out.paged_mqa_schedule = memory->matrix(133, 2);
}

build_metadata_args seed(tensor_memory* memory) {
  auto args = lengths(NSAMETA_MODE_DRAFT_EXTEND, kBatch * kDraftTokens, memory);
  args.extend_seq_lens = memory->vector(kBatch, kDraftTokens);
  return args;
}

build_metadata_args draft_extend(tensor_memory* memory) {
  auto args = seed(memory);
  add_sums(&args, kBatch * kDraftTokens, memory);
  args.out.cu_seqlens_q = memory->vector(kBatch + 1);
  add_tables(&args, kBatch * kDraftTokens, memory);
  return args;
}

build_metadata_args verify(tensor_memory* memory) {
  auto args = lengths(NSAMETA_MODE_TARGET_VERIFY, kBatch * kDraftTokens, memory);
  args.tokens_per_request = kDraftTokens;
  add_sums(&args, kBatch * kDraftTokens, memory);
  add_tables(&args, kBatch * kDraftTokens, memory);
  add_schedule(&args, memory);
  return args;
}

build_metadata_args decode(tensor_memory* memory) {
  auto args = lengths(NSAMETA_MODE_DECODE, kBatch, memory);
  add_sums(&args, kBatch, memory);
  add_tables(&args, kBatch, memory);
  add_schedule(&args, memory);
  return args;
}

map_topk_to_slots_args map_topk_to_slots(tensor_memory* memory) {
  map_topk_to_slots_args args;
  args.topk_indices = memory->matrix(kBatch, 64);
  args.req_to_token = memory->matrix(kBatch, kContext);
  args.req_pool_indices = memory->vector(kBatch);
  args.token_to_batch = memory->vector(kBatch);
  args.slots = memory->matrix(kBatch, 64);
  args.num_valid = memory->vector(kBatch);
  return args;
}

mla_schedule_args mla_schedule(tensor_memory* memory) {
  mla_schedule_args args;
  args.seq_lens = memory->vector(kBatch, kLength);
  args.parts = memory->matrix(132, 8);
  args.num_splits = memory->vector(kBatch + 1);
  return args;
}

// One plan and one one-shot call of the same args.
template <class Args, class Call>
void add(const std::string& name, const context& on, const Args& args, Call call, std::vector<counted_call>* calls) {
  const auto shared = std::make_shared<plan>(on, args);
  calls->push_back({name + ".plan", [shared] { shared->run(); }, [shared] { return shared->explain(); }});
  calls->push_back({name + ".one_shot", [&on, args, call] { (on.*call)(args, nullptr); }, {}});
}

// A plan whose bounds differ from those of the run before, so that it has its launch chosen again.
void add_other_bounds(const std::string& name, const context& on, const build_metadata_args& args,
                      std::vector<counted_call>* calls) {
  const auto shared = std::make_shared<plan>(on, args);
  const auto run = [shared, num_tokens = std::int64_t{kBatch} * kDraftTokens]() mutable {
    num_tokens ^= 1;
    shared->run(nullptr, -1, num_tokens);
  };
  calls->push_back({name + ".plan_other_bounds", run, {}});
}

}  // namespace

nsameta_tensor tensor_memory::vector(std::size_t size, std::int32_t value) {
  constexpr std::size_t kGranularity = static_cast<std::size_t>(kAlignment) / sizeof(std::int32_t);
  std::int32_t* const data = free_;
  free_ += (size + kGranularity - 1) / kGranularity * kGranularity;
  if (free_ > block_.get() + kBytes / sizeof(std::int32_t)) throw std::bad_alloc();
  std::fill_n(data, size, value);
  return make_tensor(data, size, device_);
}

nsameta_tensor tensor_memory::matrix(std::size_t num_rows, std::size_t num_columns) {
  const nsameta_tensor all = vector(num_rows * num_columns);
  return make_tensor_2d(static_cast<std::int32_t*>(all.data), num_rows, num_columns,
                        static_cast<std::int64_t>(num_columns), device_);
}

std::vector<counted_call> make_counted_calls(const context& on, tensor_memory* memory) {
  std::vector<counted_call> calls;
  add("seed_b32", on, seed(memory), &context::build_metadata, &calls);
  add("draft_extend_b32", on, draft_extend(memory), &context::build_metadata, &calls);
  add("verify_b32", on, verify(memory), &context::build_metadata, &calls);
  add_other_bounds("verify_b32", on, verify(memory), &calls);
  add("decode_b32", on, decode(memory), &context::build_metadata, &calls);
  // Lives as long as the process: a one-shot call reads the list each time.
  static std::vector<std::vector<nsameta_copy_pair>> lists;
  lists.emplace_back();
  for (int i = 0; i < 4; ++i) lists.back().push_back({memory->vector(kBatch), memory->vector(kBatch)});
  add("copy_metadata_4", on, copy_metadata_args(lists.back()), &context::copy_metadata, &calls);
  add("map_topk_to_slots_b32", on, map_topk_to_slots(memory), &context::map_topk_to_slots, &calls);
  add("mla_schedule_b32", on, mla_schedule(memory), &context::mla_schedule, &calls);
  return calls;
}

}  // namespace nsameta::counts
