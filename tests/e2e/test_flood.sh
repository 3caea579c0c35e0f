#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A rolling deploy under a SYN flood: backends are added, drained, weighted, given back one after another, with ramps,
# while a balancer gets all the SYNs that this machine can make. No connection breaks, no request fails for it, and the
# flood makes no entry in the flow table. Before that: with every slot settled, a flood does not even ask the table.
. "$(dirname "$0")/lib.sh"

export LAB_SLOW_START=2s
lab_start l3
flood=/sys/fs/bpf/flood
bpftool prog loadall "$LBD_BUILD/tests/e2e/flood.bpf.o" $flood type xdp pinmaps $flood/maps >&2 ||
  skip "the flood can not be loaded"
for i in 1 2; do # where the balancers send to
  at router bpftool net attach xdpdrv pinned $flood/sink dev "bal$i" overwrite
done

steer() { # COUNTER: of trickle and web, both balancers together
  { ctl 1 services --json && ctl 2 services --json; } |
    jq -s --arg c "$1" '[.[].services[] | select(.name == "trickle" or .name == "web") | .steering[$c]] | add'
}
sunk() { bpftool -j map dump pinned $flood/maps/flood_sunk | jq '[.[].formatted.values[].value] | add'; }
flood_start() { # NAME PORT DUTY [OPTION]
  at_background router "$PYTHON" "$LAB_FILES/flood.py" --duty "$3" --duration 60 ${4:+"$4"} $flood bal1 "$VIP4" "$2" >"$LAB/$1.json"
  echo $! >"$LAB/$1.pid"
}
rate() { report "$1" '"\(.sent) segments in \(.seconds) s, \(.sent / .seconds | floor) a second"'; }

# ---- every slot settled
trickle_start long 300
equal "look-ups before any change" "$(steer lookup)" 0
flood_start calm 9000 100
sleep 2 # the measuring time
client_stop calm
ok "flood of settled slots: $(rate calm)"
# The balancer and its way back share the CPUs with the generator: what it can not take is lost in front of it.
at_least "of these, sent on to backends" "$(sunk)" "$(report calm '.sent * 0.1 | floor')"
equal "look-ups in the flow table" "$(steer lookup)" 0
equal "entries made" "$(steer insert)" 0

# ---- slots in transition
load_start short --rate 100
flood_start rolling 9000 50
for server in web1 web2 web3; do
  for service in web trickle; do
    both drain "$service" "$server"
  done
  wait_backend trickle "$server" 'draining|drained'
  load_more short 60
  for service in web trickle; do
    both undrain "$service" "$server"
    both weight "$service" "$server" 60
  done
  wait_backend trickle "$server" healthy
  load_more short 60
done
for backends in "[{name: web1, address: 10.0.31.2}, {name: web2, address: \"fd00:32::2\"}]" ''; do
  for i in 1 2; do
    LAB_BACKENDS=$backends lab_config "$i" >"$LAB/bal$i/lbd.yaml"
    ctl "$i" reload >/dev/null
  done
  load_more short 60
done
wait_all_healthy
load_more short 60
client_stop rolling
ok "flood of slots in transition: $(rate rolling)"
at_least "SYNs of the flood that met a slot in transition" "$(steer syn)" 10000
# A real connection makes one entry on its balancer, another one when its service changes again after its end.
at_most "entries made, by 300 connections and $(jq .requests "$LAB/short.live") requests" "$(steer insert)" \
  "$((600 + 2 * $(jq .requests "$LAB/short.live")))"
equal "entries not made, for want of room or budget" "$(($(steer table_full) + $(steer budget_drop)))" 0

# ---- segments without a SYN do make entries: that many, and no more than the budgets allow
inserted=$(steer insert)
flood_start acks 9000 50 --bare-acks
sleep 3 # the measuring time
client_stop acks
inserted=$(($(steer insert) - inserted))
ok "flood of bare ACKs: $(rate acks); entries made: $inserted, not made for the budgets: $(steer budget_drop), for want of room: $(steer table_full)"
at_most "entries made, within the budget of 50,000 a second and CPU" "$inserted" "$((50000 * $(nproc) * 6))"
no_failures short "a rolling deploy under a SYN flood"
none_broken long "the same, long-lived connections"
