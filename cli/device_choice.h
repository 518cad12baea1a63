// Which memory the metadata of a replay lives in.
#pragma once

#include <string>

#include "nsameta/nsameta.h"

namespace nsameta::cli {

// "cpu", "cuda", "cuda:1", "rocm:0". Throws usage_error for anything else.
nsameta_device parse_device(const std::string& text);

// "cpu", "cuda:1"
std::string device_name(nsameta_device device);

// The memory that `backend` works on: its own device, and for "auto" the best usable GPU, else the host.
nsameta_device default_device(const std::string& backend);

}  // namespace nsameta::cli
