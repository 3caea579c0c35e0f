#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Looking closer: flows and explain, against a data plane that real connections go through.
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

# ---- explain: what it says is what happens
both enable trickle web1
both undrain trickle web1
wait_all_healthy
explain() { ctl 1 explain "$@" --json; }
for family in 4 6; do
  if [ "$family" = 4 ]; then vip=$VIP4 host=$VIP4 src=10.0.1.2; else vip="[$VIP6]" host="[$VIP6]" src='[fd00:1::2]'; fi
  for port in 2${family}001 2${family}002 2${family}003 2${family}004; do
    says=$(explain --syn tcp "$src:$port" "$vip:80")
    server=$(at client curl -sS --max-time 3 --local-port "$port" "http://$host/")
    equal "explain IPv$family port $port" "$(jq -r .backend.name <<<"$says")" "$server"
  done
  equal "explain IPv$family: verdict, packet intact, service" \
    "$(jq -r '[.verdict, .frame.intact, .service, .phase] | join(" ")' <<<"$says")" "tx true web settled"
done
says=$(explain tcp 10.0.1.2:1 "$VIP4:80")
equal "explain: outer source and length" \
  "$(jq -r 'select(.frame.encapsulation == "ip4" or .frame.encapsulation == "ip6") |
    (.frame.source == "10.0.2.11" or .frame.source == "fd00:2::11") and .frame.length > 54' <<<"$says")" true
equal "explain: length of the packet inside" "$(jq .frame.inner_length <<<"$says")" 40
contains "explain: next hop" "$(jq -r .nexthop <<<"$says")" '^eth0 via'
says=$(explain udp 10.0.1.2 "$VIP4:5353")
equal "explain UDP" "$(jq -r '[.service, .verdict] | join(" ")' <<<"$says")" "echo tx"
equal "packets that explain counted for the service" \
  "$(ctl 1 services echo --json | jq '.services[].packets')" 0
says=$(explain tcp 10.0.1.2 10.9.9.9:80)
equal "explain: no VIP" "$(jq -r '[.outcome, .verdict, .service] | join(" ")' <<<"$says")" "pass_not_vip pass "
says=$(explain tcp 10.0.1.2 "$VIP4:81")
equal "explain: no such port" "$(jq -r '[.outcome, .verdict] | join(" ")' <<<"$says")" "pass_vip_other pass"
contains "explain: the ports there are" "$(jq -r .why <<<"$says")" '80/tcp'
says=$(explain --size 1600 tcp 10.0.1.2 "$VIP4:80")
contains "explain: too big" "$(jq -r .outcome <<<"$says")" '_too_big$'
contains "explain: why it is too big" "$(jq -r .why <<<"$says")" '1600 bytes do not fit'

both drain web web1
wait_backend web web1 'draining|drained'
seen=
for port in $(seq 42000 42200); do
  says=$(explain tcp "10.0.1.2:$port" "$VIP4:80")
  if [ "$(jq -r '"\(.phase) \(.alt.name)"' <<<"$says")" = "p1 web1" ]; then
    equal "explain: an established flow stays with the drained server" "$(jq -r .backend.name <<<"$says")" web1
    contains "explain: why" "$(jq -r .why <<<"$says")" 'previous owner'
    contains "explain: warns of the drain" "$(jq -r '.warnings[]' <<<"$says")" 'backend web1 is drain'
    says=$(explain --syn tcp "10.0.1.2:$port" "$VIP4:80")
    [ "$(jq -r .backend.name <<<"$says")" != web1 ] || fail "a SYN goes to the drained server"
    contains "explain: a SYN goes elsewhere" "$(jq -r .why <<<"$says")" 'a SYN opens'
    seen=1
    break
  fi
done
[ -n "$seen" ] || fail "no slot of web1 in transition among 200"

for bad in "tcp 10.0.1.2:1 [$VIP6]:80" "tcp 10.0.1.2:1 $VIP4:80 --flags ack,nak" "tcp 10.0.1.2:1 $VIP4:80 --size 39"; do
  # shellcheck disable=SC2086 # words, wanted
  message=$(ctl 1 explain $bad 2>&1) && fail "accepted: explain $bad"
  ok "explain $bad: $(head -n 1 <<<"$message")"
done

# ---- what a change does, in numbers
table=$(ctl 1 table web --json)
at_least "table: slots in their grace time" "$(jq .slots.p1 <<<"$table")" 100
equal "table: phases add up" "$(jq '.slots.settled + .slots.p1 + .slots.p2 == .table_size' <<<"$table")" true
for i in $(seq 20); do at client curl -sS --max-time 3 "http://$VIP4/" >/dev/null; done
steering='.services[] | select(.name == "web") | .steering'
at_least "services: SYNs that met a slot in transition" \
  "$(($(ctl 1 services --json | jq "$steering.syn") + $(ctl 2 services --json | jq "$steering.syn")))" 1
at_least "status: memory of the maps" "$(ctl 1 status --json | jq .map_bytes)" 1000000

# ---- probe: what was asked, and what came of it
said=$(ctl 1 probe web web2)
contains "probe says what it asks" "$said" 'GET http://10.99.0.1:80/healthz.*through the tunnel'
contains "probe says how long it took lately" "$said" 'last [0-9]+ good probes: median [0-9.]+ ms'
contains "probe says what came of it" "$said" 'http probe ok in .*HTTP 200'
