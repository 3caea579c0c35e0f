# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# lib.sh - for the end-to-end tests, which begin with: . "$(dirname "$0")/lib.sh"
#
# Sourcing it moves the test into a sandbox (so root is needed; else it is skipped), and turns on errexit. A test says
# what it saw with `ok`, ends with its first failure, and then shows the balancers' logs. It waits for events with
# wait_for, never for time to pass.

# shellcheck source=lab.sh
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"

skip() {
  say "skipped: $*"
  exit 77
}

[ "$(id -u)" = 0 ] || skip "needs root"
[ -x "$LBD_BUILD/daemon/lbd" ] || skip "$LBD_BUILD/daemon/lbd is not built"
for tool in ip nsenter ethtool bpftool nginx curl jq tcpdump wrk "$PYTHON"; do
  command -v "$tool" >/dev/null || skip "needs $tool (tools/deps installs it)"
done
sandbox_enter "$@"
set -euo pipefail

mkdir -p "$LAB"
trap finish EXIT
trap 'warn "line $LINENO: $BASH_COMMAND"' ERR

finish() {
  local status=$? i
  [ "$status" = 0 ] && return
  for i in 1 2; do
    if [ -e "$LAB/bal$i/lbd.log" ]; then
      say "---- bal$i: end of its log"
      tail -n 25 "$LAB/bal$i/lbd.log"
      say "---- bal$i: backends"
      timeout 5 "$LBCTL" --socket "$LAB/bal$i/lbd.sock" backends 2>&1 | head -n 20
    fi
  done
  exit "$status"
}

