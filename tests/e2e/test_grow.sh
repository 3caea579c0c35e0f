#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A reload that needs larger maps moves to them under load: no request fails, no connection breaks, ids and counters stay.
. "$(dirname "$0")/lib.sh"

lab_start l3
trickle_start long 100
load_start short
load_more short 300

map_entries() { bpftool -j map show pinned "/sys/fs/bpf/bal$1/slots" | jq .max_entries; }
service_field() { ctl "$1" services --json | jq -c ".services[] | select(.name == \"web\") | $2"; }

before=$(map_entries 1)
id=$(service_field 1 .id)
digest=$(service_field 1 .digest)
packets=$(service_field 1 .packets)
ids=$(ctl 1 backends --json | jq -c '[.backends[] | {service, name, id}]')

# Five tables of 65537 slots are more than the maps were made for.
for i in 1 2; do
  {
    lab_config "$i"
    for n in 1 2 3 4 5; do
      echo "  - {name: big$n, vip: 10.99.0.$((10 + n)), port: 80, protocol: tcp, table-size: 65537," \
        "probe: {type: none}, backends: [{address: 10.0.31.2}]}"
    done
  } >"$LAB/bal$i/lbd.yaml"
  ctl "$i" reload >/dev/null
done
load_more short 600

at_least "slots after the reload" "$(map_entries 1)" "$((before + 1))"
contains "the log says so" "$(cat "$LAB/bal1/lbd.log")" 'maps_grown'
equal "the service's id" "$(service_field 1 .id)" "$id"
equal "the table's digest" "$(service_field 1 .digest)" "$digest"
equal "ids of the backends" "$(ctl 1 backends --json | jq -c '[.backends[] | select(.service | startswith("big") | not) | {service, name, id}]')" "$ids"
at_least "packets counted" "$(service_field 1 .packets)" "$((packets + 1))"
answer=$(at client curl -sS --max-time 3 "http://$VIP4/")
contains "the first VIP answers" "$answer" '^web'

# What is pinned now is what a restart adopts.
balancer_kill 1 KILL
balancer_start 1
wait_all_healthy
equal "the service's id after a restart" "$(service_field 1 .id)" "$id"
load_more short 300

no_failures short "growth and a restart after it"
none_broken long "the same, long-lived connections"
