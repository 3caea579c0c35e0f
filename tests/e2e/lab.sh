# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# lab.sh - a network on one machine, for the end-to-end tests and for tools/demo. To be sourced, inside a sandbox.
#
#   client -- router --+-- bal1, bal2         lbd: the router spreads each VIP over both (ECMP)
#                      +-- web1, web2, web3   real nginx, and a UDP echo server
#
# Each is a network namespace of that name; `at NAME COMMAND...` runs a command there. In the shape `l3` every web
# server has a link of its own to the router; in the shape `l2` web servers and balancers share one bridge. Servers
# answer the client directly, past the balancers.
#
# LAB_MTU: of the links between router, balancers and servers; the client's is 1500. The default leaves room for the
# outer headers; at 1500 large packets need the balancer's frag-needed answers or a smaller MSS.

# shellcheck source=../../tools/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"

LBD_BUILD=${LBD_BUILD:-$LBD_ROOT/build/dev}
LBCTL=${LBCTL:-$LBD_BUILD/cli/lbctl}
LAB_FILES=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB=/run/lab
LAB_MTU=${LAB_MTU:-1600}
VIP4=10.99.0.1
VIP6=fd99::1
BALANCERS=(bal1 bal2)
SERVERS=(web1 web2 web3)
LAB_SHAPE=l3

at() { in_network_namespace "$@"; }
at_background() { # the same in the background: $! is the command itself, not a shell around it
  nsenter --net="/run/netns/$1" -- "${@:2}" </dev/null &
}

# ---- links and addresses ---------------------------------------------------------------------------------------

lab_namespace() { # NAME
  ip netns add "$1"
  ip -n "$1" link set lo up
  # Before any link exists, so that every link inherits it: no waiting for duplicate addresses.
  at "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
  mkdir -p "$LAB/$1"
}

lab_link() { # NS-A IF-A NS-B IF-B MTU
  ip link add "$2" netns "$1" mtu "$5" type veth peer name "$4" netns "$3" mtu "$5"
  ip -n "$1" link set "$2" up
  ip -n "$3" link set "$4" up
}

lab_address() { # NS IF IPV4 IPV6
  ip -n "$1" address add "$3" dev "$2"
  ip -n "$1" address add "$4" dev "$2" nodad
}

lab_default_route() { # NS IPV4 IPV6
  ip -n "$1" route add default via "$2"
  ip -n "$1" -6 route add default via "$3"
}

# The end of a veth that sends into an XDP program must fill in checksums itself: there is no later point where
# hardware would. For what XDP_TX sends back, it needs an XDP program of its own.
lab_feeds_xdp() { # NS IF
  at "$1" ethtool -K "$2" tx off >/dev/null
}

lab_receives_xdp_tx() { # NS IF
  at "$1" bpftool net attach xdpdrv pinned "$(lab_pass_program)" dev "$2"
}

lab_pass_program() {
  local dir=/sys/fs/bpf/lab
  if [ ! -d "$dir" ]; then
    bpftool prog loadall "$LBD_BUILD/tests/e2e/xdp_pass.bpf.o" "$dir" type xdp >&2
  fi
  echo "$dir/xdp_pass_frags"
}

lab_up() { # [l3|l2]
  LAB_SHAPE=${1:-l3}
  local i
  for i in client router "${BALANCERS[@]}" "${SERVERS[@]}"; do
    lab_namespace "$i"
  done
  lab_router
  for i in 1 2; do
    lab_balancer "$i"
  done
  for i in 1 2 3; do
    lab_server "$i"
  done
  ip -n router route add "$VIP4/32" nexthop via 10.0.2.11 nexthop via 10.0.2.12
  ip -n router -6 route add "$VIP6/128" nexthop via fd00:2::11 nexthop via fd00:2::12
}

lab_router() {
  # Policy 1: ECMP by addresses and ports, as real routers do. No redirects: a balancer and a server may share a segment.
  at router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
    net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1 \
    net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
  lab_link client eth0 router client 1500
  lab_address client eth0 10.0.1.2/24 fd00:1::2/64
  lab_address router client 10.0.1.1/24 fd00:1::1/64
  lab_default_route client 10.0.1.1 fd00:1::1
  # A fixed address: a bridge takes that of a port otherwise, and another one when the port goes.
  ip -n router link add fabric address 02:00:00:00:02:01 mtu "$LAB_MTU" type bridge mcast_snooping 0
  ip -n router link set fabric up
  lab_address router fabric 10.0.2.1/24 fd00:2::1/64
}

lab_bridge_port() { # NS: its eth0 becomes a port of the router's bridge
  lab_link "$1" eth0 router "$1" "$LAB_MTU"
  ip -n router link set "$1" master fabric
}

