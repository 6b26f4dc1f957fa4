#include "control/ctl/drop_view.h"

#include <algorithm>
#include <iterator>

#include "control/ctl/table.h"

namespace weir::ctl {

std::vector<api::DropCounter> nonzero(std::span<const api::DropCounter> drops) {
  std::vector<api::DropCounter> seen;
  std::ranges::copy_if(drops, std::back_inserter(seen),
                       [](const api::DropCounter& drop) { return drop.packets != 0; });
  return seen;
}

std::string drops_text(std::span<const api::DropCounter> drops) {
  if (drops.empty()) return "no packet was dropped\n";
  Table table({{"DROP"}, {"PACKETS", Table::Align::right}, {"REASON"}});
  for (const api::DropCounter& drop : drops) {
    table.row({field_text(drop.name), std::to_string(drop.packets), field_text(drop.text)});
  }
  return table.text();
}

Json drops_json(std::span<const api::DropCounter> drops) {
  Json all = Json::array();
  for (const api::DropCounter& drop : drops) {
    all.push_back({{"name", field_text(drop.name)},
                   {"text", field_text(drop.text)},
                   {"packets", json_u64(drop.packets)}});
  }
  return all;
}

}  // namespace weir::ctl
