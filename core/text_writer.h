// Text for a caller's buffer: lines are added until it is full, and counted beyond.
#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdio>

namespace nsameta {

class text_writer {
 public:
  // data may be NULL where size is 0; else it always ends with a zero.
  text_writer(char* data, std::size_t size) : data_(data), size_(size) {
    if (size_ > 0) data_[0] = '\0';
  }

  // printf's format; a line feed is added.
  [[gnu::format(printf, 2, 3)]] void line(const char* format, ...) {
    std::va_list arguments;
    va_start(arguments, format);
    const std::size_t room = length_ < size_ ? size_ - length_ : 0;
    const int count = std::vsnprintf(room > 0 ? data_ + length_ : nullptr, room, format, arguments);
    va_end(arguments);
    if (count > 0) length_ += static_cast<std::size_t>(count);
    put('\n');
  }

  // Bytes of the whole text with the zero at its end.
  std::size_t needed() const { return length_ + 1; }

 private:
  void put(char c) {
    if (length_ + 1 < size_) {
      data_[length_] = c;
      data_[length_ + 1] = '\0';
    }
    ++length_;
  }

  char* data_;
  std::size_t size_;
  std::size_t length_ = 0;
};

}  // namespace nsameta
