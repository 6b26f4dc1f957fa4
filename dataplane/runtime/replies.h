// How requests of the dataplane API are taken apart and answered.
#pragma once

#include <vector>

#include "dataplane/api/codec.h"

namespace weir::dataplane {

using api::Message;
using api::MessageType;
using Replies = std::vector<Message>;  // at least one

inline Replies failure(const Error& error, uint32_t failed = 0) {
  Replies replies(1);
  replies[0].set_error(error, failed);
  return replies;
}

// As many messages as the records need.
template <api::Record T>
Replies records(const std::vector<T>& all) {
  Replies replies(1);
  for (const T& record : all) {
    if (!replies.back().fits<T>()) replies.emplace_back();
    replies.back().add(record);
  }
  return replies;
}

template <api::Record T>
Replies record(const T& one) {
  return records(std::vector<T>{one});
}

// The only record of a request, or the default when there is none.
template <api::Record T>
T argument(const Message& request) {
  const std::vector<T> all = request.records<T>();
  return all.empty() ? T{} : all.front();
}

// Applies `change` to each record until one fails.
template <api::Record T, class Change>
Replies each(const Message& request, Change change) {
  const auto all = request.records<T>();
  for (uint32_t i = 0; i < all.size(); ++i) {
    if (const Status status = change(all[i]); !status) return failure(status.error(), i);
  }
  return Replies(1);
}

}  // namespace weir::dataplane
