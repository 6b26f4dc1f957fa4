#include "bench/traffic/prefixes.h"

#include <array>
#include <random>
#include <span>
#include <string_view>
#include <unordered_set>

namespace weir::bench {

namespace {

struct Share {
  unsigned percent;
  uint8_t length;
};
constexpr std::array<Share, 9> kMix4{
    {{60, 24}, {10, 23}, {11, 22}, {5, 21}, {5, 20}, {3, 19}, {2, 18}, {2, 16}, {2, 32}}};
constexpr std::array<Share, 7> kMix6{
    {{48, 48}, {13, 32}, {10, 44}, {9, 40}, {6, 36}, {4, 29}, {10, 64}}};

uint8_t pick_length(std::span<const Share> mix, unsigned percent) {
  for (const Share& share : mix) {
    if (percent < share.percent) return share.length;
    percent -= share.percent;
  }
  return mix.back().length;
}

IpAddress random_address(const IpPrefix& prefix, std::mt19937_64& random) {
  IpAddress address = prefix.address;
  for (unsigned bit = prefix.length / 8U * 8U; bit < address.bits(); bit += 8) {
    const unsigned kept = prefix.length > bit ? prefix.length - bit : 0;
    address.bytes[bit / 8] |= static_cast<uint8_t>((random() & 0xff) & (0xffU >> kept));
  }
  return address;
}

struct HashPrefix {
  size_t operator()(const IpPrefix& prefix) const {
    const std::string_view bytes(reinterpret_cast<const char*>(&prefix), sizeof prefix);
    return std::hash<std::string_view>()(bytes);
  }
};

}  // namespace

std::vector<IpPrefix> random_prefixes(Family family, uint32_t count) {
  const IpPrefix whole = *parse_prefix(family == Family::ip4 ? "32.0.0.0/3" : "2a00::/8");
  if (count == 1) return {whole};
  const std::span<const Share> mix =
      family == Family::ip4 ? std::span<const Share>(kMix4) : std::span<const Share>(kMix6);
  std::mt19937_64 random(count);
  std::unordered_set<IpPrefix, HashPrefix> seen(count);
  std::vector<IpPrefix> prefixes;
  prefixes.reserve(count);
  while (prefixes.size() < count) {
    const uint8_t length = pick_length(mix, static_cast<unsigned>(random() % 100));
    const IpPrefix prefix = make_prefix(random_address(whole, random), length);
    if (seen.insert(prefix).second) prefixes.push_back(prefix);
  }
  return prefixes;
}

std::vector<IpAddress> random_addresses(const std::vector<IpPrefix>& prefixes, uint32_t count) {
  std::mt19937_64 random(7);
  std::vector<IpAddress> addresses(count);
  for (IpAddress& address : addresses) {
    address = random_address(prefixes[random() % prefixes.size()], random);
  }
  return addresses;
}

}  // namespace weir::bench
