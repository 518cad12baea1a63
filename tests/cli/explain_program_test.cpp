// `nsameta explain` on batches whose tensors can be computed by hand.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/cli/program.h"

namespace {

using nlohmann::json;
using nsameta::test::run_program;

json explain(const std::string& arguments) {
  const auto result = run_program("explain --json " + arguments);
  EXPECT_EQ(result.exit_status, 0) << result.out << result.err;
  return json::parse(result.out);
}

const json& tensor(const json& explained, const char* name) { return explained.at("outputs").at(name); }

TEST(explain, builds_the_lengths_of_prompts) {
  const auto e = explain("--mode extend --seq-lens 10,4 --extend 3,2");
  EXPECT_EQ(e.at("mode"), "extend");
  EXPECT_EQ(e.at("start"), json({0, 3, 5}));
  EXPECT_EQ(tensor(e, "seqlens_expanded"), json({8, 9, 10, 3, 4}));
  EXPECT_EQ(tensor(e, "nsa_cache_seqlens"), json({8, 8, 8, 3, 4}));
  EXPECT_EQ(tensor(e, "nsa_cu_seqlens_k"), json({0, 8, 16, 24, 27, 31}));
  EXPECT_EQ(tensor(e, "cu_seqlens_k"), json({0, 10, 14}));
  EXPECT_EQ(tensor(e, "token_to_batch_idx"), json({0, 0, 0, 1, 1}));
  EXPECT_EQ(tensor(e, "indexer_ke"), json({8, 9, 10, 13, 14}));
  EXPECT_EQ(tensor(e, "total_tokens"), json({5}));
  EXPECT_EQ(e.at("outputs").size(), 19U);
  EXPECT_EQ(e.at("mismatches"), 0);
  EXPECT_TRUE(e.at("fault").is_null());
}

TEST(explain, builds_tables_from_req_to_token) {
  const auto e = explain("--mode verify --seq-lens 9,5 --tokens-per-request 2 --pool-rows 1,0 --table-width exact");
  const auto& slots = e.at("inputs").at("req_to_token");
  const int kv[] = {11, 7};
  for (size_t t = 0; t < 4; ++t) {
    const size_t r = t / 2;
    const auto& row = slots.at(1 - r);
    for (size_t c = 0; c < tensor(e, "page_table_1").at(t).size(); ++c) {
      const bool is_live = static_cast<int>(c) < kv[r];
      EXPECT_EQ(tensor(e, "page_table_1").at(t).at(c), is_live ? row.at(c) : json());
      if (is_live && c % 4 == 0) {
        EXPECT_EQ(tensor(e, "real_page_table").at(t).at(c / 4), row.at(c).get<int>() / 4);
      }
    }
    EXPECT_EQ(tensor(e, "out_slots").at(t), row.at(static_cast<size_t>(kv[r]) - 2 + t % 2));
  }
  EXPECT_EQ(tensor(e, "page_table_1_flattened").size(), 18U);
  EXPECT_EQ(tensor(e, "page_table_1_flattened").at(11), slots.at(0).at(0));
}

TEST(explain, gives_each_slot_to_one_position) {
  const auto e = explain("--seq-lens 100,37,5 --page-size 16");
  std::set<int> slots;
  for (const auto& row : e.at("inputs").at("req_to_token")) {
    for (size_t c = 0; c < row.size(); ++c) {
      EXPECT_TRUE(slots.insert(row.at(c).get<int>()).second);
      EXPECT_EQ(row.at(c).get<size_t>() % 16, c % 16);
    }
  }
}

TEST(explain, divides_segments_among_multiprocessors) {
  const auto e = explain("--seq-lens 600,100 --num-sms 2 --outputs paged_mqa_schedule");
  EXPECT_EQ(tensor(e, "paged_mqa_schedule"), json({{0, 0}, {0, 2}, {2, 0}}));
  EXPECT_EQ(e.at("outputs").size(), 1U);
  const auto atoms =
      explain("--seq-lens 600,100 --num-sms 2 --mqa-variant sm90_jun26 --next-n 4 --outputs paged_mqa_schedule");
  EXPECT_EQ(tensor(atoms, "paged_mqa_schedule"), json({{0, 0}, {1, 1}, {4, 0}}));
}

TEST(explain, lists_the_tokens_above_a_threshold) {
  const auto rows = [](const std::string& options) {
    const auto plan = explain("--seq-lens 20,3,9 --outputs topk_plan " + options);
    return tensor(plan, "topk_plan");
  };
  EXPECT_EQ(rows(""), json({{8, 2}, {0, 20}, {2, 9}, {nullptr, nullptr}}));
  EXPECT_EQ(rows("--plan-threshold 9").at(0), json({9, 1}));
  EXPECT_EQ(rows("--plan-threshold -1").at(0), json({65536, 0}));
  EXPECT_TRUE(rows("--plan-clusters 3").at(0).at(0).is_null());
}

TEST(explain, fills_what_lies_behind_the_true_batch) {
  const auto e = explain("--seq-lens 10,4,9 --num-requests 2 --tail zero");
  EXPECT_EQ(tensor(e, "cache_seqlens"), json({10, 4, 0}));
  EXPECT_EQ(tensor(e, "positions"), json({9, 3, 0}));
  EXPECT_EQ(tensor(e, "total_tokens"), json({2}));
  const auto kept = explain("--seq-lens 10,4,9 --num-requests 2 --tail keep");
  EXPECT_EQ(tensor(kept, "positions"), json({9, 3, nullptr}));
  EXPECT_EQ(tensor(explain("--seq-lens 10,4 --tail minus_one --padding 2"), "positions"), json({9, 3, -1, -1}));
}

TEST(explain, agrees_with_the_oracle_in_every_mode) {
  for (const char* mode : {"--mode decode", "--mode verify --tokens-per-request 3", "--mode extend --extend 5,1,40,0",
                           "--mode draft_extend --extend 2,0,3,9", "--mode draft_extend --tokens-per-request 2"}) {
    for (const char* options :
         {"", "--table-width full --rows token --tail last", "--rows request --kpool 4 --topk 6",
          "--table-width exact --page-size 64 --clamp on --num-sms 132", "--clamp off --num-requests 3 --tail last",
          "--mqa-variant sm100_jun26 --mqa-lengths kv", "--num-requests 0 --tail minus_one",
          "--page-size 1 --max-context 300"}) {
      const auto e = explain(std::string(mode) + " --seq-lens 700,3,128,0 " + options);
      EXPECT_EQ(e.at("mismatches"), 0) << mode << " " << options << e.at("first_mismatches");
    }
  }
}

TEST(explain, reports_faults) {
  const auto fault = [](const std::string& options) { return explain(options).at("fault"); };
  const auto expected = [](const char* check, int request, int value) {
    return json{{"check", check}, {"request", request}, {"value", value}};
  };
  EXPECT_EQ(fault("--seq-lens 4,-3"), expected("NEGATIVE_KV", 1, -3));
  EXPECT_EQ(fault("--mode extend --seq-lens 4,3 --extend 1,-2"), expected("NEGATIVE_QUERY", 1, -2));
  EXPECT_EQ(fault("--seq-lens 4,3 --pool-rows 0,77"), expected("POOL_ROW", 1, 77));
  EXPECT_EQ(fault("--seq-lens 4,30 --max-context 16"), expected("KV_OVER_CONTEXT", 1, 30));
  EXPECT_EQ(fault("--seq-lens 4,3 --num-requests 5"), expected("NUM_REQUESTS", -1, 5));
  EXPECT_TRUE(fault("--seq-lens 4,3 --pool-rows 0,77 --outputs positions").is_null());
}

TEST(explain, prints_aligned_tables) {
  const auto result = run_program("explain --mode draft_extend --seq-lens 10,4 --extend 3,2 --table-width exact");
  EXPECT_EQ(result.exit_status, 0) << result.err;
  for (const char* part :
       {"mode draft_extend: 2 requests, 5 tokens", "kv[r] = seq_lens[r]", "per request", "per token",
        "  t  r  j  |  expanded     seqlens  seqlens_k", "  2  0  2  |        10           8         16",
        "page_table_1: the slot of key c in column c; a row per token", "real_page_table: slot // 4",
        "page_table_1_flattened", "paged_mqa_schedule", "topk_plan", "oracle, 0 mismatches"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << " in\n" << result.out;
  }
}

// Every block of docs/METADATA.md that begins with a command is what that command prints.
TEST(explain, prints_what_its_page_shows) {
  const std::string page = nsameta::test::read_file(NSAMETA_METADATA_PAGE);
  if (page.empty()) GTEST_SKIP() << NSAMETA_METADATA_PAGE " is not here";
  const std::string opening = "```\n$ nsameta explain ";
  int num_blocks = 0;
  for (size_t begin = page.find(opening); begin != std::string::npos; begin = page.find(opening, begin + 1)) {
    const size_t command = begin + opening.size();
    const size_t output = page.find('\n', command) + 1;
    const std::string arguments = page.substr(command, output - 1 - command);
    const auto result = run_program("explain --backend cpu " + arguments);
    EXPECT_EQ(page.substr(output, page.find("```", output) - output), result.out) << arguments;
    ++num_blocks;
  }
  EXPECT_GE(num_blocks, 8);
}

TEST(explain, leaves_out_the_middle_of_what_is_large) {
  const auto result = run_program("explain --mode extend --seq-lens 4000,90 --tokens-per-request 64");
  EXPECT_EQ(result.exit_status, 0) << result.err;
  EXPECT_NE(result.out.find("rows left out"), std::string::npos);
  EXPECT_NE(result.out.find("..."), std::string::npos);
  for (size_t begin = 0; begin < result.out.size();) {
    const size_t end = result.out.find('\n', begin);
    EXPECT_LT(end - begin, 180U) << result.out.substr(begin, end - begin);
    begin = end + 1;
  }
}

TEST(explain, refuses_bad_arguments) {
  const auto expect_refused = [](const std::string& arguments, const std::string& message) {
    const auto result = run_program("explain " + arguments);
    EXPECT_EQ(result.exit_status, 2) << arguments;
    EXPECT_NE(result.err.find(message), std::string::npos) << arguments << ": " << result.err;
    EXPECT_EQ(result.out, "");
  };
  expect_refused("", "--seq-lens is required");
  expect_refused("--seq-lens 1,x", "--seq-lens: 'x' must be a number");
  expect_refused("--seq-lens 1,", "--seq-lens: '' must be a number");
  expect_refused("--seq-lens 5000", "--seq-lens: 5000 must be in [-4096, 4096]");
  expect_refused("--seq-lens 1 --mode quick", "--mode: 'quick' must be one of decode|verify|draft_extend|extend");
  expect_refused("--seq-lens 1 --mode verify", "--mode verify needs --tokens-per-request");
  expect_refused("--seq-lens 1 --tokens-per-request 2", "--tokens-per-request=2 must be 1 in --mode decode");
  expect_refused("--seq-lens 1 --extend 1", "--extend needs --mode draft_extend or extend");
  expect_refused("--seq-lens 1 --mode extend", "need one of --extend and --tokens-per-request");
  expect_refused("--seq-lens 1,2 --mode extend --extend 1", "--extend has 1 lengths, must be 2");
  expect_refused("--seq-lens 600,2 --mode extend --extend 512,2", "514 query tokens must be at most 512");
  expect_refused("--seq-lens 1,2 --pool-rows 3", "--pool-rows has 1 rows, must be 2");
  expect_refused("--seq-lens 1 --page-size 48", "--page-size=48 must be a power of two");
  expect_refused("--seq-lens 1 --page-size 1 --outputs real_page_table", "--page-size=1 has no real_page_table");
  expect_refused("--seq-lens 1 --outputs nonsense", "--outputs: 'nonsense' must be one of seqlens_expanded, ");
  expect_refused("--seq-lens 1 --mode verify --tokens-per-request 2 --next-n 2", "--next-n=2 must be 1");
  expect_refused("--seq-lens 1 --num-sms 513", "--num-sms: 513 must be in [1, 512]");
  expect_refused("--seq-lens 1 --num-requests many", "--num-requests: 'many' must be a number");
  expect_refused("--seq-lens 1 --backend nonsense", "nonsense");
  std::string many = "1";
  for (int i = 0; i < 64; ++i) many += ",1";
  expect_refused("--seq-lens " + many, "--seq-lens has 65 lengths, must be at most 64");
}

}  // namespace
