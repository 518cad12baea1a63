#include "cli/slot_table.h"

namespace nsameta::cli {

slot_table::slot_table(const session& owner, req_to_token* source) : session_(owner), source_(source) {
  if (owner.is_host()) return;
  const size_t row_bytes = static_cast<size_t>(max_context()) * sizeof(int32_t);
  copy_ = device_buffer(owner.context(), row_bytes * static_cast<size_t>(num_rows()));
  for (int32_t row = 0; row < num_rows(); ++row) {
    session_.copy_to_device(copy_.as<int32_t>() + row * max_context(), source->row(row).data(), row_bytes);
  }
  source->take_changes([](int32_t, int32_t, int32_t) {});
}

void slot_table::update() {
  if (session_.is_host()) return;
  source_->take_changes([this](int32_t row, int32_t first, int32_t end) {
    session_.copy_to_device(copy_.as<int32_t>() + row * max_context() + first, source_->row(row).data() + first,
                            static_cast<size_t>(end - first) * sizeof(int32_t));
  });
}

nsameta_tensor slot_table::tensor() const {
  const int32_t* cells = session_.is_host() ? on_host() : copy_.as<int32_t>();
  return make_tensor_2d(cells, static_cast<size_t>(num_rows()), static_cast<size_t>(max_context()), max_context(),
                        session_.device());
}

}  // namespace nsameta::cli
