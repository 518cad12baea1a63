#include "tests/fuzz/campaign.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <thread>

#include "cli/text.h"
#include "tests/fuzz/job.h"
#include "tests/fuzz/reproducer.h"

namespace nsameta::fuzz {
namespace {

using clock = std::chrono::steady_clock;

constexpr auto kPoll = std::chrono::milliseconds(50);
constexpr auto kReportInterval = std::chrono::seconds(10);
constexpr auto kHang = std::chrono::seconds(120);  // the slowest case takes a second, with sanitizers

volatile std::sig_atomic_t g_was_interrupted = 0;

extern "C" void remember_interrupt(int) { g_was_interrupted = 1; }

class campaign {
 public:
  explicit campaign(const campaign_options& options);
  ~campaign() { munmap(shared_, bytes_); }
  campaign(const campaign&) = delete;
  campaign& operator=(const campaign&) = delete;

  campaign_result run();

 private:
  struct progress {
    uint64_t last_case = UINT64_MAX;
    clock::time_point since = clock::now();  // when it came to that case
  };

  // The workers of a job, or all of them.
  struct workers {
    worker_state* first;
    size_t count;
    worker_state* begin() const { return first; }
    worker_state* end() const { return first + count; }
  };

  workers workers_of(size_t job) { return {shared_->workers + job * num_threads(), num_threads()}; }
  workers all_workers() { return {shared_->workers, progress_.size()}; }
  size_t num_threads() const { return static_cast<size_t>(options_.num_threads); }
  void start(size_t job);
  void collect_ended();
  void kill_hanging();
  void report_end(size_t job, int status);
  void add_lost_case(const worker_state& state, const std::string& what);
  bool hangs(const worker_state& state);
  uint64_t sum(std::atomic<uint64_t> worker_state::* counter);
  void show_progress();
  double seconds() const { return std::chrono::duration<double>(clock::now() - begin_).count(); }

  const campaign_options& options_;
  size_t bytes_;
  shared_state* shared_;
  std::vector<pid_t> processes_;    // -1: ended
  std::vector<progress> progress_;  // of workers
  size_t num_alive_ = 0;
  campaign_result result_;
  clock::time_point begin_ = clock::now();
  clock::time_point shown_ = begin_;
};

campaign::campaign(const campaign_options& options)
    : options_(options),
      bytes_(sizeof(shared_state) + static_cast<size_t>(num_workers(options)) * sizeof(worker_state)) {
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  shared_ = static_cast<shared_state*>(memory);  // all zero, which is how its counters begin
  processes_.resize(static_cast<size_t>(options.num_jobs), -1);
  progress_.resize(static_cast<size_t>(num_workers(options)));
}

void campaign::start(size_t job) {
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("fork failed");
  if (pid == 0) {
    std::signal(SIGINT, SIG_IGN);  // the campaign tells when to stop
    const int code = run_job(options_, static_cast<int>(job), shared_);
    std::fflush(nullptr);
    std::exit(code);  // what the stack holds is the campaign's, and is left alone
  }
  processes_[job] = pid;
  ++num_alive_;
}

// The worker could not report its failure itself.
void campaign::add_lost_case(const worker_state& state, const std::string& what) {
  const origin from{.seed = options_.seed, .case_idx = state.case_idx, .ops = options_.ops};
  const auto file = write_reproducer(options_.folder, from, what);
  fmt::print(stderr, "\nFAILED: seed {} case {}: {}\nreproduce with --reproduce {}\n", from.seed, from.case_idx, what,
             file);
  result_.failures.push_back({file, what});
}

void campaign::report_end(size_t job, int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == kJobPassed) return;
  shared_->stop = true;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kJobCannotStart) result_.could_not_start = true;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kJobFailed) {
    for (const auto& state : workers_of(job)) {
      if (state.has_failure) result_.failures.push_back({state.file, state.text});
    }
    return;
  }
  if (result_.could_not_start) return;
  const auto what = WIFSIGNALED(status) ? fmt::format("killed by signal {}", WTERMSIG(status))
                                        : fmt::format("ended with status {}", WEXITSTATUS(status));
  const auto others = num_threads() > 1 ? fmt::format(", as were {} other cases", num_threads() - 1) : "";
  for (const auto& state : workers_of(job)) add_lost_case(state, what + others);
}

void campaign::collect_ended() {
  for (size_t job = 0; job < processes_.size(); ++job) {
    int status = 0;
    if (processes_[job] < 0 || waitpid(processes_[job], &status, WNOHANG) == 0) continue;
    processes_[job] = -1;
    --num_alive_;
    report_end(job, status);
  }
}

bool campaign::hangs(const worker_state& state) {
  auto& seen = progress_[static_cast<size_t>(&state - shared_->workers)];
  if (state.case_idx == seen.last_case) return clock::now() - seen.since > kHang;
  seen = {state.case_idx, clock::now()};
  return false;
}

void campaign::kill_hanging() {
  for (size_t job = 0; job < processes_.size(); ++job) {
    const auto ours = workers_of(job);
    const auto* const hanging = std::find_if(ours.begin(), ours.end(), [&](const auto& w) { return hangs(w); });
    if (processes_[job] < 0 || hanging == ours.end()) continue;
    kill(processes_[job], SIGKILL);
    waitpid(processes_[job], nullptr, 0);
    processes_[job] = -1;
    --num_alive_;
    add_lost_case(*hanging, fmt::format("did not end within {} s", kHang.count()));
    shared_->stop = true;
  }
}

uint64_t campaign::sum(std::atomic<uint64_t> worker_state::* counter) {
  uint64_t total = 0;
  for (const auto& state : all_workers()) total += state.*counter;
  return total;
}

void campaign::show_progress() {
  if (clock::now() - shown_ < kReportInterval) return;
  shown_ = clock::now();
  const uint64_t num_cases = sum(&worker_state::num_cases);
  fmt::print(stderr, "{:>6.0f} s: {} cases, {} a second, seed {}\n", seconds(),
             cli::with_commas(static_cast<int64_t>(num_cases)),
             cli::with_commas(static_cast<int64_t>(static_cast<double>(num_cases) / seconds())), options_.seed);
}

campaign_result campaign::run() {
  g_was_interrupted = 0;
  const auto previous = std::signal(SIGINT, remember_interrupt);
  for (size_t job = 0; job < processes_.size(); ++job) start(job);
  while (num_alive_ > 0) {
    std::this_thread::sleep_for(kPoll);
    collect_ended();
    kill_hanging();
    show_progress();
    if (g_was_interrupted != 0 || (options_.minutes > 0 && seconds() > options_.minutes * 60)) shared_->stop = true;
  }
  std::signal(SIGINT, previous);
  result_.seconds = seconds();
  result_.num_cases = sum(&worker_state::num_cases);
  result_.num_runs = sum(&worker_state::num_runs);
  result_.executions = shared_->workers[0].executions;
  result_.cases_by_op.resize(kNumOps);
  for (size_t op = 0; op < kNumOps; ++op) {
    for (const auto& state : all_workers()) result_.cases_by_op[op] += state.cases_by_op[op];
  }
  result_.was_interrupted = g_was_interrupted != 0;
  return result_;
}

}  // namespace

campaign_result run_campaign(const campaign_options& options) { return campaign(options).run(); }

}  // namespace nsameta::fuzz
