#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A prober whose own network is cut keeps the pool; and a udp probe that asks a DNS server a real question.
. "$(dirname "$0")/lib.sh"
. "$LAB_FILES/probe_tunnel.sh"

lab_up l3
lab_backends_setup
lab_serve
for i in "${SERVERS[@]}"; do
  at_background "$i" "$PYTHON" "$LAB_FILES/dns_root.py" 53 "$LAB/$i/dns.rcode" >"$LAB/$i/dns.log" 2>&1
done
LAB_SERVICES="$(lab_services)
  - name: dns
    vip: [$VIP4, \"$VIP6\"]
    port: 53
    protocol: udp
    probe: {type: udp, port: 53, send: \"hex:0001 0100 0001 0000 0000 0000 00 0002 0001\", expect-data: \"hex:0001 8180\",
      interval: 500ms, down-interval: 500ms, timeout: 300ms, rise: 2, fall: 2}
    backends: $(lab_backend_list 4 6 4)"
wait_for 5 lab_listens web3 udp 53
balancer_start 1
balancer_start 2
wait_all_healthy
ok "DNS servers answer the probe's question by both families"

echo 2 >"$LAB/web1/dns.rcode" # SERVFAIL
wait_backend dns web1 "$OUT"
contains "a server that fails is out, and the reason says so" "$(backend_field 1 dns web1 .reason)" 'does not begin with'
equal "its host is well otherwise" "$(backend_field 1 web web1 .state)" healthy
rm "$LAB/web1/dns.rcode"
wait_all_healthy
ok "it answers again: healthy"

# No answer to bal1's own probes arrives any more; what it forwards does.
load_start short
shares() { ctl 1 backends --json | jq -c '[.backends[] | select(.service == "web") | .slots]'; }
before=$(shares)
at router nft -f - <<'NFT'
table inet cut {
  chain f {
    type filter hook forward priority 0;
    ip saddr 10.99.0.1 ip daddr 10.0.2.11 drop
    ip6 saddr fd99::1 ip6 daddr fd00:2::11 drop
  }
}
NFT
cut_is_seen() { ctl 1 services --json | jq -e '.services[] | select(.name == "web") | .mass_failure or .panic' >/dev/null; }
wait_for 15 cut_is_seen || fail "bal1 believes that everybody is dead: $(ctl 1 backends)"
sleep 2 # several more probes: nothing follows from them
equal "bal1's probes are cut off: slots of the servers" "$(shares)" "$before"
no_failures short "traffic by a balancer whose probes are cut off"
at router nft delete table inet cut
wait_all_healthy
ok "mended: all healthy"
