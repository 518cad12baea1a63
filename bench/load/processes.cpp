#include "bench/load/processes.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>
#include <stdexcept>

namespace nsameta::bench {
namespace {

// A pipe from the child's standard output. No shell: paths may hold anything.
std::string output_of(const std::vector<std::string>& command) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error(fmt::format("pipe: errno {}", errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t child = -1;
  const int error = posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string text;
  char chunk[1024];
  for (ssize_t size = 0; error == 0 && (size = read(ends[0], chunk, sizeof(chunk))) > 0;) {
    text.append(chunk, static_cast<std::size_t>(size));
  }
  close(ends[0]);
  if (error != 0) throw std::runtime_error(fmt::format("{} cannot be started: errno {}", command[0], error));
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) throw std::runtime_error(fmt::format("{} failed with status {}", command[0], status));
  return text;
}

}  // namespace

void process_samples::run(const std::vector<std::string>& command) {
  std::istringstream lines(output_of(command));
  std::getline(lines, what_ran_);
  std::vector<double> times(kNumStages);
  for (double& time : times) {
    if (!(lines >> time)) throw std::runtime_error(fmt::format("{} printed too few stages", command[0]));
  }
  times_.push_back(times);
}

spread process_samples::of(const std::vector<stage_index>& stages) const {
  std::vector<double> sums;
  for (const auto& times : times_) {
    double sum = 0;
    for (const stage_index stage : stages) sum += std::max(times[stage], 0.0);
    sums.push_back(sum);
  }
  std::sort(sums.begin(), sums.end());
  return {sums[sums.size() / 2], sums.front(), sums.back()};
}

}  // namespace nsameta::bench
