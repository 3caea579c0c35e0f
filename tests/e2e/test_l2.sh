#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Balancers and servers on one segment: the MAC address is rewritten, the packet is not touched.
. "$(dirname "$0")/lib.sh"

LAB_MTU=1500
lab_start l2

trickle_start long 60
client_start short load.py --workers 8 --duration 2 "http://$VIP4/" "http://[$VIP6]/"
wait "$(cat "$LAB/short.pid")" || fail "short requests: $(report short '{requests, failed, by_reason}')"
ok "short requests: $(report short .requests), 0 failed"
equal "servers that answered" "$(report short '.by_server | keys | join(" ")')" "web1 web2 web3"
asked=$(at client "$PYTHON" "$LAB_FILES/udp_ask.py" 100 5353 "$VIP4" "$VIP6")
equal "UDP answered" "$(jq .answered <<<"$asked")" 200
none_broken long "long-lived connections"

# Nothing grows in this mode: full-size packets pass a 1500-byte segment.
sum=$(head -c 3000000 /dev/zero | at client curl -sS --max-time 10 --data-binary @- -o /dev/null \
  -w '%{http_code} %{size_upload}' "http://$VIP4/")
contains "upload of 3 MB in full-size packets" "$sum" '^(200|405) 3000000$'
