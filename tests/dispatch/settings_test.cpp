#include "dispatch/settings.h"

#include <gtest/gtest.h>

namespace nsameta::dispatch {
namespace {

TEST(settings, booleans_as_sglang_spells_them) {
  for (const char* yes : {"true", "True", "TRUE", "1", "yes", "YES", "y", "Y"}) {
    EXPECT_EQ(parse_boolean(yes), std::optional(true)) << yes;
  }
  for (const char* no : {"false", "False", "FALSE", "0", "no", "No", "n", "N"}) {
    EXPECT_EQ(parse_boolean(no), std::optional(false)) << no;
  }
  for (const char* neither : {"", " ", "2", "00", "on", "off", "t", "f", "ye", "true ", " 0", "tru\xC3\xA9"}) {
    EXPECT_EQ(parse_boolean(neither), std::nullopt) << '"' << neither << '"';
  }
}

TEST(settings, nothing_set) {
  const settings parsed = parse_settings(nullptr, nullptr, nullptr);
  EXPECT_EQ(parsed.backend, "");
  EXPECT_EQ(parsed.backend_dir, "");
  EXPECT_EQ(parsed.tuning, "");
  EXPECT_FALSE(parsed.forbids_triton);
  EXPECT_EQ(parsed.error, "");
}

TEST(settings, auto_and_empty_mean_no_backend) {
  EXPECT_EQ(parse_settings("auto", nullptr, nullptr).backend, "");
  EXPECT_EQ(parse_settings("", nullptr, nullptr).backend, "");
  EXPECT_EQ(parse_settings("cuda", nullptr, nullptr).backend, "cuda");
  EXPECT_EQ(parse_settings(nullptr, nullptr, nullptr, "t.json").tuning, "t.json");
  EXPECT_EQ(parse_settings("Auto", nullptr, nullptr).backend, "Auto");  // names are exact
}

TEST(settings, triton_false_forbids_and_true_does_not) {
  EXPECT_TRUE(parse_settings(nullptr, "No", nullptr).forbids_triton);
  EXPECT_EQ(parse_settings(nullptr, "No", nullptr).triton, "No");
  EXPECT_FALSE(parse_settings(nullptr, "1", nullptr).forbids_triton);
}

TEST(settings, bad_boolean_is_named_with_value_and_spellings) {
  for (const char* bad : {"", "maybe"}) {
    const settings parsed = parse_settings(nullptr, bad, nullptr);
    EXPECT_FALSE(parsed.forbids_triton);
    EXPECT_EQ(parsed.error, std::string("SGLANG_NSA_USE_TRITON_METADATA=\"") + bad +
                                "\" is not a boolean: true, 1, yes, y or false, 0, no, n, in any case");
  }
}

}  // namespace
}  // namespace nsameta::dispatch
