#include "bench/workloads/copy_workload.h"

namespace nsameta::bench {
namespace {

struct extent {
  int64_t num_rows;
  int64_t num_columns;
  int64_t cells() const { return num_rows * num_columns; }
};

// cache_seqlens, cu_seqlens_k, seqlens_expanded, nsa_cache_seqlens, nsa_cu_seqlens_k, and the live pages.
std::vector<extent> extents_of(const bench_case& c) {
  const int64_t batch = c.batch, num_tokens = batch * c.max_q;
  std::vector<extent> extents = {{1, batch}, {1, batch + 1}, {1, num_tokens}, {1, num_tokens}, {1, num_tokens + 1}};
  if (c.has_pages) extents.push_back({num_tokens, c.context / settings().page_size});
  return extents;
}

class copy_workload final : public workload {
 public:
  copy_workload(const context& owner, const bench_case& c) : owner_(owner), memory_(owner) {
    uint32_t place = 0;
    for (const extent& size : extents_of(c)) {
      auto& cells = sources_.emplace_back();
      for (int64_t i = 0; i < size.cells(); ++i)
        cells.push_back(static_cast<int32_t>(scattered(0, 1 << 30, place++, 4)));
      nsameta_tensor source = memory_.upload_rows(cells, size.num_columns);
      if (size.num_rows == 1) source = make_tensor(static_cast<int32_t*>(source.data), cells.size(), owner.device());
      for (int32_t d = 0; d < c.num_destinations; ++d) pairs_.push_back({source, destination(size)});
    }
    args_ = copy_metadata_args(pairs_);
  }

  plan make_plan(const variant&) const override { return {owner_, args_}; }
  void run_once(void* stream) const override { owner_.copy_metadata(args_, stream); }

  void spoil() override {
    for (const nsameta_copy_pair& pair : pairs_) memory_.spoil(pair.destination);
  }

  int64_t num_wrong() const override {
    const size_t num_destinations = pairs_.size() / sources_.size();
    int64_t wrong = 0;
    for (size_t i = 0; i < pairs_.size(); ++i) {
      const nsameta_tensor& made = pairs_[i].destination;
      const std::span<const int32_t> cells = sources_[i / num_destinations];
      const int64_t num_rows = made.ndim == 2 ? made.shape[0] : 1;
      const size_t num_columns = cells.size() / static_cast<size_t>(num_rows);
      for (int64_t row = 0; row < num_rows; ++row) {
        wrong += memory_.num_wrong(made, row * made.strides[0],
                                   cells.subspan(static_cast<size_t>(row) * num_columns, num_columns));
      }
    }
    return wrong;
  }

 private:
  // Rows of a destination are as wide as an engine's table.
  nsameta_tensor destination(const extent& size) {
    if (size.num_rows == 1) return memory_.vector(size.num_columns);
    nsameta_tensor table = memory_.rows(size.num_rows, settings().table_width / settings().page_size);
    table.shape[1] = size.num_columns;
    return table;
  }

  const context& owner_;
  tensor_memory memory_;
  std::vector<std::vector<int32_t>> sources_;
  std::vector<nsameta_copy_pair> pairs_;
  copy_metadata_args args_;
};

}  // namespace

std::unique_ptr<workload> copy_source::next() { return std::make_unique<copy_workload>(owner_, case_); }

double copy_source::bytes() const {
  int64_t num_cells = 0;
  for (const extent& size : extents_of(case_)) num_cells += size.cells() * (1 + case_.num_destinations);
  return static_cast<double>(num_cells * 4);
}

}  // namespace nsameta::bench
