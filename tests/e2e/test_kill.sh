#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A server dies under load: it leaves the rotation by itself, errors end within the detection time; it comes back and is
# taken in without a failed request.
. "$(dirname "$0")/lib.sh"

lab_start l3

# Two probes have to fail: the first within an interval (500 ms and 10% jitter) of the death, the second a fast interval
# (125 ms) later; a refused probe does not wait for its timeout. Twice that, for a busy machine.
detection_ms=$(((550 + 138) * 2))

load_start killed
load_more killed 200
dead_at=0
now_ms dead_at
nginx_kill web2
wait_backend web web2 'unhealthy-draining|down'
load_more killed 400
client_stop killed
failed=$(report killed .failed)
at_least "requests that met the dead server" "$failed" 1
contains "reasons: only resets, of new connections or those under way" "$(report killed '.by_reason | keys | join(" ")')" '^refused( reset)?$'
last_ms=$(report killed '.last_failure * 1000 | floor')
at_most "last error, ms after the death" "$((last_ms - dead_at))" "$detection_ms"

load_start ejected
load_more ejected 200
equal "servers in the meantime" "$(jq -r '.by_server | keys | join(" ")' "$LAB/ejected.live")" "web1 web3"
nginx_start web2
wait_backend web web2 healthy
load_more ejected 400
no_failures ejected "return of the server"
at_least "requests that it served after its return" "$(report ejected '.by_server.web2')" 1
contains "the event says why" "$(ctl 1 events --json 2>/dev/null || ctl 1 events)" 'refused'
