#include "core/ops/copy_metadata.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "core/args.h"
#include "core/status.h"
#include "core/tensor.h"

namespace nsameta::copy_metadata {
namespace {

using args_t = nsameta_copy_metadata_args;
using desc_t = nsameta_copy_metadata_desc;

bool is_empty(const nsameta_tensor& tensor) {
  return tensor.shape[0] == 0 || (tensor.ndim == 2 && tensor.shape[1] == 0);
}

// ---- one pair -----------------------------------------------------------------------------------------------------

// One side of a pair, named "pairs[3].source".
nsameta_status check_side(const char* name, const nsameta_tensor& tensor, nsameta_device device) {
  if (tensor.ndim != 1 && tensor.ndim != 2) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: ndim=%" PRId32 " must be 1 or 2", name, tensor.ndim);
  }
  if (const auto status = check_tensor(name, tensor, tensor.ndim, device); status != NSAMETA_OK) return status;
  if (is_present(tensor)) return NSAMETA_OK;
  return fail(NSAMETA_INVALID_ARGUMENT, "%s: data=NULL, but its shape has elements", name);
}

nsameta_status check_alike(int32_t pair_idx, const nsameta_copy_pair& pair) {
  const nsameta_tensor& from = pair.source;
  const nsameta_tensor& to = pair.destination;
  if (to.ndim != from.ndim) {
    return fail(NSAMETA_INVALID_ARGUMENT,
                "pairs[%" PRId32 "].destination: ndim=%" PRId32 " must be that of the source, %" PRId32, pair_idx,
                to.ndim, from.ndim);
  }
  for (int32_t d = 0; d < to.ndim; ++d) {
    if (to.shape[d] == from.shape[d]) continue;
    return fail(NSAMETA_INVALID_ARGUMENT,
                "pairs[%" PRId32 "].destination: shape[%" PRId32 "]=%" PRId64 " must be that of the source, %" PRId64,
                pair_idx, d, to.shape[d], from.shape[d]);
  }
  if (to.dtype == from.dtype) return NSAMETA_OK;
  return fail(NSAMETA_INVALID_ARGUMENT, "pairs[%" PRId32 "].destination: dtype=%s must be that of the source, %s",
              pair_idx, dtype_name(to.dtype), dtype_name(from.dtype));
}

nsameta_status check_cells(const char* name, const nsameta_tensor& destination) {
  if (destination.ndim == 2) return check_distinct_cells(name, destination);
  if (destination.shape[0] <= 1 || destination.strides[0] != 0) return NSAMETA_OK;
  return fail(NSAMETA_INVALID_ARGUMENT, "%s: strides[0]=0 makes its %" PRId64 " elements alias", name,
              destination.shape[0]);
}

struct axis {
  int64_t extent;
  int64_t source_stride;
  int64_t destination_stride;
};

// Walks the axis from its other end where the destination runs backwards.
void turn_forward(axis* a, nsameta_copy* copy) {
  if (a->destination_stride >= 0) return;
  const int64_t bytes = dtype_bytes(copy->dtype) * (a->extent - 1);
  copy->source = static_cast<const std::byte*>(copy->source) + a->source_stride * bytes;
  copy->destination = static_cast<std::byte*>(copy->destination) + a->destination_stride * bytes;
  a->source_stride = -a->source_stride;
  a->destination_stride = -a->destination_stride;
}

// The pair as backends want it: see nsameta_copy.
nsameta_copy normalise(const nsameta_copy_pair& pair) {
  const nsameta_tensor& from = pair.source;
  const nsameta_tensor& to = pair.destination;
  nsameta_copy copy{};
  copy.source = from.data;
  copy.destination = to.data;
  copy.dtype = to.dtype;
  const auto axis_of = [&](int d) {
    axis a{to.shape[d], from.strides[d], to.strides[d]};
    if (a.extent == 1) return axis{1, 0, 0};
    turn_forward(&a, &copy);
    return a;
  };
  axis columns = axis_of(to.ndim - 1);
  axis rows = to.ndim == 2 ? axis_of(0) : axis{1, 0, 0};
  if (columns.extent == 1 || (rows.extent > 1 && rows.destination_stride < columns.destination_stride)) {
    std::swap(rows, columns);
  }
  if (rows.extent > 1 && rows.source_stride == columns.extent * columns.source_stride &&
      rows.destination_stride == columns.extent * columns.destination_stride) {
    columns.extent *= rows.extent;
    rows = {1, 0, 0};
  }
  copy.num_rows = rows.extent;
  copy.num_columns = columns.extent;
  copy.source_row_stride = rows.source_stride;
  copy.source_column_stride = columns.source_stride;
  copy.destination_row_stride = rows.destination_stride;
  copy.destination_column_stride = columns.destination_stride;
  return copy;
}

nsameta_status check_column_stride(const char* name, int64_t stride) {
  if (std::abs(stride) <= INT32_MAX) return NSAMETA_OK;
  return fail(NSAMETA_INVALID_ARGUMENT, "%s: neighbours are %" PRId64 " elements apart, more than 2^31-1", name,
              stride);
}

nsameta_status check_pair(int32_t pair_idx, const nsameta_copy_pair& pair, nsameta_device device, desc_t* desc) {
  char source[32];
  char destination[32];
  std::snprintf(source, sizeof(source), "pairs[%" PRId32 "].source", pair_idx);
  std::snprintf(destination, sizeof(destination), "pairs[%" PRId32 "].destination", pair_idx);
  auto status = check_side(source, pair.source, device);
  if (status == NSAMETA_OK) status = check_side(destination, pair.destination, device);
  if (status == NSAMETA_OK) status = check_alike(pair_idx, pair);
  if (status != NSAMETA_OK || is_empty(pair.source)) return status;
  status = check_cells(destination, pair.destination);
  if (status != NSAMETA_OK) return status;
  const nsameta_copy copy = normalise(pair);
  status = check_column_stride(source, copy.source_column_stride);
  if (status == NSAMETA_OK) status = check_column_stride(destination, copy.destination_column_stride);
  desc->copies[desc->num_copies++] = copy;
  return status;
}

// ---- overlap ------------------------------------------------------------------------------------------------------

// A view as equal runs of bytes, `step` apart.
struct byte_runs {
  uintptr_t begin;
  uintptr_t end;
  uintptr_t step;  // 0: one run
  uintptr_t run_bytes;
};

byte_runs runs_of(const nsameta_tensor& tensor) {
  const byte_range range = span_of("", tensor);
  const int64_t bytes = dtype_bytes(tensor.dtype);
  int64_t outer_step = 0;
  int64_t outer_extent = 1;
  for (int32_t d = 0; d < tensor.ndim; ++d) {
    const int64_t step = step_of(tensor, d) * bytes;
    if (step > outer_step) {
      outer_step = step;
      outer_extent = tensor.shape[d];
    }
  }
  const auto step = static_cast<uintptr_t>(outer_step);
  return {range.begin, range.end, step, range.end - range.begin - step * static_cast<uintptr_t>(outer_extent - 1)};
}

// Whether `a` and `b` lie in columns of their own of a matrix whose rows are `step` bytes apart.
bool are_columns(const byte_runs& a, const byte_runs& b, uintptr_t step) {
  const auto width_of = [&](const byte_runs& r) { return r.step % step == 0 ? r.run_bytes : r.end - r.begin; };
  if (step == 0) return false;
  const uintptr_t a_width = width_of(a);
  const uintptr_t b_width = width_of(b);
  if (a_width > step || b_width > step) return false;
  const uintptr_t shift = (b.begin % step + step - a.begin % step) % step;
  return shift >= a_width && shift + b_width <= step;
}

// Whether two views certainly share no byte. Views whose spans overlap pass as columns of one matrix alone.
bool are_disjoint(const byte_runs& a, const byte_runs& b) {
  if (a.end <= b.begin || b.end <= a.begin) return true;
  return are_columns(a, b, std::gcd(a.step, b.step)) || are_columns(a, b, a.step) || are_columns(a, b, b.step);
}

nsameta_status check_overlap(const args_t& args) {
  byte_runs sources[NSAMETA_MAX_COPY_PAIRS];
  byte_runs destinations[NSAMETA_MAX_COPY_PAIRS];
  int32_t pairs[NSAMETA_MAX_COPY_PAIRS];
  int32_t num = 0;
  for (int32_t i = 0; i < args.num_pairs; ++i) {
    if (is_empty(args.pairs[i].source)) continue;
    sources[num] = runs_of(args.pairs[i].source);
    destinations[num] = runs_of(args.pairs[i].destination);
    pairs[num++] = i;
  }
  for (int32_t i = 0; i < num; ++i) {
    for (int32_t k = 0; k < num; ++k) {
      const bool hits_source = !are_disjoint(destinations[i], sources[k]);
      if (!hits_source && (k >= i || are_disjoint(destinations[i], destinations[k]))) continue;
      return fail(NSAMETA_INVALID_ARGUMENT, "pairs[%" PRId32 "].destination overlaps pairs[%" PRId32 "].%s", pairs[i],
                  pairs[k], hits_source ? "source" : "destination");
    }
  }
  return NSAMETA_OK;
}

}  // namespace

args_t default_args() {
  args_t args{};
  args.struct_size = sizeof(args);
  return args;
}

nsameta_status check(const args_t* caller, nsameta_device device, desc_t* desc) {
  args_t storage;
  const args_t* args = nullptr;
  auto status = read_args("copy_metadata", sizeof(args_t), default_args, caller, &storage, &args);
  if (status == NSAMETA_OK) status = check_range("num_pairs", args->num_pairs, 0, NSAMETA_MAX_COPY_PAIRS);
  if (status == NSAMETA_OK) status = check_range("reserved", args->reserved, 0, 0);
  if (status != NSAMETA_OK) return status;
  if (args->num_pairs > 0 && args->pairs == nullptr) {
    return fail(NSAMETA_INVALID_ARGUMENT, "pairs=NULL: num_pairs=%" PRId32 " pairs must be there", args->num_pairs);
  }
  desc->num_copies = 0;
  desc->reserved = 0;
  for (int32_t i = 0; i < args->num_pairs; ++i) {
    status = check_pair(i, args->pairs[i], device, desc);
    if (status != NSAMETA_OK) return status;
  }
  return check_overlap(*args);
}

}  // namespace nsameta::copy_metadata