lab_balancer() { # NUMBER
  lab_bridge_port "bal$1"
  lab_address "bal$1" eth0 "10.0.2.1$1/24" "fd00:2::1$1/64"
  lab_default_route "bal$1" 10.0.2.1 fd00:2::1
  lab_feeds_xdp router "bal$1"
  lab_feeds_xdp "bal$1" eth0 # its probes are wrapped after the point where a veth would leave the checksum open
  lab_receives_xdp_tx router "bal$1"
}

server_address4() { # NUMBER
  if [ "$LAB_SHAPE" = l2 ]; then echo "10.0.2.2$1"; else echo "10.0.3$1.2"; fi
}
server_address6() {
  if [ "$LAB_SHAPE" = l2 ]; then echo "fd00:2::2$1"; else echo "fd00:3$1::2"; fi
}

lab_server() { # NUMBER
  if [ "$LAB_SHAPE" = l2 ]; then
    lab_bridge_port "web$1"
    lab_address "web$1" eth0 "10.0.2.2$1/24" "fd00:2::2$1/64"
    lab_default_route "web$1" 10.0.2.1 fd00:2::1
  else
    lab_link "web$1" eth0 router "web$1" "$LAB_MTU"
    lab_address "web$1" eth0 "10.0.3$1.2/24" "fd00:3$1::2/64"
    lab_address router "web$1" "10.0.3$1.1/24" "fd00:3$1::1/64"
    lab_default_route "web$1" "10.0.3$1.1" "fd00:3$1::1"
    lab_feeds_xdp router "web$1"
  fi
}

# ---- servers ---------------------------------------------------------------------------------------------------

# Make them backends: VIP on lo, sysctls, MSS, decapsulation. By the XDP program, so that it does not matter which
# tunnels this kernel has.
lab_backends_setup() {
  local i
  for i in "${SERVERS[@]}"; do
    backend_ctl setup "$i"
  done
}

backend_ctl() { # setup|check|undo NAME [OPTION...]: lbctl's verb, with the words that go with this lab
  local verb=backend-$1 name=$2 mode=${LAB_FORWARD:-ipip}
  shift 2
  local -a words=(--state "$LAB/$name/backend.json")
  [ "$verb" = backend-undo ] || words+=(--pin-dir "/sys/fs/bpf/$name")
  if [ "$verb" = backend-setup ]; then
    [ "$LAB_SHAPE" = l3 ] || mode=l2
    words+=(--vip "$VIP4,$VIP6" --interface eth0 --mode "$mode" --decap xdp)
  fi
  at "$name" "$LBCTL" "$verb" "${words[@]}" "$@" >"$LAB/$name/$verb.out" 2>&1 || {
    cat "$LAB/$name/$verb.out" >&2
    return 1
  }
}

