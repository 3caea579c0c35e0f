#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The times of steering, end to end: slow start and drain as ramps, the drain timeout, tracked UDP, a grace of 0 and of a
# day, a reload that changes them on the way.
. "$(dirname "$0")/lib.sh"

export LAB_SLOW_START=4s
lab_start l3

share() { backend_field 1 "$1" "$2" .share; }
slots() { ctl 1 services --json | jq -r --arg s "$1" ".services[] | select(.name == \$s) | $2"; }
reload_with() { # SED-EXPRESSION, on both
  local i
  for i in 1 2; do
    sed -i -E "$1" "$LAB/bal$i/lbd.yaml"
    ctl "$i" reload >/dev/null
  done
}

# ---- slow start: the share only grows, and gets whole
both drain web web1
wait_backend web web1 'draining|drained'
has_no_share() { jq -en "$(share web web1) == 0" >/dev/null; }
wait_for 5 has_no_share || fail "web1 keeps slots"
both undrain web web1
last=0 rose=0 now_at=0 began_at=0
now_ms began_at
until [ "$(backend_field 1 web web1 .state)" = healthy ]; do
  now=$(share web web1)
  jq -en "$now >= $last" >/dev/null || fail "slow start: the share fell from $last to $now"
  jq -en "$now > $last" >/dev/null && rose=$((rose + 1))
  last=$now
  now_ms now_at
  ((now_at - began_at < 20000)) || fail "slow start does not end"
done
at_least "slow start of 4 s: times that its share was seen to rise" "$rose" 4
now_ms now_at
at_least "slow start: ms until it was whole" "$((now_at - began_at))" 3500
jq -en "$(share web web1) > 0.3" >/dev/null || fail "web1 has $(share web web1) after its slow start"

# ---- the drain timeout, shortened while it runs
both drain web web1
equal "draining" "$(backend_field 1 web web1 .state)" draining
reload_with 's/^  slow-start: .*/&\n  drain-timeout: 2s/'
wait_backend web web1 drained 6
ok "drained by the shorter timeout of a reload"
both undrain web web1

# ---- UDP: tracked flows stay with their server over a drain, untracked ones go
reload_with 's/^    port: 5353$/&\n    udp: track/'
client_start asker "udp_flow.py" --sockets 60 --interval 0.2 --live "$LAB/asker.live" 5353 "$VIP4" "$VIP6"
answers() { [ -e "$LAB/asker.live" ] && jq -e --argjson n "$1" '.answered >= $n' "$LAB/asker.live" >/dev/null; }
wait_for 20 answers 200 || fail "no answers to UDP: $(cat "$LAB/asker.err")"
both drain echo web1
wait_backend echo web1 'draining|drained'
wait_for 20 answers "$(($(jq .answered "$LAB/asker.live") + 600))" || fail "no more answers"
equal "UDP flows that changed servers, tracked" "$(jq .moved "$LAB/asker.live")" 0
at_least "UDP flows of the drained server" "$(jq '.by_server.web1 // 0' "$LAB/asker.live")" 5
at_least "entries of UDP flows" "$(($(slots echo .steering.insert) + $(ctl 2 services --json |
  jq '.services[] | select(.name == "echo") | .steering.insert')))" 5
reload_with '/^    udp: track$/d'
wait_for 20 jq -e '.moved >= 5' "$LAB/asker.live" >/dev/null || fail "untracked UDP flows stay with a drained server"
ok "UDP flows that changed servers, not tracked: $(jq .moved "$LAB/asker.live")"
client_stop asker
both undrain echo web1

# ---- a grace of 0: transitions are over within seconds, whoever spoke meanwhile is remembered; and of a day
reload_with 's/^  slow-start: .*/  slow-start: 0s\n  grace: 0s/'
equal "grace" "$(slots trickle .grace_s)" 0
client_start quick trickle.py hold --connections 60 --interval 0.1 --ready "$LAB/quick.ready" --live "$LAB/quick.live" \
  9000 "$VIP4" "$VIP6"
wait_for 30 test -e "$LAB/quick.ready" || fail "the connections are not up"
both drain trickle web2
wait_backend trickle web2 'draining|drained'
p1_is_over() { [ "$(slots trickle .slots.p1)" = 0 ] && (($(slots trickle .slots.p2) > 0)); }
wait_for 5 p1_is_over || fail "p1 does not end: $(slots trickle .slots)"
ok "grace 0: p1 ends at once, $(slots trickle .slots.p2) slots in p2"
both undrain trickle web2
reload_with 's/^  grace: 0s/  grace: 24h/'
both drain trickle web3
wait_backend trickle web3 'draining|drained'
at_least "grace 24 h: slots in p1" "$(slots trickle .slots.p1)" 1000
sleep 2
at_least "two seconds later" "$(slots trickle .slots.p1)" 1000
none_broken quick "connections that speak ten times a second, grace 0 and 24 h"
