// The pages of the KV cache, and the blocks of them that prompts with equal prefixes share.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace nsameta::cli {

inline constexpr int32_t kNone = -1;

// A stack of free pages. Who holds a page is remembered: giving out a held page, or taking back one from the wrong
// holder, throws std::logic_error.
class page_pool {
 public:
  explicit page_pool(int32_t num_pages);

  int32_t num_pages() const { return static_cast<int32_t>(holder_.size()); }
  int32_t num_free() const { return static_cast<int32_t>(free_.size()); }
  // kNone when the page is free.
  int32_t holder(int32_t page) const { return holder_[static_cast<size_t>(page)]; }

  // There must be a free page. Holders are numbers >= 0.
  int32_t take(int32_t holder);
  void move(int32_t page, int32_t from, int32_t to);
  void give_back(int32_t page, int32_t holder);

 private:
  void check(int32_t page, int32_t expected) const;

  std::vector<int32_t> free_;
  std::vector<int32_t> holder_;
};

// Blocks of computed prompt tokens, found by the dense hash id of the trace. A block in use is counted; one that
// nobody uses stays cached until its pages are needed, least recently used first.
class prefix_cache {
 public:
  // Pages of the cache are held under the number `holder`.
  prefix_cache(page_pool* pool, int32_t num_hashes, int32_t pages_per_block, int32_t holder);

  // kNone when the block of `hash` is not cached.
  int32_t find(int32_t hash) const { return block_of_hash_[static_cast<size_t>(hash)]; }
  int32_t num_users(int32_t block) const { return blocks_[static_cast<size_t>(block)].num_users; }
  std::span<const int32_t> pages(int32_t block) const;

  void use(int32_t block);
  void release(int32_t block);
  // Takes the pages over from `from` as a block with one user. The hash must not be cached.
  int32_t insert(int32_t hash, std::span<const int32_t> pages, int32_t from);
  // Frees the least recently used block that nobody uses; there must be one.
  void evict();
  void evict_all();

  int32_t num_blocks() const { return num_blocks_; }
  int32_t num_unused_pages() const { return num_unused_ * pages_per_block_; }

 private:
  struct cached_block {
    int32_t hash;
    int32_t num_users;
    int32_t older, newer;  // neighbours in the list of unused blocks
  };

  cached_block& at(int32_t idx) { return blocks_[static_cast<size_t>(idx)]; }
  void link(int32_t idx);
  void unlink(int32_t idx);

  page_pool* pool_;
  int32_t pages_per_block_;
  int32_t holder_;
  int32_t num_blocks_ = 0;
  int32_t num_unused_ = 0;
  int32_t oldest_ = kNone;
  int32_t newest_ = kNone;
  std::vector<int32_t> block_of_hash_;
  std::vector<cached_block> blocks_;
  std::vector<int32_t> free_blocks_;
  std::vector<int32_t> pages_;  // [block, pages_per_block]
};

}  // namespace nsameta::cli
