#include "tests/fuzz/campaign.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

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
  struct process {
    pid_t pid = -1;  // -1: ended
    uint64_t last_case = UINT64_MAX;
    clock::time_point since;  // when it came to that case
  };

  job_state& state_of(size_t job) { return shared_->jobs[job]; }
  void start(size_t job);
  void collect_ended();
  void kill_hanging();
  void report_end(size_t job, int status);
  void add_lost_case(size_t job, const std::string& what);
  uint64_t sum(std::atomic<uint64_t> job_state::* counter);
  void show_progress();
  double seconds() const { return std::chrono::duration<double>(clock::now() - begin_).count(); }

  const campaign_options& options_;
  size_t bytes_;
  shared_state* shared_;
  std::vector<process> processes_;
  size_t num_alive_ = 0;
  campaign_result result_;
  clock::time_point begin_ = clock::now();
  clock::time_point shown_ = begin_;
};

campaign::campaign(const campaign_options& options)
    : options_(options), bytes_(sizeof(shared_state) + static_cast<size_t>(options.num_jobs) * sizeof(job_state)) {
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  shared_ = static_cast<shared_state*>(memory);  // all zero, which is how its counters begin
  processes_.resize(static_cast<size_t>(options.num_jobs));
}

void campaign::start(size_t job) {
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("fork failed");
  if (pid == 0) {
    std::signal(SIGINT, SIG_IGN);  // the campaign tells when to stop
    const int code = run_job(options_, static_cast<int>(job), shared_, &state_of(job));
    std::fflush(nullptr);
    std::exit(code);  // what the stack holds is the campaign's, and is left alone
  }
  processes_[job] = {pid, UINT64_MAX, clock::now()};
  ++num_alive_;
}

// The job could not report its failure itself.
void campaign::add_lost_case(size_t job, const std::string& what) {
  const origin from{.seed = options_.seed, .case_idx = state_of(job).case_idx, .ops = options_.ops};
  const auto file = write_reproducer(options_.folder, from, what);
  fmt::print(stderr, "\nFAILED: seed {} case {}: {}\nreproduce with --reproduce {}\n", from.seed, from.case_idx, what,
             file);
  result_.failures.push_back({file, what});
}

void campaign::report_end(size_t job, int status) {
  const auto& state = state_of(job);
  if (state.has_failure) {
    result_.failures.push_back({state.file, state.text});
  } else if (WIFSIGNALED(status)) {
    add_lost_case(job, fmt::format("killed by signal {}", WTERMSIG(status)));
  } else if (WEXITSTATUS(status) == kJobCannotStart) {
    result_.could_not_start = true;
  } else if (WEXITSTATUS(status) != kJobPassed) {
    add_lost_case(job, fmt::format("ended with status {}", WEXITSTATUS(status)));
  } else {
    return;
  }
  shared_->stop = true;
}

void campaign::collect_ended() {
  for (size_t job = 0; job < processes_.size(); ++job) {
    int status = 0;
    if (processes_[job].pid < 0 || waitpid(processes_[job].pid, &status, WNOHANG) == 0) continue;
    processes_[job].pid = -1;
    --num_alive_;
    report_end(job, status);
  }
}

void campaign::kill_hanging() {
  for (size_t job = 0; job < processes_.size(); ++job) {
    auto& p = processes_[job];
    if (p.pid < 0) continue;
    const uint64_t at = state_of(job).case_idx;
    if (at != p.last_case) {
      p.last_case = at;
      p.since = clock::now();
    } else if (clock::now() - p.since > kHang) {
      kill(p.pid, SIGKILL);
      waitpid(p.pid, nullptr, 0);
      p.pid = -1;
      --num_alive_;
      add_lost_case(job, fmt::format("did not end within {} s", kHang.count()));
      shared_->stop = true;
    }
  }
}

uint64_t campaign::sum(std::atomic<uint64_t> job_state::* counter) {
  uint64_t total = 0;
  for (size_t job = 0; job < processes_.size(); ++job) total += state_of(job).*counter;
  return total;
}

void campaign::show_progress() {
  if (clock::now() - shown_ < kReportInterval) return;
  shown_ = clock::now();
  const uint64_t num_cases = sum(&job_state::num_cases);
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
  result_.num_cases = sum(&job_state::num_cases);
  result_.num_runs = sum(&job_state::num_runs);
  result_.executions = state_of(0).executions;
  result_.cases_by_op.resize(kNumOps);
  for (size_t op = 0; op < kNumOps; ++op) {
    for (size_t job = 0; job < processes_.size(); ++job) result_.cases_by_op[op] += state_of(job).cases_by_op[op];
  }
  result_.was_interrupted = g_was_interrupted != 0;
  return result_;
}

}  // namespace

campaign_result run_campaign(const campaign_options& options) { return campaign(options).run(); }

}  // namespace nsameta::fuzz
