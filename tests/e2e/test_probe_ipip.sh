#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Probes through IPIP; and what may happen to the way of the probes itself.
. "$(dirname "$0")/lib.sh"
. "$LAB_FILES/probe_tunnel.sh"

lab_start l3
probe_tests_l3

# The daemon dies and comes back: what it knew stays, probes go on.
balancer_kill 1 KILL
balancer_start 1
wait_for 5 via_is 1 web web1 "vip $VIP4" || fail "after a restart: $(via 1 web web1)"
wait_all_healthy
probe_break_decap web2
wait_backend web web2 "$OUT"
ok "a restarted daemon notices web2's decapsulation"
backend_ctl setup web2
wait_all_healthy

# The maps grow: the program must read the new ones.
cp "$LAB/bal1/lbd.yaml" "$LAB/bal1/lbd.before"
cat >>"$LAB/bal1/lbd.yaml" <<CONF
  - {name: large, vip: 10.99.0.7, port: 80, table-size: 655373, probe: {type: none}, backends: [{address: 10.0.31.2}]}
CONF
ctl 1 reload >/dev/null
grep -q maps_grown "$LAB/bal1/lbd.log" || fail "the maps did not grow"
web_is_well() {
  ctl 1 backends --json | jq -e '[.backends[] | select(.service == "web" and .state != "healthy")] | length == 0' >/dev/null
}
sleep 2 # several probes of each backend
web_is_well || fail "after the maps grew: $(ctl 1 backends)"
probe_break_decap web3
wait_backend web web3 "$OUT"
ok "after the maps grew web3's decapsulation is noticed, and the others are well"
backend_ctl setup web3
cp "$LAB/bal1/lbd.before" "$LAB/bal1/lbd.yaml"
ctl 1 reload >/dev/null
wait_backend web web3 healthy

# The interface vanishes and comes back.
ip -n bal1 link del eth0
lab_balancer 1
wait_for 10 via_is 1 web web1 "vip $VIP4" || fail "after the interface came back: $(via 1 web web1)"
wait_all_healthy
ok "the interface came back, and the probes with it"

# A balancer that holds the VIP would probe itself.
ip -n bal1 address add "$VIP4/32" dev lo
wait_for 5 via_is 1 echo web1 "vip $VIP6" || fail "VIP held by the balancer: $(via 1 echo web1)"
wait_for 5 grep -q "VIP $VIP4 is an address of this host" "$LAB/bal1/lbd.log" || fail "the log does not say why"
ip -n bal1 address add "$VIP6/128" dev lo
wait_for 5 via_is 1 web web1 "backend $(server_address4 1)" || fail "both VIPs held: $(via 1 web web1)"
wait_all_healthy
ok "VIPs held by the balancer: probed at their own addresses, with a warning"
ip -n bal1 address del "$VIP4/32" dev lo
ip -n bal1 address del "$VIP6/128" dev lo
wait_for 5 via_is 1 web web1 "vip $VIP4" || fail "VIPs removed: $(via 1 web web1)"

# By the operator's choice: a backend that is half dead passes for healthy.
sed -i 's/{type: http,/{type: http, via: backend,/' "$LAB"/bal?/lbd.yaml
both reload
equal "via: backend" "$(via 1 web web1)" "backend $(server_address4 1)"

balancer_kill 1 KILL
at bal1 "$LBD_BUILD/daemon/lbd" --detach -c "$LAB/bal1/lbd.yaml"
if at bal1 tc filter show dev eth0 egress | grep -q lb_probe; then fail "--detach left the filter"; fi
ok "--detach leaves no program of the probes"
