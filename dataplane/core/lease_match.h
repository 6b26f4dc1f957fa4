// What the first bytes of a plain frame from a pod look like: bytes that the lease fixes
// and a mask of them. A comparison of two or three vectors replaces a dozen checks.
#pragma once

#include <emmintrin.h>
#include <smmintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace weir::dataplane {

// `Bytes`: a multiple of 16; a frame is read that far, whatever its length.
template <size_t Bytes>
class LeaseMatch {
  static_assert(Bytes % 16 == 0);

 public:
  // Matches nothing until require() was called.
  LeaseMatch() { value_.fill(0xff); }

  // The frame's bytes from `offset` on are `bytes`, where `mask` has bits.
  template <size_t N>
  void require(size_t offset, const std::array<uint8_t, N>& bytes, const std::array<uint8_t, N>& mask) {
    if (!used_) value_.fill(0);
    used_ = true;
    for (size_t i = 0; i < N; ++i) {
      value_[offset + i] = bytes[i] & mask[i];
      mask_[offset + i] = mask[i];
    }
  }
  template <size_t N>
  void require(size_t offset, const std::array<uint8_t, N>& bytes) {
    std::array<uint8_t, N> mask;
    mask.fill(0xff);
    require(offset, bytes, mask);
  }

  bool matches(const std::byte* frame) const noexcept {
    __m128i differs = _mm_setzero_si128();
    for (size_t i = 0; i < Bytes; i += 16) {
      const __m128i seen = _mm_and_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(frame + i)), load(mask_, i));
      differs = _mm_or_si128(differs, _mm_xor_si128(seen, load(value_, i)));
    }
    return _mm_testz_si128(differs, differs) != 0;
  }

 private:
  using Bits = std::array<uint8_t, Bytes>;
  static __m128i load(const Bits& bits, size_t at) noexcept {
    return _mm_load_si128(reinterpret_cast<const __m128i*>(bits.data() + at));
  }

  alignas(16) Bits value_;  // a bit outside mask_ never matches
  alignas(16) Bits mask_{};
  bool used_ = false;
};

}  // namespace weir::dataplane
