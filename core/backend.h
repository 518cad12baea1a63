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
#define NSAMETA_BACKEND_ABI_VERSION 5
#define NSAMETA_BACKEND_ENTRY "nsameta_backend_entry"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- checked descriptors of the operations ------------------------------------------------------------------- */

/* An input vector; element i is ((T*)data)[i * stride], truncated to int32 (but for req_pool_indices). */
typedef struct nsameta_lengths {
  const void* data;
  int64_t stride; /* elements */
  int32_t dtype;  /* nsameta_dtype */
  int32_t reserved;
} nsameta_lengths;

/* An int32 input matrix; element (r, c) is data[r * row_stride + c * column_stride]. data == NULL: absent. */
typedef struct nsameta_matrix {
  const int32_t* data;
  int64_t num_rows;
  int64_t num_columns;
  int64_t row_stride;
  int64_t column_stride;
} nsameta_matrix;

/* data == NULL: not wanted. int32 but for positions and out_slots. A 1-D output is tightly packed. */
typedef struct nsameta_output {
  void* data;
  int64_t capacity;    /* elements of a 1-D output, rows of a 2-D one */
  int64_t num_columns; /* of a 2-D output; for tables cut to what may be written (W, or the pages of it) */
  int64_t row_stride;
  int64_t column_stride;
  int32_t dtype; /* nsameta_dtype */
  int32_t reserved;
} nsameta_output;

typedef enum nsameta_query_source {
  NSAMETA_QUERY_CONSTANT = 0, /* q = query_width */
  NSAMETA_QUERY_FIRST = 1,    /* q = extend_seq_lens[0] for every request */
  NSAMETA_QUERY_RAGGED = 2    /* q = extend_seq_lens[r] */
} nsameta_query_source;

/* One set of outputs. */
typedef struct nsameta_output_set {
#define NSAMETA_OUTPUT(name, kind) nsameta_output name;
#include "outputs.def"
#undef NSAMETA_OUTPUT
} nsameta_output_set;

/* What nsameta_build_metadata_args means, checked: modes and defaults are gone, and backends check nothing but device
 * data. kv[r] = seq_lens[r] + kv_offset, at least 0; q[r] at least 0. See nsameta.h for the formulas and contracts. */
typedef struct nsameta_build_metadata_desc {
  nsameta_lengths seq_lens;
  nsameta_lengths extend_seq_lens;  /* unused for QUERY_CONSTANT */
  nsameta_lengths req_pool_indices; /* all 64 bits of an int64 count */
  nsameta_matrix req_to_token;
  const int32_t* num_requests; /* NULL: the true batch is `batch` */
  int32_t batch;
  int32_t kv_offset;
  int32_t query_source; /* nsameta_query_source */
  int32_t query_width;  /* QUERY_CONSTANT only */
  int32_t topk;
  int32_t kpool;
  int32_t clamp;           /* 0 or 1 */
  int32_t tail;            /* nsameta_tail */
  int32_t page_shift;      /* log2 of page_size */
  int32_t table_width;     /* nsameta_table_width */
  int32_t tables_by_token; /* 1: a row per token, 0: a row per request */
  int32_t mqa_variant;     /* nsameta_mqa_variant */
  int32_t mqa_by_token;    /* 1: a length per token (visible), 0: a length per request (kv) */
  int32_t mqa_atoms;       /* A of the rule; 1 where there is none */
  int32_t topk_plan_arch;  /* nsameta_topk_plan_arch */
  int32_t topk_plan_clusters;
  int32_t topk_plan_threshold; /* -1: by the rule */
  int32_t num_sets;            /* of outputs, [1, NSAMETA_MAX_DESTINATIONS] */
  int32_t programmatic_launch; /* 0 or 1; a wish */
  int64_t num_tokens_bound;    /* upper bounds of T and of kv, for sizing the launch alone; -1: none known */
  int64_t max_kv_bound;
  nsameta_output_set sets[NSAMETA_MAX_DESTINATIONS]; /* from num_sets on undefined */
} nsameta_build_metadata_desc;

/* One pair of copy_metadata. Element (r, c) of a side is data[r * row_stride + c * column_stride]. There is at least
 * one element; the destination's strides are not negative, its cells are distinct, and of its axes the columns have the
 * smaller stride. Where both sides are one straight run, there is one row. */
typedef struct nsameta_copy {
  const void* source;
  void* destination;
  int64_t num_rows;
  int64_t num_columns;
  int64_t source_row_stride; /* elements */
  int64_t source_column_stride;
  int64_t destination_row_stride;
  int64_t destination_column_stride;
  int32_t dtype; /* nsameta_dtype */
  int32_t reserved;
} nsameta_copy;

