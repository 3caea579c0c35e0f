#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The daemon dies, stops, returns: packets do not notice, and nothing that it knew is lost. --detach removes everything.
. "$(dirname "$0")/lib.sh"

lab_start l3
program_id() { at bal1 bpftool -j net show dev eth0 | jq -r '.[0].xdp[0].id // "none"'; }
link_pins() { find /sys/fs/bpf/bal1 -name 'link*' | wc -l; }

both drain web web1
ctl 1 weight web web3 50 >/dev/null
ctl 2 weight web web3 50 >/dev/null
wait_backend web web1 'draining|drained'
digest=$(ctl 1 services --json | jq -c '[.services[] | {name, id, digest, table_size}]')
packets=$(ctl 1 services --json | jq '[.services[].packets] | add')

trickle_start long 100
load_start short
for round in 1 2 3; do
  balancer_kill 1 KILL
  load_more short 100
  balancer_start 1
  equal "state after restart $round" "$(backend_field 1 web web1 .admin)" drain
  load_more short 100
done
equal "weight override survives" "$(backend_field 1 web web3 .weight_override)" 50
equal "ids, digests, table sizes survive" "$(ctl 1 services --json | jq -c '[.services[] | {name, id, digest, table_size}]')" "$digest"
at_least "counters go on" "$(ctl 1 services --json | jq '[.services[].packets] | add')" "$packets"

balancer_kill 1 TERM
equal "links pinned while the daemon is stopped" "$(link_pins)" 1
[ "$(program_id)" != none ] || fail "the program is gone after an orderly stop"
load_more short 200
balancer_start 1
load_more short 100
no_failures short "3 kills and a stop of the daemon"
none_broken long "the same, long-lived connections"

balancer_kill 1 TERM
at bal1 "$LBD_BUILD/daemon/lbd" --detach -c "$LAB/bal1/lbd.yaml"
equal "program after --detach" "$(program_id)" none
[ ! -e /sys/fs/bpf/bal1 ] || fail "pins after --detach: $(ls /sys/fs/bpf/bal1)"
at bal1 "$LBD_BUILD/daemon/lbd" --detach -c "$LAB/bal1/lbd.yaml"
ok "--detach twice is no error"
balancer_start 1
equal "links after a new start" "$(link_pins)" 1
