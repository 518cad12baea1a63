#include "tests/fuzz/spoilers.h"

#include <climits>
#include <functional>
#include <iterator>

namespace nsameta::fuzz {
namespace {

struct change {
  std::string name;
  std::function<void()> make;
};
using changes = std::vector<change>;

std::string make_one(int64_t spoiler, const changes& all) {
  const auto& chosen = all[static_cast<size_t>(spoiler) % all.size()];
  chosen.make();
  return chosen.name;
}

template <typename T>
void add_values(const std::string& name, T* field, std::initializer_list<T> values, changes* all) {
  for (const T value : values) {
    all->push_back({name + "=" + std::to_string(value), [=] { *field = value; }});
  }
}

// Of a tensor that is needed and has at least one element.
void add_tensor(const std::string& name, nsameta_tensor* t, changes* all) {
  const auto add = [&](const char* what, auto make) { all->push_back({name + what, make}); };
  add(" ndim=-1", [=] { t->ndim = -1; });
  add(" ndim=3", [=] { t->ndim = 3; });
  add(" dtype=-1", [=] { t->dtype = -1; });
  add(" dtype=2", [=] { t->dtype = 2; });
  add(" device.id+1", [=] { ++t->device.id; });
  add(" device.type=7", [=] { t->device.type = 7; });
  add(" shape[0]=-1", [=] { t->shape[0] = -1; });
  add(" shape[0]=INT64_MIN", [=] { t->shape[0] = INT64_MIN; });
  add(" data+1", [=] { t->data = static_cast<char*>(t->data) + 1; });
}

// Strides that lead beyond the address space: no memory can hold such a tensor.
void add_wide_strides(const std::string& name, nsameta_tensor* t, changes* all) {
  if (t->ndim != 2 || t->shape[0] < 2 || t->shape[1] < 1) return;
  for (const int64_t stride : {INT64_MAX, INT64_MAX / 2, INT64_MIN, INT64_MIN + 1, int64_t{1} << 61}) {
    all->push_back({name + " strides[0]=" + std::to_string(stride), [=] { t->strides[0] = stride; }});
  }
}

}  // namespace

std::string spoil(int64_t spoiler, nsameta_build_metadata_args* args) {
  changes all;
  add_values<size_t>("struct_size", &args->struct_size, {0, 7, 300}, &all);
  const struct {
    const char* name;
    int32_t* field;
    std::vector<int32_t> values;
  } fields[] = {
      {"mode", &args->mode, {-1, 4, INT_MIN, INT_MAX}},
      {"batch", &args->batch, {-2, INT_MIN, INT_MAX, INT_MAX - (1 << 20) + 1}},
      {"static_width", &args->static_width, {-1, 2}},
      {"tokens_per_request", &args->tokens_per_request, {-1, INT_MIN}},
      {"topk", &args->topk, {0, -1, INT_MIN}},
      {"kpool", &args->kpool, {0, -1, INT_MIN}},
      {"clamp", &args->clamp, {-1, 3}},
      {"tail", &args->tail, {-1, 4}},
      {"page_size", &args->page_size, {0, -1, 3, 255, 257, 512, INT_MIN}},
      {"table_width", &args->table_width, {-1, 3}},
      {"table_rows", &args->table_rows, {-1, 3}},
      {"mqa_variant", &args->mqa_variant, {-1, 4}},
      {"mqa_lengths", &args->mqa_lengths, {-1, 3}},
      {"mqa_next_n", &args->mqa_next_n, {0, -1, 65'537, INT_MIN}},
      {"topk_plan_arch", &args->topk_plan_arch, {-1, 2}},
      {"topk_plan_clusters", &args->topk_plan_clusters, {-1, INT_MIN}},
      {"topk_plan_threshold", &args->topk_plan_threshold, {-2, INT_MIN}},
      {"num_more_outputs", &args->num_more_outputs, {-1, 8, INT_MAX}},
  };
  for (const auto& f : fields) {
    for (const int32_t value : f.values) add_values<int32_t>(f.name, f.field, {value}, &all);
  }
  add_values<int64_t>("max_table_width", &args->max_table_width, {-2, INT64_MIN}, &all);
  add_values<int64_t>("num_tokens_bound", &args->num_tokens_bound, {-2, INT64_MIN}, &all);
  add_values<int64_t>("max_kv_bound", &args->max_kv_bound, {-2, INT64_MIN}, &all);
  add_values<int64_t>("seq_lens.strides[0]", &args->seq_lens.strides[0], {INT64_MAX, INT64_MIN, 1LL << 31}, &all);
  add_tensor("seq_lens", &args->seq_lens, &all);
  // One of these is wanted in all cases but those of the seed op.
  const bool has_cu = args->out.cu_seqlens_q.ndim != 0;
  const std::string name = has_cu ? "out.cu_seqlens_q" : "out.cache_seqlens";
  nsameta_tensor* const output = has_cu ? &args->out.cu_seqlens_q : &args->out.cache_seqlens;
  if (output->ndim != 0) {
    add_tensor(name, output, &all);
    add_values<int64_t>(name + ".shape[0]", &output->shape[0], {-1}, &all);
  }
  add_wide_strides("out.page_table_1", &args->out.page_table_1, &all);
  add_wide_strides("out.real_page_table", &args->out.real_page_table, &all);
  return make_one(spoiler, all);
}

std::string spoil(int64_t spoiler, nsameta_map_topk_to_slots_args* args) {
  changes all;
  add_values<size_t>("struct_size", &args->struct_size, {0, 7, 100}, &all);
  add_tensor("topk_indices", &args->topk_indices, &all);
  add_tensor("slots", &args->slots, &all);
  for (int d = 0; d < 2; ++d) {
    all.push_back({"slots.shape+1", [=] { ++args->slots.shape[d]; }});
    all.push_back({"topk_indices.shape=2^31", [=] { args->topk_indices.shape[d] = int64_t{1} << 31; }});
  }
  all.push_back({"two tables", [=] {
                   args->page_table = args->req_to_token.ndim != 0 ? args->req_to_token : args->topk_indices;
                   args->flattened = args->page_table;
                 }});
  add_wide_strides("slots", &args->slots, &all);
  return make_one(spoiler, all);
}

std::string spoil(int64_t spoiler, nsameta_mla_schedule_args* args) {
  changes all;
  add_values<size_t>("struct_size", &args->struct_size, {0, 7, 100}, &all);
  const struct {
    const char* name;
    int32_t* field;
    std::vector<int32_t> values;
  } fields[] = {
      {"batch", &args->batch, {-2, INT_MIN, INT_MAX}},
      {"block_size", &args->block_size, {0, -1, INT_MIN}},
      {"fixed_overhead", &args->fixed_overhead, {-1, 65'537, INT_MAX}},
      {"topk", &args->topk, {-1, INT_MIN}},
      {"min_keys", &args->min_keys, {-1, 2}},
      {"layout", &args->layout, {-1, 3}},
  };
  for (const auto& f : fields) {
    for (const int32_t value : f.values) add_values<int32_t>(f.name, f.field, {value}, &all);
  }
  add_tensor("parts", &args->parts, &all);
  add_tensor("num_splits", &args->num_splits, &all);
  add_values<int64_t>("parts.shape[0]", &args->parts.shape[0], {0, 1025}, &all);
  add_values<int64_t>("parts.shape[1]", &args->parts.shape[1], {0, 7, 9}, &all);
  add_values<int64_t>("num_splits.shape[0]", &args->num_splits.shape[0], {0}, &all);
  return make_one(spoiler, all);
}

std::string spoil(int64_t spoiler, nsameta_copy_metadata_args* args, std::vector<nsameta_copy_pair>* pairs) {
  changes all;
  add_values<size_t>("struct_size", &args->struct_size, {0, 7, 16}, &all);
  add_values<int32_t>("num_pairs", &args->num_pairs, {-1, NSAMETA_MAX_COPY_PAIRS + 1, INT_MIN, INT_MAX}, &all);
  add_values<int32_t>("reserved", &args->reserved, {1, -1}, &all);
  if (!pairs->empty()) {
    const auto which = static_cast<size_t>(spoiler) / 64 % pairs->size();
    auto* pair = &(*pairs)[which];
    const std::string name = "pairs[" + std::to_string(which) + "]";
    add_tensor(name + ".source", &pair->source, &all);
    add_tensor(name + ".destination", &pair->destination, &all);
    add_wide_strides(name + ".destination", &pair->destination, &all);
    add_wide_strides(name + ".source", &pair->source, &all);
    all.push_back({name + ".destination.shape[0]+1", [=] { ++pair->destination.shape[0]; }});
    all.push_back({name + " of two dtypes", [=] { pair->source.dtype ^= 1; }});
    all.push_back({name + " pairs=NULL", [=] { args->pairs = nullptr; }});
  }
  return make_one(spoiler, all);
}

}  // namespace nsameta::fuzz
