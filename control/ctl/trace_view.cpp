#include "control/ctl/trace_view.h"

#include <algorithm>
#include <cstdio>

#include "control/ctl/decode.h"

namespace weir::ctl {
namespace {

constexpr const char* kSent = "sent";             // verdict of a frame that left by a port
constexpr const char* kIcmpError = "icmp_error";  // stage that turns a packet into an error

std::span<const uint8_t> head_of(const api::TraceRecord& record) {
  return std::span(record.head).first(std::min<size_t>(record.head_length, record.head.size()));
}

std::string frame_text(const api::TraceRecord& record) {
  return describe_frame(head_of(record), record.length);
}

std::string padded(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string hex_bytes(std::span<const uint8_t> bytes) {
  std::string text;
  std::array<char, 3> digits{};
  for (const uint8_t byte : bytes) {
    std::snprintf(digits.data(), digits.size(), "%02x", byte);
    text += digits.data();
  }
  return text;
}

double seconds(uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

enum class Outcome : uint8_t { sent, answered, dropped, unknown };

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::sent: return "sent";
    case Outcome::answered: return "answered";
    case Outcome::dropped: return "dropped";
    case Outcome::unknown: break;
  }
  return "unknown";
}

// "answered": what left is an ICMP error about the packet, not the packet.
Outcome outcome_of(const TracedPacket& packet, const DropTexts& drops) {
  const std::string verdict = field_text(packet.steps.back().verdict);
  if (drops.contains(verdict)) return Outcome::dropped;
  if (verdict != kSent) return Outcome::unknown;
  const bool rejected = std::ranges::any_of(packet.steps, [](const api::TraceRecord& step) {
    return field_text(step.stage) == kIcmpError;
  });
  return rejected ? Outcome::answered : Outcome::sent;
}

std::string end_text(const TracedPacket& packet, const PortNames& names, const DropTexts& drops) {
  const api::TraceRecord& last = packet.steps.back();
  const std::string verdict = field_text(last.verdict);
  switch (outcome_of(packet, drops)) {
    case Outcome::sent: return "sent to " + port_label(last.out_key, names);
    case Outcome::answered:
      return "not forwarded: an ICMP error was sent to " + port_label(last.out_key, names);
    case Outcome::dropped: return "dropped, " + verdict + ": " + drops.at(verdict);
    case Outcome::unknown: break;
  }
  return "not known: the trace ended at " + verdict;
}

}  // namespace

DropTexts drop_texts(std::span<const api::DropCounter> drops) {
  DropTexts texts;
  for (const api::DropCounter& drop : drops) texts[field_text(drop.name)] = field_text(drop.text);
  return texts;
}

bool TraceGatherer::ends(const api::TraceRecord& record) const {
  const std::string verdict = field_text(record.verdict);
  return verdict == kSent || drops_->contains(verdict);
}

void TraceGatherer::complete(uint32_t worker) {
  const auto open = open_.find(worker);
  if (open == open_.end()) return;
  whole_.push_back(std::move(open->second));
  open_.erase(open);
}

void TraceGatherer::add(std::span<const api::TraceRecord> records) {
  for (const api::TraceRecord& record : records) {
    const auto open = open_.find(record.worker);
    if (open != open_.end() && open->second.steps.front().packet != record.packet) {
      complete(record.worker);
    }
    open_[record.worker].steps.push_back(record);
    if (ends(record)) complete(record.worker);
  }
}

std::optional<TracedPacket> TraceGatherer::next() {
  if (whole_.empty()) return std::nullopt;
  TracedPacket packet = std::move(whole_.front());
  whole_.pop_front();
  return packet;
}

void TraceGatherer::finish() {
  while (!open_.empty()) complete(open_.begin()->first);
}

std::string traced_packet_text(const TracedPacket& packet, const PortNames& names,
                               const DropTexts& drops) {
  const api::TraceRecord& first = packet.steps.front();
  const std::string from = port_label(first.in_key, names);
  std::string text = "packet " + std::to_string(first.packet) + " on worker " +
                     std::to_string(first.worker) + " at " + fixed(seconds(first.nanoseconds), 6) +
                     " from " + (from.empty() ? "a port that is gone" : from) + "\n";
  std::string shown;
  for (const api::TraceRecord& step : packet.steps) {
    std::string line =
        "  " + padded(field_text(step.stage), 12) + " -> " + padded(field_text(step.verdict), 14);
    const std::string frame = frame_text(step);
    if (frame != shown) line += "  " + frame;
    shown = frame;
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text + "  " + end_text(packet, names, drops) + "\n\n";
}

Json traced_packet_json(const TracedPacket& packet, const PortNames& names,
                        const DropTexts& drops) {
  const api::TraceRecord& first = packet.steps.front();
  const api::TraceRecord& last = packet.steps.back();
  const std::string verdict = field_text(last.verdict);
  Json json{{"packet", json_u64(first.packet)},
            {"worker", first.worker},
            {"nanoseconds", json_u64(first.nanoseconds)},
            {"length", first.length},
            {"in_port", port_reference_json(first.in_key, names)},
            {"out_port", port_reference_json(last.out_key, names)},
            {"outcome", to_string(outcome_of(packet, drops))},
            {"drop", nullptr},
            {"frame", frame_text(first)},
            {"steps", Json::array()}};
  if (const auto drop = drops.find(verdict); drop != drops.end()) {
    json["drop"] = {{"name", drop->first}, {"text", drop->second}};
  }
  for (const api::TraceRecord& step : packet.steps) {
    json["steps"].push_back({{"stage", field_text(step.stage)},
                             {"verdict", field_text(step.verdict)},
                             {"nanoseconds", json_u64(step.nanoseconds)},
                             {"length", step.length},
                             {"frame", frame_text(step)},
                             {"head", hex_bytes(head_of(step))}});
  }
  return json;
}

}  // namespace weir::ctl
