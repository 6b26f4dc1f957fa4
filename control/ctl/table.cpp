#include "control/ctl/table.h"

#include <algorithm>
#include <cassert>

namespace weir::ctl {
namespace {

void append_cell(std::string& line, const std::string& cell, size_t width, Table::Align align) {
  const std::string padding(width - cell.size(), ' ');
  if (!line.empty()) line += "  ";
  line += align == Table::Align::right ? padding + cell : cell + padding;
}

void append_line(std::string& text, std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  text += line + "\n";
}

}  // namespace

void Table::row(std::vector<std::string> cells) {
  assert(cells.size() == columns_.size());
  for (std::string& cell : cells) {
    if (cell.empty()) cell = "-";
  }
  rows_.push_back(std::move(cells));
}

std::vector<size_t> Table::widths() const {
  std::vector<size_t> widths;
  for (const Column& column : columns_) widths.push_back(column.title.size());
  for (const auto& cells : rows_) {
    for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  }
  return widths;
}

std::string Table::text() const {
  const std::vector<size_t> width = widths();
  std::string text;
  std::string line;
  for (size_t i = 0; i < columns_.size(); ++i) {
    append_cell(line, columns_[i].title, width[i], columns_[i].align);
  }
  append_line(text, std::move(line));
  for (const auto& cells : rows_) {
    line.clear();
    for (size_t i = 0; i < cells.size(); ++i) {
      append_cell(line, cells[i], width[i], columns_[i].align);
    }
    append_line(text, std::move(line));
  }
  return text;
}

void Fields::add(std::string label, std::string value) {
  if (!value.empty()) fields_.emplace_back(std::move(label), std::move(value));
}

std::string Fields::text() const {
  size_t width = 0;
  for (const auto& [label, value] : fields_) width = std::max(width, label.size());
  std::string text;
  for (const auto& [label, value] : fields_) {
    text += label + ":" + std::string(width - label.size() + 2, ' ') + value + "\n";
  }
  return text;
}

}  // namespace weir::ctl
