// The ways in which an operation can run on this machine; tests are parameterised over all of them.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "nsameta/nsameta.h"

namespace nsameta::test {

enum class execution_kind {
  eager,  // on memory that the backend reads itself
  graph,  // the same, captured on a stream and replayed
  staged  // on the memory of `owner`, computed by the CPU
};

struct execution {
  std::string name;     // "cpu_eager", "cuda_graph", "cuda_staged"
  std::string owner;    // backend that owns the memory
  std::string backend;  // backend that must run
  execution_kind kind = execution_kind::eager;
  nsameta_device device{};
  std::string skip_reason;   // "" when it can run
  bool is_required = false;  // `owner` stands in NSAMETA_REQUIRE_BACKENDS: skipping is a failure
};

std::ostream& operator<<(std::ostream& out, const execution& e);

// Every backend of the library, and cuda and hip even where the library does not know them.
const std::vector<execution>& executions();

// Names in NSAMETA_REQUIRE_BACKENDS that no execution belongs to.
std::vector<std::string> unknown_required_backends();

}  // namespace nsameta::test
