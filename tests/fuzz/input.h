// What the fuzz targets share: an input read from front to back, and how a broken
// invariant ends the process.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace weir::fuzz {

// The input as a script: each take() uses up its bytes, and past the end all is zero, so
// that every prefix of an input is an input. Numbers are little-endian as make_corpus.py
// writes them.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : left_(data, size) {}

  bool empty() const noexcept { return left_.empty(); }

  template <class T>
  requires std::is_trivially_copyable_v<T> T take()
  noexcept {
    T value{};
    const std::span<const uint8_t> from = bytes(sizeof value);
    if (!from.empty()) std::memcpy(static_cast<void*>(&value), from.data(), from.size());
    return value;
  }
  uint8_t byte() noexcept { return take<uint8_t>(); }
  uint16_t half() noexcept { return take<uint16_t>(); }
  uint32_t word() noexcept { return take<uint32_t>(); }
  size_t below(size_t bound) noexcept { return byte() % bound; }

  // Fewer than `count` when the input ends before.
  std::span<const uint8_t> bytes(size_t count) noexcept {
    const auto taken = left_.first(std::min(count, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }
  std::span<const uint8_t> rest() noexcept { return bytes(left_.size()); }
  std::string_view text() noexcept {
    const auto all = rest();
    return {reinterpret_cast<const char*>(all.data()), all.size()};
  }

 private:
  std::span<const uint8_t> left_;
};

// Ends the process, which is what a fuzzer takes for a finding.
[[noreturn]] inline void broken(const char* file, int line, const char* invariant,
                                const std::string& seen = {}) {
  std::fprintf(stderr, "%s:%d: broken: %s %s\n", file, line, invariant, seen.c_str());
  std::abort();
}

}  // namespace weir::fuzz

#define WEIR_INVARIANT(condition, ...) \
  ((condition) ? void()                \
               : ::weir::fuzz::broken(__FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__))
