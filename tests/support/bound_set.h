// One destination of a metadata_case in memory, and what must stand there after a run.
#pragma once

#include "tests/support/metadata_case.h"

namespace nsameta::test {

// What all outputs of a case need room for.
struct output_counts {
  int64_t num_tokens = 0;
  int64_t num_keys = 0;
  int64_t batch = 0;
};

class bound_set {
 public:
  // Adds the wanted outputs to `image`; the tensors hold offsets into it.
  bound_set(const metadata_case& c, size_t set_idx, const output_counts& counts, nsameta_device device,
            memory_image* image);

  const nsameta_metadata_outputs& tensors() const { return tensors_; }
  // Makes the offsets addresses.
  void rebase(void* block);

  // Raises what `inputs` says of widths and capacities to what these outputs have room for.
  void raise_limits(reference::metadata_inputs* inputs) const;
  int num_sms() const { return is_wanted(output_id::paged_mqa_schedule) ? layout_.num_sms : 0; }

  // Writes what the outputs must hold after a run for `batch` requests, and what the schedule must, [num_sms + 1, 2].
  void expect(const metadata_case& c, const reference::metadata& m, int64_t batch, memory_image* image) const;
  void expect_schedule(const std::vector<int32_t>& schedule, memory_image* image) const;

  bool has_too_few_tokens(const metadata_case& c, const reference::metadata& m) const;
  bool has_too_few_keys(const reference::metadata& m) const;

 private:
  struct bound_output {
    int region = -1;
    placement place;
    int64_t width = 1;  // columns that may be written
  };

  bool is_wanted(output_id id) const { return at(id).region >= 0; }
  const bound_output& at(output_id id) const { return outputs_[static_cast<size_t>(id)]; }
  int64_t capacity_of(const metadata_case& c, int output, const output_counts& counts) const;
  void add(const metadata_case& c, int output, int64_t capacity, nsameta_device device, memory_image* image);
  void expect_rows(const metadata_case& c, const reference::metadata& m, int output, int64_t tail_end,
                   memory_image* image) const;
  void expect_table(const metadata_case& c, const reference::metadata& m, const std::vector<std::vector<int32_t>>& rows,
                    output_id id, memory_image* image) const;

  std::string prefix_;
  set_layout layout_;
  std::array<bound_output, kNumOutputs> outputs_;
  nsameta_metadata_outputs tensors_{};
};

// The tensor of an output.
nsameta_tensor& tensor_of(nsameta_metadata_outputs* outputs, int output);

}  // namespace nsameta::test