ok() { say "ok: $*"; }
fail() {
  say "FAILED: $*"
  exit 1
}
equal() { # WHAT GOT WANTED
  [ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"
  ok "$1: $2"
}
at_least() { # WHAT GOT MINIMUM
  (($2 >= $3)) || fail "$1: got $2, wanted at least $3"
  ok "$1: $2"
}
at_most() { # WHAT GOT MAXIMUM
  (($2 <= $3)) || fail "$1: got $2, wanted at most $3"
  ok "$1: $2"
}
contains() { # WHAT TEXT PATTERN (extended regular expression)
  grep -qE -- "$3" <<<"$2" || fail "$1: '$3' is not in: $2"
  ok "$1"
}

# Everything: network, servers, both balancers, all backends healthy.
lab_start() { # [l3|l2]
  lab_up "${1:-l3}"
  lab_backends_setup
  lab_serve
  balancer_start 1
  balancer_start 2
  wait_all_healthy
}

# ---- what lbctl says -------------------------------------------------------------------------------------------

backend_field() { # BALANCER SERVICE BACKEND JQ-FILTER
  ctl "$1" backends --json | jq -r --arg s "$2" --arg b "$3" \
    ".backends[] | select(.service == \$s and .name == \$b) | $4"
}
backend_is() { # SERVICE BACKEND STATE-PATTERN: on both balancers
  local i
  for i in 1 2; do
    [[ $(backend_field "$i" "$1" "$2" .state) =~ ^($3)$ ]] || return 1
  done
}
wait_backend() { # SERVICE BACKEND STATE-PATTERN [SECONDS]
  wait_for "${4:-15}" backend_is "$1" "$2" "$3" ||
    fail "$1/$2 is not $3 within ${4:-15} s, but $(backend_field 1 "$1" "$2" '.state + ": " + .reason')"
}
all_healthy() {
  local i
  for i in 1 2; do
    ctl "$i" backends --json | jq -e '[.backends[] | select(.state != "healthy")] | length == 0' >/dev/null || return 1
  done
}
wait_all_healthy() { wait_for 20 all_healthy || fail "not all backends are healthy within 20 s"; }

both() { # VERB...: the same change on both balancers, as an operator would
  ctl 1 "$@" >/dev/null
  ctl 2 "$@" >/dev/null
}

outcome() { # BALANCER NAME: a counter of the data path
  ctl "$1" stats --json | jq -r --arg n "$2" '.outcomes[$n] // (.outcomes[]? | select(.name? == $n) | .packets) // 0'
}
drops() { # BALANCER: packets dropped so far, all reasons
  ctl "$1" stats --json | jq '[.outcomes | to_entries[] | select(.key | startswith("drop_")) | .value] | add'
}

# ---- captures --------------------------------------------------------------------------------------------------

# What passes the router's end of the link to NAME, in $LAB/NAME.pcap.
capture_start() { # NAME...
  local name
  for name; do
    at_background router tcpdump -i "$name" -U -w "$LAB/$name.pcap" 2>"$LAB/$name.tcpdump"
    echo $! >"$LAB/$name.tcpdump.pid"
  done
  for name; do
    wait_for 10 grep -q 'listening on' "$LAB/$name.tcpdump" || fail "tcpdump does not start on $name"
  done
}
capture_stop() { # NAME...
  local name
  for name; do
    kill -TERM "$(cat "$LAB/$name.tcpdump.pid")"
    wait "$(cat "$LAB/$name.tcpdump.pid")" || :
  done
}
captured() { tcpdump -nr "$LAB/$1.pcap" "$2" 2>/dev/null | wc -l; } # NAME FILTER: so many packets

# ---- clients ---------------------------------------------------------------------------------------------------

# A background client writes its report to $LAB/NAME.json when it is stopped.
client_start() { # NAME SCRIPT ARGUMENT...
  local name=$1 script=$2
  shift 2
  at_background client "$PYTHON" "$LAB_FILES/$script" "$@" >"$LAB/$name.json" 2>"$LAB/$name.err"
  echo $! >"$LAB/$name.pid"
}
client_stop() { # NAME
  local pid
  pid=$(cat "$LAB/$1.pid")
  kill -TERM "$pid"
  wait "$pid" || : # its report says what failed
  [ -s "$LAB/$1.json" ] || fail "$1 gave no report: $(cat "$LAB/$1.err")"
}
load_start() { # NAME [ARGUMENT...]: short requests to both VIPs
  local name=$1
  shift
  client_start "$name" load.py --rate 400 --live "$LAB/$name.live" "$@" "http://$VIP4/" "http://[$VIP6]/"
  wait_for 10 load_answered "$name" 1 || fail "$name: no request is answered: $(cat "$LAB/$name.err")"
}
# Requests answered so far (stdout nothing): at least N?
load_answered() { [ -e "$LAB/$1.live" ] && jq -e --argjson n "$2" '.requests - .failed >= $n' "$LAB/$1.live" >/dev/null; }
# Wait until N more requests have been answered than now: "the traffic has seen the change".
load_more() { # NAME N
  local now
  now=$(jq '.requests - .failed' "$LAB/$1.live")
  wait_for 30 load_answered "$1" "$((now + $2))" || fail "$1: no $2 more answers within 30 s"
}
report() { jq -r "$2" "$LAB/$1.json"; } # NAME JQ-FILTER
no_failures() { # NAME WHAT
  client_stop "$1"
  [ "$(report "$1" .failed)" = 0 ] || fail "$2: $(report "$1" '{requests, failed, by_reason}')"
  ok "$2: $(report "$1" .requests) requests, 0 failed"
}
trickle_start() { # NAME CONNECTIONS
  client_start "$1" trickle.py hold --connections "$2" --interval 0.3 --ready "$LAB/$1.ready" \
    --live "$LAB/$1.live" 9000 "$VIP4" "$VIP6"
  wait_for 30 test -e "$LAB/$1.ready" || fail "$1: not all connections are up: $(tail -n 3 "$LAB/$1.err")"
}
none_broken() { # NAME WHAT
  client_stop "$1"
  [ "$(report "$1" '.broken | length')" = 0 ] || fail "$2: $(report "$1" '.broken[:5]')"
  ok "$2: $(report "$1" .connections) connections, $(report "$1" .records) records, 0 broken"
}
