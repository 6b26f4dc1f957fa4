# Shared by the scripts in ci/; sourced, never run.

set -euo pipefail

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_dir=${WEIR_BUILD_DIR:-$tree/build}
run_dir=${WEIR_RUN_DIR:-/run/weir}
state_dir=${WEIR_STATE_DIR:-/var/lib/weir}
# What ci/up did and ci/down has to undo.
journal=$run_dir/ci

say() { printf '%s\n' "$*"; }
step() { printf '==> %s\n' "$*"; }
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

need_root() {
  [ "$(id -u)" = 0 ] || die "$1 needs root; run it with sudo."
}

# Debian's own, which sees python3-scapy and python3-pytest.
python=/usr/bin/python3

# Names of the programs are fixed; where the build puts them is meson's layout.
dataplane_program=$build_dir/dataplane/weir-dataplane
control_program=$build_dir/control/weir-control
cni_program=$build_dir/cni/weir-cni
weirctl_program=$build_dir/control/ctl/weirctl

# The same as ninja targets, for those who need no tests and no benchmarks.
program_targets="dataplane/weir-dataplane control/weir-control cni/weir-cni control/ctl/weirctl"

built() {
  [ -x "$dataplane_program" ] && [ -x "$control_program" ] && [ -x "$cni_program" ] &&
    [ -x "$weirctl_program" ]
}

# wait_until SECONDS COMMAND...: tries the condition until it holds or time is up.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.05
  done
}

# alive PID_FILE: the process it names runs and is one of ours. A zombie has no exe, but
# while it has other threads they hold its sockets and devices.
alive() {
  local pid exe threads
  pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] || return 1
  if exe=$(readlink "/proc/$pid/exe" 2>/dev/null); then
    [[ $exe == */weir-* ]]
  else
    threads=("/proc/$pid/task"/*)
    [ ${#threads[@]} -gt 1 ]
  fi
}

gone() { ! alive "$1"; }

# Nodes that start and stop at the same time take turns with the machine's hugepages:
# held from here until release_hugepages.
hugepages_knob=/proc/sys/vm/nr_hugepages
hold_hugepages() {
  [ -r "$hugepages_knob" ] || return 0
  exec 9<"$hugepages_knob"
  flock -w 60 9 || true
}
release_hugepages() { exec 9<&-; }

# A value of the configuration file, e.g. config_value dataplane hugepages auto
config_value() {
  "$python" - "$config" "$@" <<'PYTHON'
import json, sys
path, section, key, default = sys.argv[1:5]
try:
    with open(path) as file:
        value = json.load(file)[section][key]
except (OSError, ValueError, KeyError, TypeError):
    value = default
print(value)
PYTHON
}
