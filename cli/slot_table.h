// An engine's req_to_token where the library reads it.
#pragma once

#include "cli/req_to_token.h"
#include "cli/session.h"

namespace nsameta::cli {

// In host memory the engine's own table; elsewhere a copy of it that follows the changes.
class slot_table {
 public:
  // Both outlive the table.
  slot_table(const session& owner, req_to_token* source);

  // Copies what the engine has changed since the last call.
  void update();

  nsameta_tensor tensor() const;
  const int32_t* on_host() const { return source_->row(0).data(); }
  int64_t num_rows() const { return source_->num_rows(); }
  int64_t max_context() const { return source_->max_context(); }

 private:
  const session& session_;
  req_to_token* source_;
  device_buffer copy_;
};

}  // namespace nsameta::cli
