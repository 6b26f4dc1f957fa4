// Plain text layout: aligned tables and lists of labelled values.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace weir::ctl {

// Columns two blanks apart. An empty cell prints as "-", so that a column keeps its
// number for tools such as awk; lines have no trailing blanks.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // One cell a column.
  void row(std::vector<std::string> cells);
  bool empty() const noexcept { return rows_.empty(); }
  std::string text() const;

 private:
  std::vector<size_t> widths() const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "label:  value" lines with the values aligned. Empty values are left out.
class Fields {
 public:
  void add(std::string label, std::string value);
  std::string text() const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

}  // namespace weir::ctl
