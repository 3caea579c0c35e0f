# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# demo_show.sh - what tools/demo shows: chapters, a live table of requests per server, a report. To be sourced; show()
# runs inside a sandbox. Its last line is $MARK when the network is to stay (DEMO_KEEP).

# shellcheck source=../tests/e2e/lab.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tests/e2e/lab.sh"
MARK='-- the show is over --'

# ---- table ---------------------------------------------------------------------------------------------

clock() { # seconds since the start of the show, one decimal
  local now
  now_ms now
  printf '%d.%d' "$(((now - SHOW_BEGAN) / 1000))" "$((((now - SHOW_BEGAN) % 1000) / 100))"
}
chapter() { printf '\n%s%s%s\n' "$C_BOLD" "$*" "$C_OFF"; }
happens() { printf '%7s s  %s* %s%s\n' "$(clock)" "$C_CYAN" "$*" "$C_OFF"; }

table_head() {
  printf '%s%9s  %-20s %-20s %-20s %9s  %s%s\n' "$C_DIM" time "web1 requests/s" "web2 requests/s" "web3 requests/s" \
    "failed/s" "out of rotation" "$C_OFF"
}
BAR='###############'
cell() { # RATE: the number and a bar
  local width=$(($1 / 27))
  ((width <= ${#BAR})) || width=${#BAR}
  printf -v CELL '%4d %-15s' "$1" "${BAR:0:width}"
}

live_counts() { # "REQUESTS FAILED WEB1 WEB2 WEB3" so far
  jq -r '[.requests, .failed, (.by_server | .web1 // 0, .web2 // 0, .web3 // 0)] | @tsv' "$LAB/load.live"
}

out_of_rotation() {
  ctl 1 backends --json | jq -r '[.backends[] | select(.service == "web" and .state != "healthy") |
    .name + " " + .state] | join(", ")'
}

table_row() { # one row: the rates since the last row
  local now requests failed a b c ms
  now_ms now
  read -r requests failed a b c < <(live_counts)
  ms=$((now - ROW_AT))
  ((ms > 0)) || ms=1
  local colour='' row
  ((failed == ROW_FAILED)) || colour=$C_RED
  cell $(((a - ROW_A) * 1000 / ms))
  row=$CELL
  cell $(((b - ROW_B) * 1000 / ms))
  row+=" $CELL"
  cell $(((c - ROW_C) * 1000 / ms))
  row+=" $CELL"
  printf '%7s s  %s %s%9d%s  %s\n' "$(clock)" "$C_GREEN$row$C_OFF" "$colour" $(((failed - ROW_FAILED) * 1000 / ms)) \
    "${colour:+$C_OFF}" "$C_YELLOW$(out_of_rotation)$C_OFF"
  ROW_AT=$now ROW_FAILED=$failed ROW_A=$a ROW_B=$b ROW_C=$c
}

rows() { # N: rows at a pace of two a second
  local i
  for ((i = 0; i < $1; i++)); do
    sleep 0.5
    table_row
  done
}

rows_until() { # SECONDS COMMAND...: rows until it succeeds, at least one; sets UNTIL_MS, how long it took
  local limit=$1 start now next
  shift
  now_ms start
  next=$((start + 500))
  until "$@"; do
    now_ms now
    ((now - start < limit * 1000)) || die "this took longer than $limit s: $*"
    if ((now >= next)); then
      table_row
      next=$((now + 500))
    fi
    sleep 0.02
  done
  now_ms now
  UNTIL_MS=$((now - start))
  table_row
}

both() {
  ctl 1 "$@" >/dev/null
  ctl 2 "$@" >/dev/null
}
web_is() { # SERVER STATE-PATTERN, on both balancers
  local i
  for i in 1 2; do
    [[ $(ctl "$i" backends --json | jq -r --arg b "$1" '.backends[] | select(.service == "web" and .name == $b) | .state') \
      =~ ^($2)$ ]] || return 1
  done
}
all_healthy() { web_is web1 healthy && web_is web2 healthy && web_is web3 healthy; }
failed_so_far() { jq .failed "$LAB/load.live"; }
seconds() { printf '%d.%02d' "$(($1 / 1000))" "$(($1 % 1000 / 10))"; }

# ---- chapters ------------------------------------------------------------------------------------------

show_network() {
  chapter "Network"
  cat <<END
                        +-- bal1 --+            client: 10.0.1.2, fd00:1::2
    client --- router --+   lbd    +-- web1     VIP: 10.99.0.1 and fd99::1 on every web server
                 ^      +-- bal2 --+-- web2     bal1, bal2: the router spreads the VIP over both (ECMP)
                 |                 +-- web3     web1..3: nginx; they answer the client directly
                 +--------------------+
END
  local start end
  now_ms start
  lab_up l3
  lab_backends_setup
  lab_serve
  balancer_start 1
  balancer_start 2
  wait_for 20 all_healthy || die "not all servers are healthy: $(out_of_rotation)"
  now_ms end
  say "up in $(seconds $((end - start))) s: 7 network namespaces, XDP on both balancers, all probes good"
}

show_traffic() {
  chapter "One request each by curl, and a datagram"
  local url
  for url in "http://$VIP4/" "http://[$VIP6]/"; do
    say "  curl $url  ->  $(at client curl -sS --max-time 3 "$url")"
  done
  say "  UDP echo, 60 datagrams over IPv4 and IPv6  ->  $(at client "$PYTHON" "$LAB_FILES/udp_ask.py" 30 5353 \
    "$VIP4" "$VIP6" | jq -r '"\(.answered) answered by \(.by_server | keys | join(", "))"')"
}

show_load() {
  chapter "Load: new connections over both families, each answer checked; 60 long-lived connections beside them"
  at_background client "$PYTHON" "$LAB_FILES/trickle.py" hold --connections 60 --interval 0.3 --ready "$LAB/long.ready" \
    9000 "$VIP4" "$VIP6" >"$LAB/long.json" 2>"$LAB/long.err"
  LONG=$!
  at_background client "$PYTHON" "$LAB_FILES/load.py" --rate 600 --live "$LAB/load.live" "http://$VIP4/" "http://[$VIP6]/" \
    >"$LAB/load.json" 2>"$LAB/load.err"
  LOAD=$!
  wait_for 20 test -e "$LAB/long.ready" || die "the long-lived connections do not come up: $(cat "$LAB/long.err")"
  wait_for 10 test -e "$LAB/load.live" || die "the load does not start: $(cat "$LAB/load.err")"
  now_ms SHOW_BEGAN
  ROW_AT=$SHOW_BEGAN
  read -r _ ROW_FAILED ROW_A ROW_B ROW_C < <(live_counts)
  table_head
  rows 6
}

show_kill() {
  KILL_BEFORE=$(failed_so_far)
  now_ms KILLED_AT
  nginx_kill web2
  happens "web2 dies: kill -9 of its nginx"
  rows_until 20 web_is web2 'unhealthy-draining|down|ejected'
  EJECTED_MS=$UNTIL_MS
  happens "both balancers have ejected web2, $(seconds "$EJECTED_MS") s after its death"
  rows 1
  KILL_FAILED=$(($(failed_so_far) - KILL_BEFORE))
  rows 5
  nginx_start web2
  happens "web2 is started again"
  rows_until 20 web_is web2 healthy
  RETURN_MS=$UNTIL_MS
  happens "both balancers have taken web2 in again, $(seconds "$RETURN_MS") s after its start"
  rows 5
}

show_drain() {
  both drain web web1
  happens "lbctl drain web web1: no new connections to web1"
  rows 5
  both undrain web web1
  happens "lbctl undrain web web1"
  rows 5
  both weight web web3 25
  happens "lbctl weight web web3 25: a quarter of the others' share"
  rows 4
  both weight web web3 100
}

show_speed() {
  chapter "wrk for 4 s, 64 connections, kept alive"
  at client wrk -t1 -c64 -d4s --latency "http://$VIP4/" >"$LAB/wrk.out"
  sed -n 's/^ *\(Requests\/sec.*\|50%.*\|99%.*\|Socket errors.*\)/  \1/p' "$LAB/wrk.out"
}

fact() { printf '  %-24s %s\n' "$@"; }

show_report() {
  local requests failed broken last by_server wrk_errors
  kill -TERM "$LOAD" "$LONG"
  wait "$LOAD" || :
  wait "$LONG" || :
  requests=$(jq .requests "$LAB/load.json") failed=$(jq .failed "$LAB/load.json")
  broken=$(jq '.broken | length' "$LAB/long.json")
  last=$(jq --argjson t "$KILLED_AT" '(.last_failure // ($t / 1000)) * 1000 - $t | floor' "$LAB/load.json")
  chapter "What happened"
  by_server=$(jq -r '.by_server | to_entries | map("\(.key) \(.value)") | join(", ")' "$LAB/load.json")
  wrk_errors=$(sed -n 's/.*Socket errors: /errors: /p' "$LAB/wrk.out")
  fact "requests" "$requests, each on a new connection; by $by_server"
  fact "failed requests" "$failed: $KILL_FAILED by the death of web2, $((failed - KILL_FAILED)) by anything else"
  fact "" "the last one $(seconds "$last") s after its death"
  fact "time to ejection" "$(seconds "$EJECTED_MS") s (probes every 500 ms, two must fail)"
  fact "time to return" "$(seconds "$RETURN_MS") s after web2 was started"
  fact "long-lived connections" "$(jq .connections "$LAB/long.json") held through all of this, $broken broken"
  fact "wrk" "$(awk '/requests in/ {print $1}' "$LAB/wrk.out") requests, ${wrk_errors:-no errors}"
  if ((failed > KILL_FAILED || broken > 0)); then
    say "${C_RED}Something failed that should not have.${C_OFF}"
    return 1
  fi
  say "${C_GREEN}Only the death of a server was noticed by anyone, and only until it was ejected.${C_OFF}"
}

show() {
  mkdir -p "$LAB"
  trap 'show_trouble $?' EXIT
  show_network
  show_traffic
  show_load
  show_kill
  show_drain
  show_speed
  show_report
  trap - EXIT
  [ -n "${DEMO_KEEP:-}" ] || return 0
  say "$MARK"
  exec >/dev/null 2>&1
  while :; do
    sleep 3600 &
    wait "$!"
  done
}

show_trouble() { # STATUS
  local i
  for i in 1 2; do
    if [ -e "$LAB/bal$i/lbd.log" ]; then
      say "---- end of $LAB/bal$i/lbd.log"
      tail -n 15 "$LAB/bal$i/lbd.log"
    fi
  done
  exit "$1"
}
