#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lbctl doctor: quiet on a sound host, and finds each thing that is broken here on purpose.
. "$(dirname "$0")/lib.sh"

lab_start l3
for i in all eth0; do at bal1 sysctl -qw "net.ipv4.conf.$i.rp_filter=0"; done

doctor() { ctl 1 doctor --json; }
found() { doctor | jq -r --arg n "$1" '.checks[] | select(.name == $n and .status != "ok") | "\(.status) \(.object): \(.message)"'; }
finds() { # CHECK PATTERN: within some seconds
  wait_for 10 matches "$1" "$2" || fail "doctor does not find $1 '$2': $(found "$1")"
  ok "doctor finds: $(found "$1" | head -n 1)"
}
matches() { grep -qE -- "$2" <<<"$(found "$1")"; }

sound=$(doctor) || fail "doctor on a sound host: exit code $?: $(ctl 1 doctor)"
equal "errors on a sound host" "$(jq .errors <<<"$sound")" 0
equal "warnings on a sound host" "$(jq -c '[.checks[] | select(.status == "warning") | [.name, .object, .message]]' <<<"$sound")" '[]'
for check in kernel btf jit pins heartbeat configuration seed interface rp_filter map memory service nexthop mtu health vip flow-memory; do
  jq -e --arg n "$check" '[.checks[] | select(.name == $n and .status == "ok")] | length > 0' >/dev/null <<<"$sound" ||
    fail "no check $check: $sound"
done
ok "every check is there"

at bal1 sysctl -qw net.ipv4.conf.eth0.rp_filter=1
finds rp_filter 'warning eth0: strict'
at bal1 sysctl -qw net.ipv4.conf.eth0.rp_filter=0

ip -n bal1 address add "$VIP4/32" dev lo
ip -n bal1 address add "$VIP6/128" dev lo nodad
finds vip "warning web/$VIP4: an address of this host \(lo\)"
finds vip "warning web/$VIP6: an address of this host \(lo\)"
ip -n bal1 address del "$VIP4/32" dev lo
ip -n bal1 address del "$VIP6/128" dev lo
ip -n bal1 route add local "$VIP4" dev lo
finds vip "warning web/$VIP4: an address of this host \(by a local route\)"
ip -n bal1 route del local "$VIP4" dev lo

ip -n bal1 route add 10.0.31.0/24 via 10.0.2.1 mtu 1500
finds mtu 'warning web/web1: 1480 bytes fit \(1500 on the path less 20 for ip4\)'
ip -n bal1 route replace unreachable 10.0.31.0/24
finds nexthop 'error web/web1: '
ip -n bal1 route del unreachable 10.0.31.0/24
wait_all_healthy

mv /sys/fs/bpf/bal1/meta /sys/fs/bpf/bal1/other
finds pins 'error /sys/fs/bpf/bal1: 1 pinned object.*meta'
status=0
ctl 1 doctor >/dev/null || status=$?
equal "exit code when a check fails" "$status" 5
mv /sys/fs/bpf/bal1/other /sys/fs/bpf/bal1/meta

ip -n router link set bal1 down
finds interface 'error eth0: no carrier'
ip -n router link set bal1 up
wait_all_healthy

echo 'nonsense: true' >>"$LAB/bal1/lbd.yaml"
ctl 1 reload >/dev/null 2>&1 && fail "a reload of nonsense"
finds configuration 'error .*the last reload was refused'
sed -i '$d' "$LAB/bal1/lbd.yaml"
ctl 1 reload >/dev/null

nginx_kill web2
balancer_kill 1 TERM
sed -i '/seed-file/d' "$LAB/bal1/lbd.yaml"
balancer_start 1
finds seed 'warning : made at random'
finds health 'warning web/web2: never healthy since lbd started: [0-9]+ probes, all failed, the last one with refused'
contains "doctor for people" "$(ctl 1 doctor || :)" '[0-9]+ warnings'
