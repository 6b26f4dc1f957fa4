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

std::vector<std::string> columns_of(const Json& rows, const std::vector<std::string>& first) {
  std::vector<std::string> keys;
  const auto known = [&keys](const std::string& key) {
    return std::ranges::find(keys, key) != keys.end();
  };
  for (const std::string& key : first) {
    const bool used = std::ranges::any_of(rows, [&](const Json& row) { return row.contains(key); });
    if (used) keys.push_back(key);
  }
  for (const Json& row : rows) {
    if (!row.is_object()) continue;
    for (const auto& [key, value] : row.items()) {
      if (!known(key)) keys.push_back(key);
    }
  }
  return keys;
}

bool numeric(const Json& rows, const std::string& key) {
  return std::ranges::all_of(rows, [&](const Json& row) {
    return !row.is_object() || !row.contains(key) || row[key].is_number();
  });
}

}  // namespace

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

std::string table_of(const Json& rows, const std::vector<std::string>& first,
                     std::string_view nothing) {
  if (rows.empty()) return std::string(nothing) + "\n";
  const std::vector<std::string> keys = columns_of(rows, first);
  std::vector<Table::Column> columns;
  for (const std::string& key : keys) {
    columns.push_back(
        {words(key, true), numeric(rows, key) ? Table::Align::right : Table::Align::left});
  }
  Table table(std::move(columns));
  for (const Json& row : rows) {
    std::vector<std::string> cells;
    for (const std::string& key : keys) {
      const bool has = row.is_object() && row.contains(key);
      cells.push_back(has ? cell_of(row[key]) : "");
    }
    table.row(std::move(cells));
  }
  return table.text();
}

}  // namespace weir::ctl
