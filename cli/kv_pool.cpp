#include "cli/kv_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace nsameta::cli {

page_pool::page_pool(int32_t num_pages) : holder_(static_cast<size_t>(num_pages), kNone) {
  free_.reserve(holder_.size());
  for (int32_t page = num_pages - 1; page >= 0; --page) free_.push_back(page);
}

void page_pool::check(int32_t page, int32_t expected) const {
  if (holder(page) == expected) return;
  throw std::logic_error(fmt::format("KV page {} is held by {}, not by {}", page, holder(page), expected));
}

int32_t page_pool::take(int32_t holder) {
  if (free_.empty()) throw std::logic_error("KV pool: a page was promised, but none is free");
  const int32_t page = free_.back();
  free_.pop_back();
  check(page, kNone);
  holder_[static_cast<size_t>(page)] = holder;
  return page;
}

void page_pool::move(int32_t page, int32_t from, int32_t to) {
  check(page, from);
  holder_[static_cast<size_t>(page)] = to;
}

void page_pool::give_back(int32_t page, int32_t holder) {
  move(page, holder, kNone);
  free_.push_back(page);
}

prefix_cache::prefix_cache(page_pool* pool, int32_t num_hashes, int32_t pages_per_block, int32_t holder)
    : pool_(pool), pages_per_block_(pages_per_block), holder_(holder) {
  block_of_hash_.assign(static_cast<size_t>(num_hashes), kNone);
  const int32_t max_blocks = std::min(num_hashes, pool->num_pages() / pages_per_block);
  blocks_.resize(static_cast<size_t>(max_blocks));
  pages_.resize(blocks_.size() * static_cast<size_t>(pages_per_block));
  for (int32_t idx = max_blocks - 1; idx >= 0; --idx) free_blocks_.push_back(idx);
}

std::span<const int32_t> prefix_cache::pages(int32_t block) const {
  const auto per_block = static_cast<size_t>(pages_per_block_);
  return std::span(pages_).subspan(static_cast<size_t>(block) * per_block, per_block);
}

void prefix_cache::link(int32_t idx) {
  at(idx).older = newest_;
  at(idx).newer = kNone;
  (newest_ == kNone ? oldest_ : at(newest_).newer) = idx;
  newest_ = idx;
  ++num_unused_;
}

void prefix_cache::unlink(int32_t idx) {
  const auto [hash, num_users, older, newer] = at(idx);
  (older == kNone ? oldest_ : at(older).newer) = newer;
  (newer == kNone ? newest_ : at(newer).older) = older;
  --num_unused_;
}

void prefix_cache::use(int32_t block) {
  if (at(block).num_users++ == 0) unlink(block);
}

void prefix_cache::release(int32_t block) {
  if (at(block).num_users <= 0) throw std::logic_error(fmt::format("prefix block {} has no user to leave", block));
  if (--at(block).num_users == 0) link(block);
}

int32_t prefix_cache::insert(int32_t hash, std::span<const int32_t> pages, int32_t from) {
  if (find(hash) != kNone) throw std::logic_error(fmt::format("prefix block of hash {} is cached already", hash));
  const int32_t idx = free_blocks_.back();  // there are as many as the pool has room for
  free_blocks_.pop_back();
  at(idx) = {hash, 1, kNone, kNone};
  const auto first = static_cast<size_t>(idx) * static_cast<size_t>(pages_per_block_);
  for (size_t i = 0; i < pages.size(); ++i) {
    pool_->move(pages[i], from, holder_);
    pages_[first + i] = pages[i];
  }
  block_of_hash_[static_cast<size_t>(hash)] = idx;
  ++num_blocks_;
  return idx;
}

void prefix_cache::evict() {
  if (oldest_ == kNone) throw std::logic_error("prefix cache: every block is in use, none can be evicted");
  const int32_t idx = oldest_;
  unlink(idx);
  for (const int32_t page : pages(idx)) pool_->give_back(page, holder_);
  block_of_hash_[static_cast<size_t>(at(idx).hash)] = kNone;
  free_blocks_.push_back(idx);
  --num_blocks_;
}

void prefix_cache::evict_all() {
  while (oldest_ != kNone) evict();
}

}  // namespace nsameta::cli
