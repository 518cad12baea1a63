#include "tests/support/emu/access_checker.h"

#include <algorithm>
#include <array>
#include <memory>
#include <sstream>
#include <string>
#include <unordered_map>

#include "tests/support/emu/code_line.h"
#include "tests/support/emu/grid.h"

namespace nsameta::emu {
namespace {

constexpr std::uintptr_t kWordBytes = 4;
constexpr std::size_t kWordsOfPage = 64;
// Far more than any thread of a kernel needs between two meetings.
constexpr std::uint64_t kMaxAccesses = std::uint64_t{1} << 26U;

bool is_of_same_warp(const moment& a, const moment& b) { return a.block == b.block && a.warp == b.warp; }
bool is_of_same_thread(const moment& a, const moment& b) { return a.block == b.block && a.thread == b.thread; }

// Whether `first`, which came first here, comes first in every order.
bool precedes(const moment& first, const moment& second) {
  if (first.block != second.block) return first.block == 0;
  return first.thread == second.thread || first.num_barriers != second.num_barriers ||
         (first.warp == second.warp && first.num_warp_syncs != second.num_warp_syncs);
}

struct access {
  moment when;
  std::int32_t code = 0;  // the instruction, as its distance from check_access()
};

// The last write of a word, and as many of its last reads as tell whether any of them may come after the next write:
// the last one, that of another lane of the same warp, and that of another warp.
struct word {
  std::uint32_t owner = 0;  // block whose shared memory this is; it is another one's later
  access write;
  access read;
  access read_of_lane;
  access read_of_warp;

  void add_read(const access& a) {
    if (!is_of_same_warp(read.when, a.when)) {
      read_of_warp = read;
      read_of_lane = {};
    } else if (!is_of_same_thread(read.when, a.when)) {
      read_of_lane = read;
    }
    read = a;
  }
};

using page = std::array<word, kWordsOfPage>;

// What is known of the memory that a launch touches.
class shadow {
 public:
  void begin(std::uint64_t launch) {
    if (launch == launch_) return;
    launch_ = launch;
    pages_.clear();
    recent_.fill({});
  }

  word& at(std::uintptr_t number) {
    const std::uintptr_t page_idx = number / kWordsOfPage;
    auto& [known_idx, known] = recent_[page_idx % recent_.size()];
    if (known == nullptr || known_idx != page_idx) {
      auto& found = pages_[page_idx];
      if (found == nullptr) found = std::make_unique<page>();
      known_idx = page_idx;
      known = found.get();
    }
    return (*known)[number % kWordsOfPage];
  }

 private:
  std::uint64_t launch_ = 0;
  std::unordered_map<std::uintptr_t, std::unique_ptr<page>> pages_;
  std::array<std::pair<std::uintptr_t, page*>, 4096> recent_{};
};

// Ends threads that wait for what nobody does while they wait.
class stall_guard {
 public:
  bool goes_on_forever(const thread_view& t) {
    const bool is_new = !is_of_same_thread(t.now, last_) || t.last_met.line != last_line_;
    num_accesses_ = is_new ? 0 : num_accesses_ + 1;
    last_ = t.now;
    last_line_ = t.last_met.line;
    return num_accesses_ > kMaxAccesses;
  }

 private:
  moment last_;
  int last_line_ = 0;
  std::uint64_t num_accesses_ = 0;
};

std::uintptr_t code_base() { return reinterpret_cast<std::uintptr_t>(&check_access); }

std::string line_of(const access& a) {
  return code_line(code_base() + static_cast<std::uintptr_t>(std::int64_t{a.code}));
}

class place {
 public:
  place(const thread_view& t, std::uintptr_t address) {
    is_shared_ = t.smem.has(address);
    offset_ = address - reinterpret_cast<std::uintptr_t>(t.smem.begin);
    address_ = address;
  }
  bool is_shared() const { return is_shared_; }
  std::string text() const {
    std::ostringstream out;
    if (is_shared_) {
      out << "byte " << offset_ << " of shared memory";
    } else {
      out << "global memory at 0x" << std::hex << address_;
    }
    return out.str();
  }

 private:
  bool is_shared_;
  std::uintptr_t offset_;
  std::uintptr_t address_;
};

std::string text_of_race(const thread_view& t, const access& now, bool is_write, const access& before, bool was_write,
                         const place& at) {
  const int block = static_cast<int>(before.when.block) - 1;
  std::ostringstream out;
  out << (is_write ? "writes " : "reads ") << at.text() << " in " << line_of(now);
  if (t.last_met.line != 0) {
    out << ", after it met others at " << t.last_met.file << ":" << t.last_met.line;
  } else {
    out << ", before it met any other";
  }
  out << "; set " << block / t.num_blocks << ", block " << block % t.num_blocks << ", thread " << before.when.thread
      << (was_write ? " writes" : " reads") << " it in " << line_of(before) << "; nothing orders the two";
  return out.str();
}

// What is wrong with an access, or "".
std::string add_access(const thread_view& t, word& w, const access& now, bool is_write, const place& at) {
  if (at.is_shared() && w.owner != now.when.block) {
    w = {};
    w.owner = now.when.block;
  }
  if (!precedes(w.write.when, now.when)) return text_of_race(t, now, is_write, w.write, true, at);
  if (!is_write) {
    if (at.is_shared() && w.write.when.block == 0) {
      return "reads " + at.text() + ", which no thread of its block has written, in " + line_of(now);
    }
    w.add_read(now);
    return "";
  }
  for (const access* read : {&w.read, &w.read_of_lane, &w.read_of_warp}) {
    if (!precedes(read->when, now.when)) return text_of_race(t, now, true, *read, false, at);
  }
  w = {.owner = w.owner, .write = now, .read = {}, .read_of_lane = {}, .read_of_warp = {}};
  return "";
}

std::string find_failure(const thread_view& t, std::uintptr_t begin, std::size_t bytes, bool is_write,
                         std::uintptr_t code) {
  static shadow memory;
  static stall_guard stalls;
  if (stalls.goes_on_forever(t)) return "never meets others again; it last ran in " + code_line(code);
  memory.begin(t.launch);
  const access now{t.now, static_cast<std::int32_t>(static_cast<std::int64_t>(code - code_base()))};
  const std::uintptr_t last = (begin + bytes - 1) / kWordBytes;
  for (std::uintptr_t i = begin / kWordBytes; i <= last; ++i) {
    std::string failure = add_access(t, memory.at(i), now, is_write, place(t, std::max(begin, i * kWordBytes)));
    if (!failure.empty()) return failure;
  }
  return "";
}

}  // namespace

void check_access(const void* address, std::size_t bytes, bool is_write, std::uintptr_t code) {
  static std::string failure;  // outlives the stack that is left for good
  const thread_view* const t = find_running();
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  if (t == nullptr || bytes == 0 || t->stack.has(begin) || t->place.has(begin) || t->params.has(begin)) return;
  failure = find_failure(*t, begin, bytes, is_write, code);
  if (!failure.empty()) fail_running(failure.c_str());
}

}  // namespace nsameta::emu
