// Changes that make good args invalid, so that every backend has to refuse them and to write nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nsameta/nsameta.h"

namespace nsameta::fuzz {

// Each makes the change number `spoiler` modulo the changes there are, and says what it did.
std::string spoil(int64_t spoiler, nsameta_build_metadata_args* args);
std::string spoil(int64_t spoiler, nsameta_map_topk_to_slots_args* args);
std::string spoil(int64_t spoiler, nsameta_mla_schedule_args* args);
// `pairs` is what args point to.
std::string spoil(int64_t spoiler, nsameta_copy_metadata_args* args, std::vector<nsameta_copy_pair>* pairs);

}  // namespace nsameta::fuzz
