#include "control/ctl/completion.h"

#include "control/ctl/program.h"

namespace weir::ctl {
namespace {

// Paths such as "weirctl port show" to what may follow them.
struct Tables {
  std::string commands;
  std::string options;
  std::string ports;   // paths that take a port as argument
  std::string valued;  // options that are followed by a value
};

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

std::string names_of(const CLI::Option& option) {
  std::string names;
  for (const std::string& name : option.get_snames()) names += "-" + name + " ";
  for (const std::string& name : option.get_lnames()) names += "--" + name + " ";
  return names;
}

std::string entry(const std::string& path, const std::string& words) {
  return "    [\"" + path + "\"]=\"" + words + "\"\n";
}

void collect(const CLI::App& app, const std::string& path, const std::string& inherited,
             Tables& tables) {
  std::string commands;
  for (const CLI::App* child : app.get_subcommands({})) {
    if (!child->get_group().empty()) commands += child->get_name() + " ";
  }
  std::string options = inherited;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() && option->get_type_name() == "PORT") {
      tables.ports += entry(path, "yes");
    }
    const std::string names = names_of(*option);
    if (takes_value(*option)) tables.valued += names;
    // Every command inherits the root's options and has its own --help.
    if (options.find(names) == std::string::npos) options += names;
  }
  tables.commands += entry(path, commands);
  tables.options += entry(path, options);
  for (const CLI::App* child : app.get_subcommands({})) {
    collect(*child, path + " " + child->get_name(), options, tables);
  }
}

constexpr const char* kHead = R"(# bash completion for weirctl(1), made by 'weirctl completion'.

_weirctl_ports() {
  "$1" port list 2>/dev/null | awk 'NR > 1 { print $1; if ($2 != "-") print $2 }'
}

_weirctl() {
  COMPREPLY=()
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
)";

constexpr const char* kTail = R"(
  # The command so far, without options, their values and other arguments.
  local path=weirctl word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case " $valued " in *" $word "*) ((i++)); continue ;; esac
    case " ${commands[$path]} " in *" $word "*) path="$path $word" ;; esac
  done

  local choices=${commands[$path]}
  case $prev in
    --run-dir) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    --port | --from) choices=$(_weirctl_ports "$1") ;;
    *)
      case " $valued " in *" $prev "*) return ;; esac
      if [[ $cur == -* ]]; then
        choices=${options[$path]}
      elif [[ -n ${ports[$path]} ]]; then
        choices=$(_weirctl_ports "$1")
      fi
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$cur")
}

complete -F _weirctl weirctl
)";

std::string associative(const char* name, const std::string& entries) {
  return "  local -A " + std::string(name) + "=(\n" + entries + "  )\n";
}

}  // namespace

std::string bash_completion(const CLI::App& root) {
  Tables tables;
  collect(root, root.get_name(), "", tables);
  return kHead + associative("commands", tables.commands) + associative("options", tables.options) +
         associative("ports", tables.ports) + "  local valued=\"" + tables.valued + "\"\n" + kTail;
}

void add_completion_command(Program& program) {
  program.verb(program.root(), "completion", "prints the completion script for bash",
               [&program](Session& session) {
                 session.out << bash_completion(*program.root());
                 return Status{};
               });
}

}  // namespace weir::ctl
