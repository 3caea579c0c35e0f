#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Traffic of every kind through both balancers, IPIP in all four combinations of families; answers go past them.
. "$(dirname "$0")/lib.sh"

lab_start l3

capture_start bal1 bal2 web1 web2 web3

for url in "http://$VIP4/" "http://[$VIP6]/" ; do
  answers=$(for _ in $(seq 40); do at client curl -sS --max-time 3 "$url" || echo FAILED; done | sort | uniq -c)
  equal "curl $url: servers that answered" "$(awk '{print $2}' <<<"$answers" | tr '\n' ' ')" "web1 web2 web3 "
done

client_start short load.py --workers 8 --duration 2 "http://$VIP4/" "http://[$VIP6]/"
wait "$(cat "$LAB/short.pid")" || fail "short requests: $(report short '{requests, failed, by_reason}')"
ok "short requests: $(report short .requests), 0 failed"

asked=$(at client "$PYTHON" "$LAB_FILES/udp_ask.py" 100 5353 "$VIP4" "$VIP6")
equal "UDP, both families, answered" "$(jq .answered <<<"$asked")" 200
equal "UDP answers with wrong content" "$(jq .wrong <<<"$asked")" 0
equal "UDP: servers that answered" "$(jq '.by_server | length' <<<"$asked")" 3

capture_stop bal1 bal2 web1 web2 web3
from_vip="src host $VIP4 or src host $VIP6"
for i in 1 2; do
  at_least "packets to the VIP by way of bal$i" "$(captured "bal$i" "dst host $VIP4 or dst host $VIP6")" 100
  equal "packets from the VIP by way of bal$i (direct return: none)" \
    "$(captured "bal$i" "($from_vip) and not dst host 10.0.2.1$i and not dst host fd00:2::1$i")" 0 # its own probes' answers
done
for i in 1 2 3; do
  at_least "packets from the VIP straight from web$i" "$(captured "web$i" "$from_vip")" 100
done
for kind in 4:'ip proto 4' 6:'ip proto 41'; do
  at_least "IPv${kind%%:*} in IPv4 to web1" "$(captured web1 "${kind#*:}")" 10
done
for kind in 4:'ip6 proto 4' 6:'ip6 proto 41'; do
  at_least "IPv${kind%%:*} in IPv6 to web2" "$(captured web2 "${kind#*:}")" 10
done

for i in 1 2; do
  equal "packets dropped by bal$i" "$(drops "$i")" 0
  at_least "packets that bal$i counted for web" "$(ctl "$i" services --json | jq '.services[] | select(.name == "web") | .packets')" 100
done
equal "both balancers have the same table" "$(ctl 1 services --json | jq -c '[.services[].digest]')" \
  "$(ctl 2 services --json | jq -c '[.services[].digest]')"

maps=$(bpftool map show)
for map in svc4 svc6 slots slot_x backends backend_info backend_stats outcomes services steer_stats meta; do
  contains "bpftool names the map $map" "$maps" "name $map "
done
contains "bpftool shows types" "$(bpftool map dump pinned /sys/fs/bpf/bal1/meta)" '"layout": [0-9]+'
