// The order of the stages. One translation unit, so that classifiers are inlined.
#include "dataplane/core/pipeline.h"
#include "dataplane/nodes/arp.h"
#include "dataplane/nodes/connection.h"
#include "dataplane/nodes/express.h"
#include "dataplane/nodes/icmp_error.h"
#include "dataplane/nodes/local.h"
#include "dataplane/nodes/masquerade.h"
#include "dataplane/nodes/mtu.h"
#include "dataplane/nodes/nd.h"
#include "dataplane/nodes/parse.h"
#include "dataplane/nodes/rewrite.h"
#include "dataplane/nodes/route.h"
#include "dataplane/nodes/service.h"
#include "dataplane/nodes/source_check.h"

namespace weir::dataplane {
namespace {

// Moves what waits for one stage before another, which nothing waits for.
void pass_on(Vector& vector, Next from, Next to) noexcept {
  StageQueue& queue = vector.queue(from);
  vector.queue(to) = queue;
  queue.count = 0;
}

}  // namespace

template <bool Traced>
void run_pipeline(Vector& vector, StageContext& context, PipelineCounters& counters,
                  TraceSink* trace) noexcept {
  uint64_t clock = __rdtsc();
  const auto run = [&]<class... Stages>() {
    (run_stage<Stages, Traced>(vector, context, counters, trace, clock), ...);
  };
  const auto forward = [&] {
    if (context.connections != nullptr && !context.connections->empty()) {
      pass_on(vector, Next::route, Next::connection);
      run.template operator()<ConnectionStage>();
    }
    // What a service translated is routed again, to its backend.
    run.template operator()<Route, ServiceStage, Route, Local, Rewrite, Mtu, Masquerade,
                            IcmpError>();
  };
  run.template operator()<Express, Parse, SourceCheck, Arp, Nd>();
  forward();
  // What weir made itself goes round once more; it is never answered, so this ends.
  if (vector.queue(Next::route).count != 0) forward();
}

template void run_pipeline<false>(Vector&, StageContext&, PipelineCounters&, TraceSink*) noexcept;
template void run_pipeline<true>(Vector&, StageContext&, PipelineCounters&, TraceSink*) noexcept;

}  // namespace weir::dataplane
