#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lbctl backend-setup, -check, -undo: twice is no change, check notices what is missing, undo puts everything back; and on
# a fabric of 1500 bytes the MSS that it sets lets uploads through.
. "$(dirname "$0")/lib.sh"

LAB_MTU=1500
lab_up l3

state() { # all that backend-setup may touch on web1
  ip -n web1 address show
  ip -n web1 route show
  ip -n web1 -6 route show
  at web1 sysctl net.ipv4.conf.all net.ipv4.conf.eth0 net.ipv4.conf.lo
  at web1 bpftool -j net show | jq -c '[.[].xdp[]? | .devname]'
  find /sys/fs/bpf/web1 2>/dev/null || :
} 2>/dev/null
before=$(state)
backend_ctl setup web1
after=$(state)
[ "$before" != "$after" ] || fail "backend-setup changed nothing"
backend_ctl setup web1
equal "what a second setup changes" "$(diff <(echo "$after") <(state) || :)" ""
backend_ctl check web1
ok "backend-check accepts it"
ip -n web1 address del "$VIP4/32" dev lo
if backend_ctl check web1 2>/dev/null; then fail "backend-check does not miss the VIP"; fi
contains "backend-check names what is missing" "$(cat "$LAB/web1/backend-check.out")" "$VIP4"
backend_ctl setup web1
backend_ctl check web1
ok "a further setup mends it"
backend_ctl undo web1
equal "what is left after backend-undo" "$(diff <(echo "$before") <(state) || :)" ""

lab_backends_setup
lab_serve
balancer_start 1
balancer_start 2
wait_all_healthy
for url in "http://$VIP4/" "http://[$VIP6]/"; do
  for _ in $(seq 6); do # to every server, over either outer family
    sum=$(head -c 1000000 /dev/zero | at client curl -sS --max-time 10 --data-binary @- -H 'Expect:' -o /dev/null \
      -w '%{http_code} %{size_upload}' "$url") || fail "upload to $url: $sum"
    [[ $sum = '200 1000000' ]] || fail "upload to $url: $sum"
  done
  ok "6 uploads of 1 MB to $url"
done
for i in 1 2; do
  equal "packets dropped by bal$i" "$(drops "$i")" 0
done
