#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Looking closer: flows, against a data plane that real connections go through.
. "$(dirname "$0")/lib.sh"

lab_start l3

flows() { ctl "$1" flows "${@:2}" --json; }
tracked() { # AT-LEAST: entries of trickle on both balancers together
  local n
  n=$(($(flows 1 trickle | jq .flows_valid) + $(flows 2 trickle | jq .flows_valid)))
  ((n >= $1))
}

# ---- flows: none while all is settled; those of a drained server, and of no other, once it drains
trickle_start held 60
equal "flows tracked while every slot is settled" "$(flows 1 | jq .flows_total)" 0
both drain trickle web1
wait_for 15 tracked 15 || fail "the connections of a drained server are not tracked: $(ctl 1 flows trickle)"
list=$(flows 1 trickle)
equal "flows: whose they are" "$(jq -r '[.flows[].service] | unique | join(" ")' <<<"$list")" trickle
contains "flows: the drained server's are there" "$(jq -r '.flows[].backend' <<<"$list")" '^web1$'
equal "flows: state of running connections" "$(jq -r '[.flows[].state] | unique | join(" ")' <<<"$list")" open
equal "flows: all listed and valid" "$(jq -r '(.flows | length) == .flows_total and .flows_valid == .flows_total' <<<"$list")" true
equal "flows: a limit limits the list, not the count" \
  "$(flows 1 trickle --limit 1 | jq -c '[(.flows | length), .flows_total > 1]')" '[1,true]'
equal "flows of a service that nothing happened to" "$(flows 1 web | jq .flows_total)" 0
contains "flows, for people" "$(ctl 1 flows trickle)" 'of [0-9]+ tracked flows \([0-9]+ valid\)'
contains "flows of no service" "$(ctl 1 flows tickle 2>&1 || :)" 'did you mean "trickle"'

# Their server is given up: the entries decide nothing any more.
both disable trickle web1
wait_backend trickle web1 disabled
equal "valid flows of a server that was given up" \
  "$(flows 1 trickle | jq '[.flows[] | select(.backend == "web1" and .valid)] | length')" 0
client_stop held