lab_serve() { # every server answers on port 80 and 8080 (HTTP), 5353 (UDP echo), 9000 (trickle)
  local i
  for i in "${SERVERS[@]}"; do
    nginx_start "$i"
    at_background "$i" "$PYTHON" "$LAB_FILES/udp_echo.py" "$i" 5353 "$VIP4" "$VIP6" \
      "$(server_address4 "${i#web}")" "$(server_address6 "${i#web}")" >"$LAB/$i/udp.log" 2>&1
    echo $! >"$LAB/$i/udp.pid"
    at_background "$i" "$PYTHON" "$LAB_FILES/trickle.py" serve "$i" 9000 >"$LAB/$i/trickle.log" 2>&1
    echo $! >"$LAB/$i/trickle.pid"
  done
  for i in "${SERVERS[@]}"; do
    wait_for 10 lab_listens "$i" tcp 80 || die "$i: nginx does not listen; $LAB/$i/error.log"
    wait_for 10 lab_listens "$i" tcp 9000 || die "$i: trickle.py does not listen; $LAB/$i/trickle.log"
    wait_for 10 lab_listens "$i" udp 5353 || die "$i: udp_echo.py does not listen; $LAB/$i/udp.log"
  done
}

lab_listens() { # NS tcp|udp PORT
  [ -n "$(at "$1" ss -H -l -n "--$2" "sport = :$3")" ]
}

nginx_start() { # NS
  local dir=$LAB/$1
  cat >"$dir/nginx.conf" <<CONF
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/error.log;
events { worker_connections 8192; }
http {
  access_log off;
  default_type text/plain;
  keepalive_requests 1000000;
  client_max_body_size 0;
  client_body_temp_path $dir/body; proxy_temp_path $dir/proxy; fastcgi_temp_path $dir/fastcgi;
  uwsgi_temp_path $dir/uwsgi; scgi_temp_path $dir/scgi;
  server {
    listen 80 backlog=8192; listen [::]:80 backlog=8192;
    listen 8080 backlog=8192; listen [::]:8080 backlog=8192;
    location / { return 200 "$1\n"; }
    location = /healthz { return 200 "ok\n"; }
  }
}
CONF
  at "$1" nginx -e "$dir/error.log" -c "$dir/nginx.conf"
}

nginx_kill() { # NS: as a crash: no connection is finished, the ports answer with resets
  local pid
  pid=$(cat "$LAB/$1/nginx.pid")
  kill -KILL -- "-$pid"
  wait_for 5 nginx_is_gone "$1"
}
nginx_is_gone() { ! lab_listens "$1" tcp 80; }

# ---- balancers -------------------------------------------------------------------------------------------------

# Writes the configuration of one balancer to stdout. LAB_SERVICES replaces the default services; the seed is shared, so
# that both balancers send a flow to the same server.
lab_config() { # NUMBER
  cat <<CONF
dataplane:
  interfaces: [eth0]
  pin-dir: /sys/fs/bpf/bal$1
  seed-file: $LAB/seed
control:
  socket: $LAB/bal$1/lbd.sock
${LAB_SERVICES:-$(lab_services)}
CONF
}

lab_services() {
  local forward=ipip
  [ "$LAB_SHAPE" = l3 ] || forward=l2
  cat <<CONF
defaults:
  forward: ${LAB_FORWARD:-$forward}
  probe: {type: http, path: /healthz, expect: 200, interval: 500ms, down-interval: 500ms, timeout: 300ms,
    rise: 2, fall: 2, port: 80}
  slow-start: ${LAB_SLOW_START:-0s}
services:
CONF
  if [ "$LAB_SHAPE" = l3 ]; then
    lab_three_services '' "$VIP4, \"$VIP6\"" "${LAB_BACKENDS:-$(lab_backend_list 4 6 4)}"
  else # a rewritten MAC address changes no IP header: VIP and servers are of one family
    lab_three_services '' "$VIP4" "${LAB_BACKENDS:-$(lab_backend_list 4 4 4)}"
    lab_three_services 6 "\"$VIP6\"" "${LAB_BACKENDS6:-$(lab_backend_list 6 6 6)}"
  fi
}

lab_three_services() { # SUFFIX VIPS BACKENDS
  cat <<CONF
  - name: web$1
    vip: [$2]
    port: 80
    protocol: tcp
    backends: $3
  - name: echo$1
    vip: [$2]
    port: 5353
    protocol: udp
    probe: {type: udp, send: ping, port: 5353, interval: 500ms, down-interval: 500ms, timeout: 300ms, rise: 2, fall: 2}
    backends: $3
  - name: trickle$1
    vip: [$2]
    port: 9000
    protocol: tcp
    backends: $3
CONF
}

# The servers by addresses of these families. One IPv6 server in a service for both families: all of 4in4, 6in4, 4in6
# and 6in6 occur.
lab_backend_list() { # FAMILY-OF-WEB1 OF-WEB2 OF-WEB3
  printf '[{name: web1, address: "%s"}, {name: web2, address: "%s"}, {name: web3, address: "%s"}]' \
    "$("server_address$1" 1)" "$("server_address$2" 2)" "$("server_address$3" 3)"
}

balancer_start() { # NUMBER
  local dir=$LAB/bal$1
  [ -e "$LAB/seed" ] || head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$LAB/seed"
  [ -e "$dir/lbd.yaml" ] || lab_config "$1" >"$dir/lbd.yaml"
  at_background "bal$1" "$LBD_BUILD/daemon/lbd" -c "$dir/lbd.yaml" >>"$dir/lbd.log" 2>&1
  echo $! >"$dir/lbd.pid"
  wait_for 10 balancer_is_up "$1" || {
    tail -n 20 "$dir/lbd.log" >&2
    die "bal$1: lbd does not answer; $dir/lbd.log"
  }
}
balancer_is_up() {
  kill -0 "$(cat "$LAB/bal$1/lbd.pid")" 2>/dev/null || die "bal$1: lbd ended: $(tail -n 5 "$LAB/bal$1/lbd.log")"
  ctl "$1" status >/dev/null 2>&1
}
balancer_kill() { # NUMBER SIGNAL
  local pid status=0
  pid=$(cat "$LAB/bal$1/lbd.pid")
  kill "-$2" "$pid"
  wait "$pid" 2>/dev/null || status=$?
  [ "$2" = KILL ] || [ "$status" = 0 ] || die "bal$1: lbd ended with status $status: $(tail -n 20 "$LAB/bal$1/lbd.log")"
}
ctl() { # NUMBER VERB...: lbctl on that balancer
  local n=$1
  shift
  at "bal$n" "$LBCTL" --socket "$LAB/bal$n/lbd.sock" "$@"
}
