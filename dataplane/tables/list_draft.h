// A list that comes record by record and counts once it is whole.
#pragma once

#include <vector>

#include "dataplane/api/error.h"
#include "dataplane/api/service.h"

namespace weir::dataplane {

template <class Record>
class ListDraft {
 public:
  explicit ListDraft(size_t limit) : limit_(limit) {}

  // Takes the next record of the list `key`; true when it was the last. After an error the
  // list has to begin again.
  Result<bool> take(uint64_t key, uint32_t flags, const Record& record) {
    Status status = check(key, flags);
    if ((flags & api::kListFirst) != 0) records_.clear();
    if (status) status = check_limit();
    if (!status) {
      key_ = 0;
      return status.error();
    }
    key_ = key;
    if ((flags & api::kListEmpty) == 0) records_.push_back(record);
    return (flags & api::kListLast) != 0;
  }
  // The whole list; the draft is empty then.
  std::vector<Record> finish() {
    key_ = 0;
    return std::exchange(records_, {});
  }
  void abandon() { static_cast<void>(finish()); }

 private:
  Status check(uint64_t key, uint32_t flags) const {
    constexpr uint32_t kBoth = api::kListFirst | api::kListLast;
    if (key == 0) return {ErrorCode::invalid_argument, "a list needs a number that is not 0"};
    if ((flags & ~(kBoth | api::kListEmpty)) != 0)
      return {ErrorCode::invalid_argument,
              "a list record has flags that this version does not know; update the dataplane"};
    if ((flags & api::kListEmpty) != 0 && (flags & kBoth) != kBoth)
      return {ErrorCode::invalid_argument,
              "an empty list is one record that is first and last; set both flags"};
    if ((flags & api::kListFirst) == 0 && key != key_)
      return {ErrorCode::invalid_argument,
              "list " + std::to_string(key) + " has no first record; send it again from its start"};
    return {};
  }
  Status check_limit() const {
    if (records_.size() < limit_) return {};
    return {ErrorCode::limit,
            "a list has at most " + std::to_string(limit_) + " members; send a shorter one"};
  }

  size_t limit_;
  uint64_t key_ = 0;  // of the list that is open, 0 = none
  std::vector<Record> records_;
};

}  // namespace weir::dataplane