/* What nsameta_copy_metadata_args means, checked; empty pairs are gone. Column strides fit int32. */
typedef struct nsameta_copy_metadata_desc {
  int32_t num_copies;
  int32_t reserved;
  nsameta_copy copies[NSAMETA_MAX_COPY_PAIRS]; /* from num_copies on undefined */
} nsameta_copy_metadata_desc;

typedef enum nsameta_slot_source {
  NSAMETA_SLOTS_OF_REQUEST = 0, /* table = req_to_token; the row is that of the token's request */
  NSAMETA_SLOTS_OF_TOKEN = 1,   /* table = page_table; row t */
  NSAMETA_SLOTS_FLATTENED = 2,  /* table = one row for all tokens */
  NSAMETA_SLOTS_ARE_INDICES = 3 /* no table */
} nsameta_slot_source;

/* What nsameta_map_topk_to_slots_args means, checked. topk_indices and slots may be the same cells. A vector that is
 * absent has data == NULL; all but req_pool_indices are int32. */
typedef struct nsameta_map_topk_to_slots_desc {
  const int32_t* topk_indices; /* [num_tokens, num_topk], column stride 1 */
  int32_t* slots;              /* likewise */
  int32_t* num_valid;          /* [num_tokens] or NULL */
  int64_t topk_row_stride;     /* elements */
  int64_t slots_row_stride;
  nsameta_lengths offset;
  nsameta_lengths req_pool_indices; /* [num_requests]; all 64 bits of an int64 count */
  nsameta_lengths token_to_batch;   /* of these two, OF_REQUEST has one */
  nsameta_lengths cu_seqlens_q;     /* [num_requests + 1] */
  nsameta_matrix table;
  int32_t source; /* nsameta_slot_source */
  int32_t num_tokens;
  int32_t num_topk;
  int32_t num_requests;
} nsameta_map_topk_to_slots_desc;

/* What nsameta_mla_schedule_args means, checked. keys[r] = max(seq_lens[r], min_keys), where negative lengths are 0, or
 * constant_keys for every request where seq_lens.data == NULL. */
typedef struct nsameta_mla_schedule_desc {
  nsameta_lengths seq_lens;
  int32_t* parts;      /* [num_parts, 8], contiguous */
  int32_t* num_splits; /* [batch + 1] */
  int32_t batch;
  int32_t num_parts;
  int32_t block_size;
  int32_t fixed_overhead;
  int32_t constant_keys;
  int32_t min_keys; /* 0 or 1 */
  int32_t layout;   /* nsameta_mla_layout */
  int32_t reserved;
} nsameta_mla_schedule_desc;

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

  /* A plan's launch, chosen once and run often. prepare_<op> chooses for every run of this descriptor, reads no tensor,
   * and keeps the choice in *prepared: NULL at first, later what an earlier call for the same plan left there, which it
   * may use again. launch_prepared runs it like the operation; release_prepared frees it. prepare_<op> == NULL: plans
   * call the operation; where there is one, the other two are filled. */
#define NSAMETA_OP(name) \
  nsameta_status (*prepare_##name)(const void* state, const nsameta_##name##_desc* desc, void** prepared);
#include "ops.def"
#undef NSAMETA_OP
  nsameta_status (*launch_prepared)(void* state, const void* prepared, void* stream);
  void (*release_prepared)(void* state, void* prepared);

  /* What the choices of a context depend on; see nsameta_tunable. All three are NULL where a backend has nothing to
   * tune. get_tunable with state == NULL tells the defaults of the list that all contexts share. set_tunable gets an
   * index and a value that are in range. */
  int32_t (*num_tunables)(void);
  void (*get_tunable)(const void* state, int32_t tunable_idx, nsameta_tunable* tunable);
  void (*set_tunable)(void* state, int32_t tunable_idx, int64_t value);

  /* What a run of this descriptor would choose, and why, as lines `key: value` that nsameta_plan_explain describes.
   * Reads no tensor. Writes at most `size` bytes, the zero at the end among them; *needed: bytes of the whole text.
   * NULL: cannot tell. */
#define NSAMETA_OP(name)                                                                                          \
  nsameta_status (*explain_##name)(const void* state, const nsameta_##name##_desc* desc, char* text, size_t size, \
                                   size_t* needed);
#include "ops.def"
#undef NSAMETA_OP
} nsameta_backend;

typedef const nsameta_backend* (*nsameta_backend_entry_fn)(uint32_t host_abi_version);

#ifdef __cplusplus
}
#endif

#endif
