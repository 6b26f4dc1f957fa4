#include "control/cni/admission.h"

#include "control/cni/cni_error.h"

namespace weir::control {

std::optional<cni::Error> over_budget(Controller& controller, cni::Code code) {
  const Result<uint64_t> pods = controller.store.count_pods();
  if (!pods) return cni_error(pods.error());
  const uint32_t most = controller.config.network.max_pods;
  if (*pods < most) return std::nullopt;
  return cni::Error{code,
                    "the node is full: " + std::to_string(*pods) + " of " + std::to_string(most) +
                        " pod interfaces are attached",
                    "remove pods, or raise network.max_pods in weir.json ('weirctl plan' says "
                    "what that takes)"};
}

}  // namespace weir::control
