#include "cli/kv_pool.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace nsameta::cli {
namespace {

constexpr int32_t kRow = 3;
constexpr int32_t kCache = 100;

TEST(page_pool, gives_each_page_once) {
  page_pool pool(4);
  std::vector<bool> seen(4);
  for (int i = 0; i < 4; ++i) {
    const int32_t page = pool.take(kRow);
    EXPECT_FALSE(seen[static_cast<size_t>(page)]);
    seen[static_cast<size_t>(page)] = true;
    EXPECT_EQ(pool.holder(page), kRow);
  }
  EXPECT_EQ(pool.num_free(), 0);
  EXPECT_THROW(pool.take(kRow), std::logic_error);
}

TEST(page_pool, notices_a_page_in_wrong_hands) {
  page_pool pool(2);
  const int32_t page = pool.take(kRow);
  EXPECT_THROW(pool.give_back(page, kRow + 1), std::logic_error);
  EXPECT_THROW(pool.move(page, kRow + 1, kCache), std::logic_error);
  pool.give_back(page, kRow);
  EXPECT_THROW(pool.give_back(page, kRow), std::logic_error);
  EXPECT_EQ(pool.num_free(), 2);
}

class prefix_cache_test : public testing::Test {
 protected:
  int32_t insert(int32_t hash) {
    const int32_t pages[] = {pool_.take(kRow), pool_.take(kRow)};
    return cache_.insert(hash, pages, kRow);
  }

  page_pool pool_{8};
  prefix_cache cache_{&pool_, 10, 2, kCache};
};

TEST_F(prefix_cache_test, counts_users_and_keeps_unused_blocks) {
  const int32_t block = insert(7);
  EXPECT_EQ(cache_.find(7), block);
  EXPECT_EQ(pool_.holder(cache_.pages(block)[1]), kCache);
  cache_.use(block);
  cache_.release(block);
  EXPECT_EQ(cache_.num_unused_pages(), 0);  // the one who inserted it still uses it
  EXPECT_THROW(cache_.evict(), std::logic_error);
  cache_.release(block);
  EXPECT_EQ(cache_.num_unused_pages(), 2);
  EXPECT_EQ(cache_.find(7), block);
  EXPECT_THROW(cache_.release(block), std::logic_error);
  EXPECT_THROW(insert(7), std::logic_error);
}

TEST_F(prefix_cache_test, evicts_the_least_recently_used_block) {
  for (const int32_t hash : {1, 2, 3}) cache_.release(insert(hash));
  cache_.use(cache_.find(1));
  cache_.release(cache_.find(1));  // now the youngest
  cache_.use(cache_.find(2));      // in use: not to be evicted
  cache_.evict();
  EXPECT_EQ(cache_.find(3), kNone);
  cache_.evict();
  EXPECT_EQ(cache_.find(1), kNone);
  EXPECT_THROW(cache_.evict(), std::logic_error);
  cache_.release(cache_.find(2));
  cache_.evict_all();
  EXPECT_EQ(cache_.num_blocks(), 0);
  EXPECT_EQ(pool_.num_free(), 8);
}

}  // namespace
}  // namespace nsameta::cli
