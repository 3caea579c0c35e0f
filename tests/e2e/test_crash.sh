#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is killed in front of a store into the pinned maps, in the middle of a change; another one is started, and
# the maps must become what they become when nobody is killed. LBD_CRASH_POINTS: kills per change (default 6: the
# first, the last, and others by lot; 0: at every single store). LBD_CRASH_CHANGES: which changes.
. "$(dirname "$0")/lib.sh"

POINTS=${LBD_CRASH_POINTS:-6}
RANDOM=${LBD_CRASH_SEED:=$$}
say "seed: LBD_CRASH_SEED=$LBD_CRASH_SEED"
dir=$LAB/bal1
pins=/sys/fs/bpf/bal1
lab_up l3
head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$LAB/seed"

config() { # EXTRA-SERVICES BACKENDS: servers need not exist, their router does
  LAB_SERVICES="
defaults:
  probe: {type: none}
  slow-start: 0s
services:
  - {name: web, vip: [$VIP4, \"$VIP6\"], port: 80, table-size: 4093, backends: [$2]}
  - {name: calls, vip: $VIP4, port: 5353, protocol: udp, udp: track, table-size: 4093, backends: [$2]}
  $1" lab_config 1
}
before=$(config '' '{address: 10.0.31.2}, {address: 10.0.32.2}, {address: "fd00:33::2"}')
after_reload=$(config '- {name: late, vip: 10.99.0.7, port: 443, backends: [{address: 10.0.31.2}]}' \
  '{address: 10.0.31.2, weight: 60}, {address: "fd00:33::2"}, {address: 10.0.34.2}')
after_removal=$(config '' '{address: 10.0.31.2}, {address: "fd00:33::2"}')

command_of() { # CHANGE
  case $1 in
    reload | removal) ctl 1 reload ;;
    hard-down) ctl 1 disable web 10.0.32.2 && ctl 1 disable calls 10.0.32.2 ;;
    drain) ctl 1 drain web 10.0.32.2 && ctl 1 weight web 10.0.31.2 30 ;;
  esac >>"$LAB/command.out" 2>&1
}

# ended: its generation is not the first. One that was added may have been added twice; no flow of it is lost by that.
state() {
  "$PYTHON" "$LAB_FILES/maps.py" "$pins" | jq -cS '.backends |= with_entries(
    .value |= (.ended = (.generation > 1) | del(.generation)) | if .key | endswith("10.0.34.2") then .value.ended = null
    else . end)'
}
state_is() { [ "$(state)" = "$(cat "$1")" ]; }
is_dead() { ! kill -0 "$(cat "$dir/lbd.pid")" 2>/dev/null; }
settled() { # no change is under way: two looks are equal
  local now last=''
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    now=$(state)
    [ "$now" != "$last" ] || return 0
    last=$now
    sleep 0.15
  done
  return 1
}

# A fresh balancer with the first configuration, armed, then the change. DIE_AT 0: nobody dies.
run_change() { # CHANGE DIE-AT
  local pid
  at bal1 "$LBD_BUILD/daemon/lbd" --detach -c "$dir/lbd.yaml" >/dev/null 2>&1 || :
  printf '%s\n' "$before" >"$dir/lbd.yaml"
  rm -f "$LAB/count"
  LD_PRELOAD=$LBD_BUILD/tests/e2e/die_at_store.so DIE_AT=$2 COUNT_IN=$LAB/count balancer_start 1
  wait_for 10 balancer_serves || fail "bal1 does not serve"
  case $1 in
    reload) printf '%s\n' "$after_reload" >"$dir/lbd.yaml" ;;
    removal) printf '%s\n' "$after_removal" >"$dir/lbd.yaml" ;;
  esac
  pid=$(cat "$dir/lbd.pid")
  kill -USR2 "$pid"
  command_of "$1" || return 0
}
balancer_serves() {
  ctl 1 services --json 2>/dev/null | jq -e '[.services[] | select(.backends_healthy? != 0)] | length == 2' >/dev/null &&
    state | jq -e '[.slots[] | keys | length] == [3, 3]' >/dev/null
}
stores() { od -An -tu8 -N8 "$LAB/count" | tr -d ' '; }

points_of() { # N: the places to die at
  local n=$1 i
  if [ "$POINTS" = 0 ]; then
    seq 1 "$n"
    return
  fi
  printf '%s\n' 1 2 "$((n - 1))" "$n"
  for ((i = 4; i < POINTS; i++)); do
    echo $((1 + (RANDOM * 32768 + RANDOM) % n))
  done
}

for change in ${LBD_CRASH_CHANGES:-reload removal hard-down drain}; do
  run_change "$change" 0
  settled || fail "$change: the maps do not come to rest"
  n=$(stores)
  state >"$LAB/wanted"
  balancer_kill 1 TERM
  at_least "$change: stores into the maps" "$n" 50
  died=0
  for at in $(points_of "$n"); do
    run_change "$change" "$at"
    # What comes last in the count may have been the heartbeat, and comes a second later.
    if wait_for 2 is_dead; then
      wait "$(cat "$dir/lbd.pid")" 2>/dev/null || :
      died=$((died + 1))
    else
      balancer_kill 1 KILL
    fi
    balancer_start 1
    wait_for 5 ctl 1 services >/dev/null 2>&1
    [ "$change" = reload ] || [ "$change" = removal ] || command_of "$change" # it was not answered: said again
    wait_for 5 state_is "$LAB/wanted" || {
      state | jq . >"$LAB/got.txt"
      jq . "$LAB/wanted" | diff - "$LAB/got.txt" | head -n 30
      fail "$change, killed at store $at of $n: another end (< wanted, > got)"
    }
    balancer_kill 1 TERM
  done
  ok "$change: killed $died times among $n stores, the same end each time"
done
