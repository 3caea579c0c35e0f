#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Source prefix lists and new-flow limits: by the configuration file, changed under traffic, kept over a restart.
. "$(dirname "$0")/lib.sh"

lab_start l3
trickle_start long 20

with() { # LINE...: the service web of both balancers has these keys too
  local i line text=''
  for line; do text+="    $line"$'\n'; done
  for i in 1 2; do
    lab_config "$i" | awk -v text="$text" '{ print } $0 == "  - name: web" { printf "%s", text }' >"$LAB/bal$i/lbd.yaml"
    ctl "$i" reload >/dev/null
  done
}
asks() { at client curl -sS --max-time 1 -o /dev/null "http://$1/" 2>/dev/null; }
both_outcomes() { echo $(($(outcome 1 "$1") + $(outcome 2 "$1"))); }

with 'deny: [10.0.1.0/24, "2001:db8::/32"]'
asks "$VIP4" && fail "a denied source is served"
ok "a denied source is not served"
asks "[$VIP6]" || fail "a source in no list is not served"
ok "a source in no list is served"
at_least "drop_acl" "$(both_outcomes drop_acl)" 1

balancer_kill 1 KILL
balancer_start 1
asks "$VIP4" && fail "a denied source is served after a restart"
ok "not after a restart either"

with 'deny: 10.0.1.0/24' 'allow: [10.0.1.2, "fd00:2::/64"]'
asks "$VIP4" || fail "the longer prefix does not decide"
ok "the longer prefix decides"
asks "[$VIP6]" && fail "a source outside the allow list is served"
ok "with an allow list nobody else is served"

with 'source-flow-limit: 3'
asking=()
for _ in $(seq 30); do
  asks "$VIP4" &
  asking+=($!)
done
for pid in "${asking[@]}"; do wait "$pid" || :; done
at_least "drop_limit_source" "$(both_outcomes drop_limit_source)" 1

with
for i in 1 2; do
  equal "prefixes left in the map of bal$i" "$(bpftool -j map dump pinned "/sys/fs/bpf/bal$i/acl" | jq length)" 0
done
for url in "$VIP4" "[$VIP6]"; do
  asks "$url" || fail "not served without lists"
done
ok "without lists everybody is served"
none_broken long "connections to another service"
