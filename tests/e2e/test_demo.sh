#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tools/demo --keep without a terminal: the show goes well, the network stays, commands reach it, --stop removes it.
. "$(dirname "$0")/lib.sh"

demo() { env -u LBD_BUILD "$LBD_ROOT/tools/demo" "$@"; }

demo --keep >"$LAB/demo.out" 2>&1 || fail "the demo failed: $(tail -n 30 "$LAB/demo.out")"
contains "the show ends well" "$(cat "$LAB/demo.out")" '^Only the death of a server was noticed'
contains "no colours without a terminal" "$(grep -c $'\e' "$LAB/demo.out" || :)" '^0$'
contains "--in reaches a client" "$(demo --in client curl -sS --max-time 3 "http://$VIP4/")" '^web[123]$'
contains "--in reaches lbctl" "$(demo --in bal2 lbctl backends)" 'web3 .*healthy'
at_least "processes of the kept network" "$(pgrep -fc 'nginx: master')" 3
demo --stop >"$LAB/stop.out"
contains "--stop" "$(cat "$LAB/stop.out")" 'removed 1'
network_is_gone() { ! pgrep -f 'nginx: master' >/dev/null; }
wait_for 10 network_is_gone || fail "left behind: $(pgrep -fa 'nginx|lbd')"
ok "nothing is left"
