#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A fabric of 1500 bytes has no room for outer headers: the balancer tells clients the true size, and uploads succeed.
. "$(dirname "$0")/lib.sh"

LAB_MTU=1500
lab_start l3

for url in "http://$VIP4/" "http://[$VIP6]/"; do
  for _ in $(seq 6); do # to every server, over either outer family
    sum=$(head -c 1000000 /dev/zero | at client curl -sS --max-time 10 --data-binary @- -H 'Expect:' -o /dev/null \
      -w '%{http_code} %{size_upload}' "$url") || fail "upload to $url: $sum"
    [[ $sum =~ ^(200|405)\ 1000000$ ]] || fail "upload to $url: $sum"
  done
  ok "6 uploads of 1 MB to $url"
done
answered=$(($(outcome 1 tx_too_big) + $(outcome 2 tx_too_big)))
at_least "packets answered by \"too big\"" "$answered" 2
contains "the client has learnt the path" "$(ip -n client route show cache)" "mtu 14[0-9][0-9]"
