#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A fabric of 1500 bytes, clients that send 1500: the balancer says what fits, and uploads succeed.
. "$(dirname "$0")/lib.sh"

# The servers may not advertise a smaller MSS, as backend-setup has them do: that would spare clients the trouble.
LAB_MTU=1500
LAB_FORWARD=gue # 28 bytes more over IPv4, 48 over IPv6
lab_start l3
for server in "${SERVERS[@]}"; do
  for family in -4 -6; do
    at "$server" ip "$family" route show default | grep -q advmss || continue
    read -ra route < <(at "$server" ip "$family" route show default | sed 's/ advmss [0-9]*//')
    at "$server" ip "$family" route replace "${route[@]}"
  done
done

head -c 4000000 /dev/urandom >"$LAB/upload"
for url in "http://$VIP4/" "http://[$VIP6]/"; do
  for n in 1 2 3 4 5 6; do
    sent=$(at client curl -sS --max-time 20 -o /dev/null -H Expect: -w '%{http_code} %{size_upload}' \
      --data-binary "@$LAB/upload" "$url") || fail "upload $n to $url: $sent"
    [ "$sent" = "200 4000000" ] || fail "upload $n to $url: $sent"
  done
  ok "six uploads of 4 MB to $url"
done

answered=$(($(outcome 1 tx_too_big) + $(outcome 2 tx_too_big)))
at_least "packets answered with the size that fits" "$answered" 2
at_most "of so many packets only the first ones" "$answered" 400
contains "the client learned the way's size to the IPv4 VIP" "$(at client ip route get "$VIP4")" 'mtu 1472|mtu 1452'
contains "the client learned the way's size to the IPv6 VIP" "$(at client ip -6 route get "$VIP6")" 'mtu 1472|mtu 1452'

# Pings of a VIP are answered by the balancers: no backend has a part in it.
for vip in "$VIP4" "$VIP6"; do
  equal "pings of $vip answered" "$(at client ping -n -c 5 -i 0.2 -W 2 "$vip" | grep -c 'bytes from')" 5
done
at_least "pings that the balancers answered" "$(($(outcome 1 tx_echo_reply) + $(outcome 2 tx_echo_reply)))" 10
