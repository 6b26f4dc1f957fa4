#include "cni/fault/fault.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace weir::fault {

namespace {

struct Plan {
  std::string action;  // empty: nothing is to happen
  std::string place;
  int countdown = 1;
};

Plan read_plan() {
  const char* variable = std::getenv("WEIR_FAULT");  // NOLINT(concurrency-mt-unsafe): never set
  const std::string text = variable == nullptr ? "" : variable;
  const size_t at = text.find('@');
  if (at == std::string::npos) return {};
  const size_t number = text.find('#', at);
  Plan plan{text.substr(0, at), text.substr(at + 1, number - at - 1)};
  if (number != std::string::npos) plan.countdown = std::atoi(text.c_str() + number + 1);
  return plan;
}

// True the one time that it is this place's turn.
bool due(const Plan& plan, const char* name) {
  static std::atomic<int> reached = 0;
  return plan.place == name &&
         reached.fetch_add(1, std::memory_order_relaxed) + 1 == plan.countdown;
}

[[noreturn]] void hang() {
  while (true) pause();
}

void act(const Plan& plan, const char* name) {
  // For the test, which must know that the place was reached.
  std::fprintf(stderr, "fault: %s@%s\n", plan.action.c_str(), name);
  if (plan.action == "kill") {
    kill(getpid(), SIGKILL);
    hang();  // the signal is on its way
  }
  if (plan.action == "abort") std::abort();
  if (plan.action == "hang") hang();
}

const Plan& plan() {
  static const Plan read = read_plan();
  return read;
}

}  // namespace

void reach(const char* name) {
  if (due(plan(), name)) act(plan(), name);
}

std::optional<Error> fail(const char* name) {
  if (!due(plan(), name)) return std::nullopt;
  act(plan(), name);
  return Error{ErrorCode::io, std::string("injected fault at ") + name};
}

}  // namespace weir::fault
