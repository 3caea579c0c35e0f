#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Drain, undrain, weights, backends removed and added by reload, under load: no request fails, no connection breaks.
. "$(dirname "$0")/lib.sh"

lab_start l3
trickle_start long 150
load_start short
at_background client wrk -t1 -c32 -d60s "http://$VIP4/" >"$LAB/wrk.out" 2>&1
wrk_pid=$!

share_is() { # SERVICE BACKEND JQ-CONDITION on .share, both balancers
  local i
  for i in 1 2; do
    [ "$(backend_field "$i" "$1" "$2" ".share | $3")" = true ] || return 1
  done
}

both drain web web1
both drain trickle web1
wait_backend web web1 'draining|drained'
wait_for 10 share_is web web1 '. == 0' || fail "web1 still has slots"
load_more short 300
before=$(jq '.by_server.web1' "$LAB/short.live")
load_more short 300
equal "new connections to a drained server" "$(($(jq '.by_server.web1' "$LAB/short.live") - before))" 0

both undrain web web1
both undrain trickle web1
wait_backend web web1 healthy
load_more short 300
at_least "new connections after the undrain" "$(($(jq '.by_server.web1' "$LAB/short.live") - before))" 1

both weight web web3 25
wait_for 10 share_is web web3 '. < 0.15' || fail "the share of web3 did not shrink"
load_more short 200
both weight web web3 100
wait_for 10 share_is web web3 '. > 0.3' || fail "the share of web3 did not grow"
load_more short 200

# A file that differs: one server less, then all three again.
for backends in "[{name: web1, address: 10.0.31.2}, {name: web3, address: 10.0.33.2}]" ''; do
  for i in 1 2; do
    LAB_BACKENDS=$backends lab_config "$i" >"$LAB/bal$i/lbd.yaml"
    ctl "$i" reload >/dev/null
  done
  load_more short 300
done
wait_all_healthy
load_more short 300

kill -INT "$wrk_pid"
wait "$wrk_pid" || :
at_least "requests by wrk" "$(awk '/requests in/ {print $1}' "$LAB/wrk.out")" 100
contains "wrk: no errors" "$(grep -E 'Socket errors|Non-2xx' "$LAB/wrk.out" || echo none)" '^none$'
no_failures short "drain, undrain, weights, reload"
none_broken long "the same, long-lived connections"
