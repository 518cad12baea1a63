// Numbers for people.
#pragma once

#include <cstdint>
#include <string>

namespace nsameta::cli {

// 1234567 as "1,234,567".
inline std::string with_commas(int64_t value) {
  const std::string digits = std::to_string(value);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    const bool ends_group = i > 0 && digits[i - 1] != '-' && (digits.size() - i) % 3 == 0;
    if (ends_group) text += ',';
    text += digits[i];
  }
  return text;
}

}  // namespace nsameta::cli
