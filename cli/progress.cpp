#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "cli/text.h"

namespace nsameta::cli {
namespace {

constexpr std::chrono::milliseconds kBarInterval{100};
constexpr std::chrono::seconds kLineInterval{10};
constexpr int kBarWidth = 30;

}  // namespace

progress::progress() : is_terminal_(isatty(STDERR_FILENO) != 0) {}

void progress::show(double done, int64_t num_steps, int64_t simulated_us) {
  const auto now = clock::now();
  if (now - last_shown_ < (is_terminal_ ? clock::duration(kBarInterval) : clock::duration(kLineInterval))) return;
  last_shown_ = now;
  const double wall_s = std::chrono::duration<double>(now - start_).count();
  const auto what =
      fmt::format("{:3.0f} %  {} s simulated  {} steps/s", done * 100, with_commas(simulated_us / 1'000'000),
                  with_commas(static_cast<int64_t>(static_cast<double>(num_steps) / wall_s)));
  if (!is_terminal_) {
    fmt::print(stderr, "{}\n", what);
    return;
  }
  const auto filled = static_cast<size_t>(done * kBarWidth);
  const std::string bar = std::string(filled, '#') + std::string(kBarWidth - filled, '.');
  fmt::print(stderr, "\r  [{}] {}\x1b[K", bar, what);
  std::fflush(stderr);
  is_bar_shown_ = true;
}

void progress::clear() {
  if (is_bar_shown_) fmt::print(stderr, "\r\x1b[K");
  is_bar_shown_ = false;
}

}  // namespace nsameta::cli
