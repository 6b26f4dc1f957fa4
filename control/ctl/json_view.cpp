#include "control/ctl/json_view.h"

#include <algorithm>
#include <cctype>

#include "control/ctl/table.h"

namespace weir::ctl {
namespace {

std::string words(std::string key, bool upper) {
  std::ranges::replace(key, '_', ' ');
  if (upper) {
    std::ranges::transform(key, key.begin(),
                           [](char c) { return static_cast<char>(std::toupper(c)); });
  }
  return printable(key);
}

// A number, or one that was too large for JSON readers and came as its digits.
bool is_number(const Json& value) {
  if (!value.is_string()) return value.is_number();
  const auto& text = value.get_ref<const std::string&>();
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

bool numeric(const Json& rows, const std::string& key) {
  bool any = false;
  for (const Json& row : rows) {
    const Json& value = member(row, key);
    if (!value.is_null() && !is_number(value)) return false;
    any |= is_number(value);
  }
  return any;
}

}  // namespace

const Json& member(const Json& object, std::string_view key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(std::string(key));
  return found == object.end() ? kNull : *found;
}

std::string cell_of(const Json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return printable(value.get_ref<const std::string&>());
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (!value.is_structured()) return printable(value.dump());
  std::string text;
  for (const auto& [key, element] : value.items()) {
    text += text.empty() ? "" : ",";
    text += (value.is_object() ? printable(key) + "=" : "") + cell_of(element);
  }
  return text;
}

std::string fields_of(const Json& object, std::string_view indent) {
  if (!object.is_object()) return std::string(indent) + cell_of(object) + "\n";
  Fields fields;
  for (const auto& [key, value] : object.items()) {
    fields.add(std::string(indent) + words(key, false), cell_of(value));
  }
  return fields.text();
}

std::string table_of(const Json& rows, const std::vector<std::string>& keys,
                     std::string_view nothing) {
  if (!rows.is_array() || rows.empty()) return std::string(nothing) + "\n";
  std::vector<Table::Column> columns;
  for (const std::string& key : keys) {
    columns.push_back(
        {words(key, true), numeric(rows, key) ? Table::Align::right : Table::Align::left});
  }
  Table table(std::move(columns));
  for (const Json& row : rows) {
    std::vector<std::string> cells;
    for (const std::string& key : keys) cells.push_back(cell_of(member(row, key)));
    table.row(std::move(cells));
  }
  return table.text();
}

}  // namespace weir::ctl
