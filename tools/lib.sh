# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# lib.sh - what the scripts in tools/ and tests/e2e/ share: where things are, messages, bounded waiting, the sandbox.
# Source it; it runs nothing by itself.

LBD_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Tools of the administrator (ip, bpftool, nginx) are not in everybody's PATH; Debian's python3 is the one with scapy.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
# shellcheck disable=SC2034 # used by those who source this
PYTHON=/usr/bin/python3

if [ "${LBD_COLOUR:-}" = always ] || { [ -t 1 ] && [ "${TERM:-dumb}" != dumb ] && [ -z "${NO_COLOR:-}" ]; }; then
  C_BOLD=$'\e[1m' C_DIM=$'\e[2m' C_RED=$'\e[31m' C_GREEN=$'\e[32m' C_YELLOW=$'\e[33m' C_CYAN=$'\e[36m' C_OFF=$'\e[0m'
else
  C_BOLD='' C_DIM='' C_RED='' C_GREEN='' C_YELLOW='' C_CYAN='' C_OFF=''
fi
: "$C_BOLD$C_DIM$C_RED$C_GREEN$C_YELLOW$C_CYAN$C_OFF"

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
  warn "$*"
  exit 1
}
now_ms() { # into the variable $1: no subshell, so that it can be used in loops
  local t=$EPOCHREALTIME
  printf -v "$1" '%d' "$((${t/[.,]/} / 1000))"
}

# wait_for SECONDS COMMAND...: run it until it succeeds; fails when the time is over.
wait_for() {
  local limit=$1 start now
  shift
  now_ms start
  until "$@"; do
    now_ms now
    ((now - start < limit * 1000)) || return 1
    sleep 0.02
  done
}

# ---- builds ----------------------------------------------------------------------------------------------------

# lbd_build PRESET [CMAKE-OPTION...]: configure and build into build/PRESET, one builder at a time. Quiet unless it fails.
# What runs from the build directory meanwhile is not disturbed: files that are up to date are not touched.
lbd_build() {
  local preset=$1 dir=$LBD_ROOT/build/$1 log
  shift
  mkdir -p "$dir"
  log=$dir/build.log
  local -a launcher=()
  command -v ccache >/dev/null && launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
  (
    if ! flock -n 9; then
      say "waiting for another build in build/$preset"
      flock -w 1200 9 || die "another build has held build/$preset for 20 minutes"
    fi
    {
      cmake -S "$LBD_ROOT" -B "$dir" --preset "$preset" "${launcher[@]}" "$@" &&
        cmake --build "$dir" --parallel "$(nproc)"
    } >"$log" 2>&1 9>&-
  ) 9>"$dir/.lock" || {
    tail -n 60 "$dir/build.log" >&2
    die "the build failed; all of its output is in build/$preset/build.log"
  }
}

# ---- sandbox ---------------------------------------------------------------------------------------------------
# A sandbox is a set of private mount, process and network namespaces. It has its own /run (so its own /run/netns and
# /run/lbd), its own bpffs, and no interface but lo. When the command in it ends, even by kill -9 of whoever started it,
# the kernel removes every process, network namespace, pin and XDP program in it: nothing is left to clean up.

# sandbox_run COMMAND...: run it in a new sandbox; its exit status is returned.
sandbox_run() {
  local pid status
  # In the background, so that the traps below run at once. setpriv: when this shell dies, unshare dies; --kill-child:
  # when unshare dies, process 1 of the sandbox dies, and all others with it.
  # shellcheck disable=SC2016 # expanded by the inner shell
  LBD_SANDBOX=$1 setpriv --pdeathsig KILL \
    unshare --mount --net --pid --fork --kill-child=KILL --mount-proc \
    bash -c '. "$0" && sandbox_setup && exec "$@"' "$LBD_ROOT/tools/lib.sh" "$@" <&0 &
  pid=$!
  # shellcheck disable=SC2064 # now, not later
  trap "kill -KILL $pid 2>/dev/null" INT TERM HUP
  status=0
  wait "$pid" || status=$?
  trap - INT TERM HUP
  return "$status"
}

sandbox_setup() {
  if ! { mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/netns /run/lock /run/lbd /run/tmp &&
    mount -t sysfs sysfs /sys && mount -t bpf bpf /sys/fs/bpf && ip link set lo up; }; then
    die "the sandbox could not be set up: are you root, in a container without privileges?"
  fi
  export TMPDIR=/run/tmp
}

# Is this the run of this script inside the sandbox that it made for itself? A sandbox of somebody else, in which it may
# have been started, does not count.
in_own_sandbox() { [ "${LBD_SANDBOX:-}" = "$(readlink -f "$0")" ]; }

# sandbox_enter ARGUMENTS...: run this same script in a sandbox of its own, unless this is that run.
sandbox_enter() {
  local status=0
  in_own_sandbox && return
  sandbox_run "$(readlink -f "$0")" "$@" || status=$?
  exit "$status"
}

in_network_namespace() { # NAME COMMAND...; not `ip netns exec`, which hides bpffs
  local ns=$1
  shift
  nsenter --net="/run/netns/$ns" -- "$@"
}
