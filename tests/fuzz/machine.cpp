#include "tests/fuzz/machine.h"

#include <algorithm>
#include <functional>
#include <stdexcept>

#include "tests/fuzz/bound_calls.h"
#include "tests/support/handles.h"

namespace nsameta::fuzz {
namespace {

using test::execution;
using test::execution_kind;

bool is_wanted(const execution& e, const std::vector<std::string>& wanted) {
  return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&](const std::string& name) {
           return name == e.name || name == e.owner || name == e.backend;
         });
}

std::string failed(const char* what) { return std::string(what) + ": " + nsameta_last_error_message(); }

std::string text_of(const testing::AssertionResult& result) { return result ? "" : result.message(); }

}  // namespace

struct machine::place {
  explicit place(execution e) : how(std::move(e)) {
    if (nsameta_context_create(how.device, how.backend.c_str(), &context) != NSAMETA_OK ||
        nsameta_stream_create(context, &stream) != NSAMETA_OK) {
      throw std::runtime_error(how.name + ": " + nsameta_last_error_message());
    }
    memory = std::make_unique<test::device_memory>(context);
  }
  place(const place&) = delete;
  place& operator=(const place&) = delete;
  ~place() {
    memory.reset();
    if (stream != nullptr) nsameta_stream_destroy(context, stream);
    nsameta_context_destroy(context);
  }

  std::string check(const fuzz_case& c);
  std::string launch_and_check(test::bound_call& call, const fuzz_case& c,
                               const std::function<nsameta_status()>& launch) const;

  execution how;
  nsameta_context* context = nullptr;
  void* stream = nullptr;
  std::unique_ptr<test::device_memory> memory;
};

// A graph is replayed on other inputs than those that it was captured with.
std::string machine::place::launch_and_check(test::bound_call& call, const fuzz_case& c,
                                             const std::function<nsameta_status()>& launch) const {
  call.reset();
  test::graph_handle graph;
  if (how.kind == execution_kind::graph) {
    if (nsameta_graph_begin(context, stream) != NSAMETA_OK) return failed("graph_begin");
    const auto status = launch();
    nsameta_graph* captured = nullptr;
    if (nsameta_graph_end(context, stream, &captured) != NSAMETA_OK) return failed("graph_end");
    graph.reset(captured);
    if (status != NSAMETA_OK) return failed("a launch that is captured");
    if (auto text = text_of(call.is_untouched()); !text.empty()) return "written during the capture: " + text;
    call.reset();
    if (nsameta_graph_launch(graph.get(), stream) != NSAMETA_OK) return failed("graph_launch");
  } else if (launch() != NSAMETA_OK) {
    return failed("a launch");
  }
  if (nsameta_synchronize(context, stream) != NSAMETA_OK) return failed("synchronize");
  return text_of(call.holds(c.count));
}

std::string machine::place::check(const fuzz_case& c) {
  const auto call = bind(context, stream, c, memory.get());
  if (c.spoiler >= 0) {
    call->reset();
    auto text = check_refused(context, stream, c, *call);
    return text.empty() ? text_of(call->is_untouched()) : text;
  }
  if (!c.by_plan) return launch_and_check(*call, c, [&] { return call->run_once(stream); });
  nsameta_plan* created = nullptr;
  if (nsameta_plan_create(context, c.op(), call->args(), &created) != NSAMETA_OK) return failed("plan_create");
  const test::plan_handle plan(created);
  return launch_and_check(*call, c, [&] {
    return nsameta_plan_run(plan.get(), static_cast<int32_t>(c.count), c.num_tokens_bound, c.max_kv_bound, stream);
  });
}

machine::machine(const std::vector<std::string>& wanted) {
  for (const auto& name : wanted) {
    const auto& all = test::executions();
    if (std::any_of(all.begin(), all.end(), [&](const execution& e) { return is_wanted(e, {name}); })) continue;
    throw std::runtime_error("'" + name + "' is no backend and no execution");
  }
  for (const auto& e : test::executions()) {
    if (!is_wanted(e, wanted)) continue;
    if (e.skip_reason.empty()) {
      places_.push_back(std::make_unique<place>(e));
    } else {
      skipped_.push_back(e.name + ": " + e.skip_reason);
    }
  }
  if (places_.empty()) throw std::runtime_error("no execution can run here");
}

machine::~machine() = default;

std::vector<std::string> machine::names() const {
  std::vector<std::string> names;
  for (const auto& p : places_) names.push_back(p->how.name);
  return names;
}

std::string machine::check(const fuzz_case& c) {
  for (const auto& p : places_) {
    ++num_runs_;
    if (auto text = p->check(c); !text.empty()) return p->how.name + ": " + text;
    // Helpers of the tests report what they could not do to GoogleTest.
    if (testing::Test::HasFailure()) return p->how.name + ": a helper failed, see standard error";
  }
  return "";
}

}  // namespace nsameta::fuzz
