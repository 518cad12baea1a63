/* What a backend is: one table of functions, found in a shared object libnsameta_<name>.so under the entry point
 *   const nsameta_backend* nsameta_backend_entry(uint32_t host_abi_version);
 * A backend links neither libnsameta nor anything of the host's; it never throws, prints, aborts or exits, and its
 * functions leave a message in a thread-local string of its own (slot last_error_message) when they fail.
 * Installed as nsameta/backend.h: third parties write backends against it.
 */
#ifndef NSAMETA_BACKEND_H
#define NSAMETA_BACKEND_H

#include "nsameta/nsameta.h"

/* Raised whenever this file changes. A table of another version is refused, with both numbers in the reason. */
#define NSAMETA_BACKEND_ABI_VERSION 1
#define NSAMETA_BACKEND_ENTRY "nsameta_backend_entry"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- checked descriptors of the operations ------------------------------------------------------------------- */

/* An input vector; element i is ((T*)data)[i * stride], truncated to int32. */
typedef struct nsameta_lengths {
  const void* data;
  int64_t stride; /* elements */
  int32_t dtype;  /* nsameta_dtype */
  int32_t reserved;
} nsameta_lengths;

/* data == NULL: not wanted. Tightly packed int32 but for positions. */
typedef struct nsameta_output {
  void* data;
  int64_t capacity; /* elements of a 1-D output, rows of a 2-D one */
} nsameta_output;

typedef enum nsameta_query_source {
  NSAMETA_QUERY_CONSTANT = 0, /* q = query_width */
  NSAMETA_QUERY_FIRST = 1,    /* q = extend_seq_lens[0] for every request */
  NSAMETA_QUERY_RAGGED = 2    /* q = extend_seq_lens[r] */
} nsameta_query_source;

/* What nsameta_build_metadata_args means, checked: modes are gone, and backends check nothing but device data.
 * kv[r] = seq_lens[r] + kv_offset, at least 0; q[r] at least 0. See nsameta.h for the formulas and contracts. */
typedef struct nsameta_build_metadata_desc {
  nsameta_lengths seq_lens;
  nsameta_lengths extend_seq_lens; /* unused for QUERY_CONSTANT */
  int32_t batch;
  int32_t kv_offset;
  int32_t query_source; /* nsameta_query_source */
  int32_t query_width;  /* QUERY_CONSTANT only */
  int32_t topk;
  int32_t kpool;
  int32_t clamp;               /* 0 or 1 */
  int32_t tail;                /* nsameta_tail */
  int32_t positions_dtype;     /* nsameta_dtype */
  int32_t ctx_lens_columns;    /* n of paged_mqa_ctx_lens_2d; all n are written in each of the B rows */
  int64_t ctx_lens_row_stride; /* elements */
  int64_t num_tokens_bound;    /* upper bound of T, for sizing the launch alone; -1: none known */
#define NSAMETA_OUTPUT(name, kind) nsameta_output name;
#include "outputs.def"
#undef NSAMETA_OUTPUT
} nsameta_build_metadata_desc;

/* ---- the fault word --------------------------------------------------------------------------------------------
 * One 64-bit word that host and device both see; 0 = no fault, else check << 56 | (request_idx + 1) << 32 | value, with
 * request_idx + 1 cut to 24 bits and value to 32. Written by one 8-byte store, and only while it is 0. */

/* ---- the table ----------------------------------------------------------------------------------------------- */

typedef struct nsameta_backend {
  uint32_t abi_version; /* NSAMETA_BACKEND_ABI_VERSION; stays the first field for ever */
  uint32_t struct_size;
  const char* name;
  int32_t priority;          /* cuda 300, hip 200, cpu 100 */
  uint32_t num_device_types; /* memories that it can read directly: */
  int32_t device_types[4];   /* nsameta_device_type */

  const char* (*last_error_message)(void);
  /* Devices there are, or a failure whose message says why none: no driver, driver too old, no device. Called once. */
  nsameta_status (*probe)(int32_t* num_devices);
  nsameta_status (*device_info)(int32_t device_idx, nsameta_device_info* info);

  /* State of one context; the fault word lives as long as the state. */
  nsameta_status (*create)(int32_t device_id, void** state, uint64_t** fault_word);
  void (*destroy)(void* state);

  /* Memory and streams; see nsameta/device.h. is_capturing tells whether `stream` is being captured. */
  nsameta_status (*alloc)(void* state, size_t bytes, void** data);
  void (*free)(void* state, void* data);
  nsameta_status (*copy_to_device)(void* state, void* device_data, const void* host_data, size_t bytes, void* stream);
  nsameta_status (*copy_to_host)(void* state, void* host_data, const void* device_data, size_t bytes, void* stream);
  nsameta_status (*synchronize)(void* state, void* stream);
  nsameta_status (*is_capturing)(void* state, void* stream, int32_t* capturing);
  nsameta_status (*stream_create)(void* state, void** stream);
  void (*stream_destroy)(void* state, void* stream);
  nsameta_status (*graph_begin)(void* state, void* stream);
  nsameta_status (*graph_end)(void* state, void* stream, void** graph);
  nsameta_status (*graph_launch)(void* state, void* graph, void* stream);
  void (*graph_destroy)(void* state, void* graph);

  /* The operations. */
#define NSAMETA_OP(name) nsameta_status (*name)(void* state, const nsameta_##name##_desc* desc, void* stream);
#include "ops.def"
#undef NSAMETA_OP
} nsameta_backend;

typedef const nsameta_backend* (*nsameta_backend_entry_fn)(uint32_t host_abi_version);

#ifdef __cplusplus
}
#endif

#endif
