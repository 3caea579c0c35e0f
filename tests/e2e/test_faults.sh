#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What an operator may get wrong: one clear error each, nothing half applied, the data path untouched.
. "$(dirname "$0")/lib.sh"

lab_start l3
lbd() { timeout 20 "$LBD_BUILD/daemon/lbd" "$@"; }
fails_with() { # WHAT PATTERN COMMAND...
  local what=$1 pattern=$2 out status=0
  shift 2
  out=$("$@" 2>&1) || status=$?
  [ "$status" != 0 ] || fail "$what: no error"
  [ "$status" -lt 124 ] || fail "$what: status $status: $out"
  contains "$what: one clear error" "$out" "$pattern"
}

# A broken file: --check and reload name the place; traffic does not notice.
load_start short
digest=$(ctl 1 services --json | jq -c '[.services[].digest]')
good=$(cat "$LAB/bal1/lbd.yaml")
{
  echo "$good"
  echo '  - {name: web, vip: 10.99.0.1, port: 80000, protokol: tcp, backends: []}'
} >"$LAB/bal1/lbd.yaml"
fails_with "--check" 'lbd.yaml:[0-9]+:[0-9]+' lbd --check "$LAB/bal1/lbd.yaml"
fails_with "lbctl reload" 'lbd.yaml:[0-9]+:[0-9]+|80000' ctl 1 reload
kill -HUP "$(cat "$LAB/bal1/lbd.pid")"
load_more short 100
equal "tables after a refused reload" "$(ctl 1 services --json | jq -c '[.services[].digest]')" "$digest"
echo "$good" >"$LAB/bal1/lbd.yaml"
ctl 1 reload >/dev/null
no_failures short "refused reloads"

fails_with "unknown service" 'nosuch' ctl 1 drain nosuch web1
fails_with "unknown backend" 'web9' ctl 1 drain web web9
fails_with "socket in use" 'lbd.sock|running|in use' at bal1 "$LBD_BUILD/daemon/lbd" -c "$LAB/bal1/lbd.yaml"
balancer_is_up 1 || fail "the running daemon was harmed"
ok "the running daemon was not harmed"

# A third balancer that can not work.
lab_namespace bal3
sed 's#/bal1#/bal3#' "$LAB/bal1/lbd.yaml" >"$LAB/bal3/lbd.yaml"
fails_with "interface that is not there" 'eth0' at bal3 "$LBD_BUILD/daemon/lbd" -c "$LAB/bal3/lbd.yaml"
lab_link bal3 eth0 bal3 peer0 1500
at bal3 bpftool net attach xdpdrv pinned "$(lab_pass_program)" dev eth0
foreign=$(at bal3 bpftool -j net show dev eth0 | jq '.[0].xdp[0].id')
fails_with "XDP held by somebody else" 'eth0' at bal3 "$LBD_BUILD/daemon/lbd" -c "$LAB/bal3/lbd.yaml"
equal "the foreign program stays" "$(at bal3 bpftool -j net show dev eth0 | jq '.[0].xdp[0].id')" "$foreign"
at bal3 "$LBD_BUILD/daemon/lbd" --detach -c "$LAB/bal3/lbd.yaml"
equal "the foreign program survives --detach" "$(at bal3 bpftool -j net show dev eth0 | jq '.[0].xdp[0].id')" "$foreign"
at bal3 bpftool net detach xdpdrv dev eth0

fails_with "no privilege" 'privilege|permitted|root|CAP_' at bal3 setpriv --bounding-set -all --inh-caps -all \
  "$LBD_BUILD/daemon/lbd" -c "$LAB/bal3/lbd.yaml"
fails_with "lbctl without a daemon" 'lbd' "$LBCTL" --socket /run/nosuch.sock status
