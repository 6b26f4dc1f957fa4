// The manual, the troubleshooting page and the completion know what the programs know.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>

#include "config/config.h"
#include "control/ctl/completion.h"
#include "control/ctl/program.h"
#include "dataplane/core/drop.h"
#include "tests/control/fake_dataplane.h"

namespace weir::test {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string document(const std::string& name) {
  return read_file(std::string(WEIR_SOURCE_ROOT) + "/docs/" + name);
}

using Path = std::vector<std::string>;

// Every command of the tree as the words that lead to it, with its App.
void walk(const CLI::App& app, const Path& path,
          std::vector<std::pair<Path, const CLI::App*>>& all) {
  all.emplace_back(path, &app);
  for (const CLI::App* child : app.get_subcommands({})) {
    Path longer = path;
    longer.push_back(child->get_name());
    walk(*child, longer, all);
  }
}

class CtlDocs : public testing::Test {
 protected:
  CtlDocs() {
    ctl::add_all_commands(program_);
    walk(*program_.root(), {}, commands_);
  }

  ctl::Program program_;
  std::vector<std::pair<Path, const CLI::App*>> commands_;
};

TEST_F(CtlDocs, TroubleshootingExplainsEveryDropReason) {
  const std::string page = document("troubleshooting.md");
  for (const dataplane::DropInfo& drop : dataplane::kDrops) {
    const std::string row =
        "| `" + std::string(drop.name) + "` | " + std::string(drop.text) + " | ";
    EXPECT_NE(page.find(row), std::string::npos)
        << "docs/troubleshooting.md lacks a row that begins with: " << row;
  }
}

TEST_F(CtlDocs, TroubleshootingExplainsNoReasonThatIsGone) {
  std::set<std::string, std::less<>> known;
  std::set<std::string> stages;
  for (const dataplane::DropInfo& drop : dataplane::kDrops) {
    known.emplace(drop.name);
    stages.emplace(drop.name.substr(0, drop.name.find('_')));
  }
  const std::string page = document("troubleshooting.md");
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    // Rows whose first cell is one name that begins like a drop reason.
    if (!line.starts_with("| `")) continue;
    const std::string name = line.substr(3, line.find('`', 3) - 3);
    const size_t underscore = name.find('_');
    if (underscore == std::string::npos || !stages.contains(name.substr(0, underscore))) continue;
    EXPECT_TRUE(known.contains(name)) << line;
  }
}

TEST_F(CtlDocs, TroubleshootingAndManualNameEveryErrorCode) {
  const std::string page = document("troubleshooting.md");
  const std::string manual = document("man/weirctl.1");
  for (int code = 1; to_string(static_cast<ErrorCode>(code)) != "unknown"; ++code) {
    const std::string name(to_string(static_cast<ErrorCode>(code)));
    EXPECT_NE(page.find("`" + name + "`"), std::string::npos) << name;
    EXPECT_NE(manual.find(name), std::string::npos) << name;
  }
}

TEST_F(CtlDocs, ManualNamesEveryCommandAndOption) {
  const std::string manual = document("man/weirctl.1");
  for (const auto& [path, app] : commands_) {
    if (!path.empty() && app->get_subcommands({}).empty()) {
      const std::string head = path.size() > 1 ? path[0] + " " + path[1] : path[0];
      EXPECT_NE(manual.find(".It Ic " + head), std::string::npos) << head;
      if (path.size() > 2) {
        EXPECT_NE(manual.find("Ic " + path[2]), std::string::npos) << path[2];
      }
    }
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        EXPECT_NE(manual.find("Fl -" + name), std::string::npos) << name;
      }
    }
  }
}

TEST_F(CtlDocs, ManualNamesEveryKeyOfTheConfiguration) {
  const std::string manual = document("man/weir.json.5");
  for (const std::string& key : config::known_keys()) {
    const size_t dot = key.find('.');
    EXPECT_NE(manual.find(".Ss Section " + key.substr(0, dot) + "\n"), std::string::npos) << key;
    EXPECT_NE(manual.find(".It Li " + key.substr(dot + 1) + "\n"), std::string::npos) << key;
  }
}

// Runs a script in bash; its output by lines.
std::vector<std::string> bash(const std::string& script) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/script";
  std::ofstream(path) << script;
  std::vector<std::string> lines;
  FILE* output = popen(("bash " + path + " 2>&1").c_str(), "r");
  if (output == nullptr) return lines;
  std::string all;
  for (int c = fgetc(output); c != EOF; c = fgetc(output)) all += static_cast<char>(c);
  EXPECT_EQ(pclose(output), 0) << all;
  std::istringstream stream(all);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Completes the last of `words` (shell syntax).
std::string complete(const std::string& words) {
  return "COMP_WORDS=(" + words +
         "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _weirctl weirctl\n"
         "echo \"${COMPREPLY[*]}\"\n";
}

TEST_F(CtlDocs, CompletionKnowsEveryCommand) {
  std::string script = ctl::bash_completion(*program_.root());
  std::vector<std::string> expected;
  for (const auto& [path, app] : commands_) {
    if (app->get_subcommands({}).empty()) continue;
    std::string words = "weirctl --run-dir /x -j";
    for (const std::string& word : path) words += " " + word;
    // The prefix stands between `route add` and its target.
    if (path == Path{"route", "add"}) words += " 10.0.0.0/8";
    script += complete(words + " ''");
    std::string names;
    for (const CLI::App* child : app->get_subcommands({})) {
      names += (names.empty() ? "" : " ") + child->get_name();
    }
    expected.push_back(names);
  }
  EXPECT_EQ(bash(script), expected);
}

TEST_F(CtlDocs, CompletionKnowsOptionsPrefixesAndPorts) {
  std::string script = ctl::bash_completion(*program_.root());
  script += "weirctl() { echo 'KEY NAME'; echo '7 default/web'; echo '8 -'; }\n";
  script += complete("weirctl drop list --a");
  script += complete("weirctl wor");
  script += complete("weirctl port show ''");
  script += complete("weirctl trace --port def");
  script += complete("weirctl trace --count ''");
  script += complete("weirctl trace route --from def");
  script += complete("weirctl trace route --source-p");
  EXPECT_EQ(bash(script),
            (std::vector<std::string>{"--all", "worker", "7 default/web 8", "default/web", "",
                                      "default/web", "--source-port"}));
}

}  // namespace
}  // namespace weir::test
