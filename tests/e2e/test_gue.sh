#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# GUE over both families: requests, UDP, long-lived connections.
. "$(dirname "$0")/lib.sh"

LAB_FORWARD=gue
lab_start l3

capture_start web1
trickle_start long 60
client_start short load.py --workers 8 --duration 2 "http://$VIP4/" "http://[$VIP6]/"
wait "$(cat "$LAB/short.pid")" || fail "short requests: $(report short '{requests, failed, by_reason}')"
ok "short requests: $(report short .requests), 0 failed"
equal "servers that answered" "$(report short '.by_server | keys | join(" ")')" "web1 web2 web3"
asked=$(at client "$PYTHON" "$LAB_FILES/udp_ask.py" 100 5353 "$VIP4" "$VIP6")
equal "UDP answered" "$(jq .answered <<<"$asked")" 200
none_broken long "long-lived connections over GUE"

capture_stop web1
gue=$(tcpdump -nr "$LAB/web1.pcap" 'udp dst port 6080' 2>/dev/null)
at_least "GUE packets to web1" "$(wc -l <<<"$gue")" 100
at_least "source ports among them (entropy for RSS and ECMP)" \
  "$(sed -E 's/.* IP6? [^ ]+\.([0-9]+) > .*/\1/' <<<"$gue" | sort -u | wc -l)" 10
equal "IPIP packets to web1" "$(captured web1 'ip proto 4 or ip proto 41')" 0
