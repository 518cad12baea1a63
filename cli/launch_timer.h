// Times the launches of a plan on any backend, through the public API alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "cli/session.h"

namespace nsameta::cli {

// Where the backend has graphs: the time of three replays in a row of a captured graph less that of one, by the host's
// clock until the device is done, over the launches of two. What the host takes to hand over the first replay and to
// see the end of the last one is in both; the others are handed over while the device works. Elsewhere: many calls,
// over their number.
class launch_timer {
 public:
  using launch_fn = std::function<void(void* stream)>;

  // Captures what `launch` puts on a stream with the context's tunables as they are now.
  launch_timer(const session& on, launch_fn launch);

  // Microseconds of one launch; a whole measurement each time. Without graphs the context's tunables are those of now.
  double sample_us();

  static bool uses_graphs(const session& on) { return !on.is_host() && !on.is_staged(); }

 private:
  std::unique_ptr<graph> capture(int64_t num_launches) const;
  double replays_us(const graph& of, int num_replays) const;
  // Of one launch in a graph of so many.
  double slope_us(const graph& of, int64_t num_launches) const;
  double calls_us(int64_t num_calls) const;

  const session& on_;
  launch_fn launch_;
  int64_t num_launches_ = 1;
  std::unique_ptr<graph> graph_;
};

}  // namespace nsameta::cli
