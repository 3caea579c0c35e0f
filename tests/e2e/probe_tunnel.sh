# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# probe_tunnel.sh - for test_probe_*.sh: probes take the way of clients' packets, so a backend whose server runs but
# which clients could not reach fails, leaves the rotation, and comes back when it is mended. Set LAB_FORWARD before.

OUT='unhealthy-draining|down'
via() { backend_field "$1" "$2" "$3" '.probe | .via + " " + .address'; }
via_is() { [[ $(via "$1" "$2" "$3") = "$4" ]]; }

server_lives() { # NAME: from the balancer, at the server's own address
  at bal1 curl -sS --max-time 3 -o /dev/null "http://$(server_address4 "${1#web}")/healthz" || fail "$1's server is dead"
  ok "$1's server answers at its own address"
}

# SERVICE NAME WHAT: it is out on both balancers, and no client meets it
leaves() {
  wait_backend "$1" "$2" "$OUT"
  ok "$3: $2 is out of $1: $(backend_field 1 "$1" "$2" .reason)"
  server_lives "$2"
  client_start after load.py --workers 4 --duration 1 "http://$VIP4/" "http://[$VIP6]/"
  wait "$(cat "$LAB/after.pid")" || fail "$3: requests: $(report after '{requests, failed, by_reason}')"
  ok "$3: $(report after .requests) new requests, 0 failed"
}

probe_break_decap() { # NAME
  rm "/sys/fs/bpf/$1/eth0/link" # the last reference: the program is gone from the interface
}

probe_test_vip() { # FAMILY SERVICE VIP/LEN: the VIP vanishes from web1's loopback, and comes back
  ip -n web1 "-$1" address del "$3" dev lo
  leaves "$2" web1 "no IPv$1 VIP"
  backend_ctl setup web1
  wait_backend "$2" web1 healthy
  ok "IPv$1 VIP put back: web1 is healthy again"
}

probe_tests_l3() {
  equal "way of web1's probe" "$(via 1 web web1)" "vip $VIP4"
  probe_break_decap web1
  leaves web web1 "no decapsulation"
  leaves echo web1 "no decapsulation (udp probe)"
  backend_ctl setup web1
  wait_all_healthy
  ok "decapsulation put back: all are healthy"
  probe_test_vip 4 web "$VIP4/32"
  probe_test_vip 6 web "$VIP6/128"
}
