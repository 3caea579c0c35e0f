#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lbctl backend-setup, -check, -undo on a host of its own: what they change, that check sees everything, that undo puts
# back everything, whatever happened in between.
. "$(dirname "$0")/../../tools/lib.sh"

LBD_BUILD=${LBD_BUILD:-$LBD_ROOT/build/dev}
LBCTL=$LBD_BUILD/cli/lbctl
E2E=$LBD_ROOT/tests/e2e
skip() {
  say "skipped: $*"
  exit 77
}
[ "$(id -u)" = 0 ] || skip "needs root"
for tool in ip jq bpftool "$PYTHON"; do
  command -v "$tool" >/dev/null || skip "needs $tool (tools/deps installs it)"
done
"$PYTHON" -c 'import scapy' 2>/dev/null || skip "needs scapy (tools/deps installs it)"
sandbox_enter "$@"
set -euo pipefail
trap 'warn "line $LINENO: $BASH_COMMAND"' ERR
# A build with ASan wants to be loaded before what we preload, and libbpf keeps what it needs until the end.
export ASAN_OPTIONS=verify_asan_link_order=0

ok() { say "ok: $*"; }
fail() {
  say "FAILED: $*"
  exit 1
}
equal() { # WHAT GOT WANTED
  [ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"
}
contains() { # WHAT TEXT PATTERN (extended regular expression)
  grep -qE -- "$3" <<<"$2" || fail "$1: '$3' is not in: $2"
}
refused() { # EXIT-CODE PATTERN COMMAND...: it fails with that code and says this
  local code=$1 pattern=$2 status=0 out
  shift 2
  out=$("$@" 2>&1) || status=$?
  equal "exit code of $* ($out)" "$status" "$code"
  contains "$*" "$out" "$pattern"
}

# ---- the host ----------------------------------------------------------------------------------------------------

host_up() {
  ip netns add router
  ip link add eth0 type veth peer name host netns router
  echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
  ip link set eth0 up
  ip -n router link set host up
  ip address add 10.0.0.2/24 dev eth0
  ip address add fd00::2/64 dev eth0 nodad
  ip -n router address add 10.0.0.1/24 dev host
  ip -n router address add fd00::1/64 dev host nodad
  wait_for 10 has_link_local || fail "eth0 gets no link-local address"
  # Every kind of route that must survive being changed.
  ip route add default via 10.0.0.1
  ip -6 route add default via fd00::1 mtu 1480
  ip route add 10.7.0.0/16 metric 7 nexthop via 10.0.0.3 weight 2 nexthop via 10.0.0.4
  ip -6 route add fd77::/64 nexthop via fd00::3 nexthop via fd00::4
  ip nexthop add id 9 via 10.0.0.5 dev eth0
  ip route add 10.8.0.0/16 nhid 9 mtu 1300 initcwnd 20
  ip route add 10.9.0.0/16 via inet6 fd00::9 dev eth0 proto 99 src 10.0.0.2
  ip route add 10.10.0.0/16 via 192.0.2.1 dev eth0 onlink tos 8
  ip route add 10.11.0.0/16 via 10.0.0.1 advmss 1000
  ip route add unreachable 10.12.0.0/16
  ip route add 10.13.0.0/16 via 10.0.0.1 table 100
  echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter
  echo 2 >/proc/sys/net/ipv4/conf/eth0/rp_filter
}

has_link_local() { [ -n "$(ip -6 -oneline address show dev eth0 scope link -tentative)" ]; }

# All that could have been changed.
picture() {
  ip -d route show table all | sort
  ip -d -6 route show table all | sed -E 's/expires [0-9]+sec//' | sort
  ip -brief address
  ip -details -json link | jq -c '.[] | {ifname, flags: (.flags - ["RUNNING"]), mtu, mode: .xdp.mode}'
  (cd /proc/sys/net/ipv4/conf && grep -r . | sort)
  find /sys/fs/bpf -mindepth 1 -not -name '*.debug'
}

before() { before=$(picture); }
looks_as_before() { [ "$(picture)" = "$before" ]; }
as_before() { # WHAT
  local now
  # A moment's patience: what a killed process had attached is taken down by the kernel, but not at once.
  wait_for 2 looks_as_before || {
    now=$(picture)
    echo "$before" >"$TMPDIR/before"
    echo "$now" | diff "$TMPDIR/before" - || :
    fail "$1: the host is not as before"
  }
  [ ! -e /run/lbd/backend.json ] || fail "$1: the state file is still there"
}

SETUP=("$LBCTL" backend-setup --vip "10.99.0.1,fd99::1" --interface eth0 --mode ipip --decap xdp)
check() { "$LBCTL" backend-check; }
all_right() { # WHEN
  local out
  out=$(check 2>&1) || fail "check $1: $(grep -v ^OK <<<"$out")"
}

# ---- set up, check, undo -------------------------------------------------------------------------------------------

test_there_and_back() {
  local out
  before
  out=$("${SETUP[@]}" --dry-run)
  contains "dry run" "$out" "would be made; nothing was touched"
  as_before "dry run"
  equal "dry run and doing say the same" "$("${SETUP[@]}" | grep -- '->')" "$(grep -- '->' <<<"$out")"
  all_right "after setup"
  equal "VIPs on lo" "$(ip -json address show lo | jq -c '[.[].addr_info[].local] - ["127.0.0.1", "::1"]')" \
    '["10.99.0.1","fd99::1"]'
  equal "effective sysctls" "$(cat /proc/sys/net/ipv4/conf/all/{arp_ignore,arp_announce,rp_filter} | tr '\n' ' ')" "1 2 0 "
  local program=decap_xdp_frags # frames of several buffers: since Linux 5.18
  [ "$(printf '5.18\n%s\n' "$(uname -r)" | sort -V | head -n 1)" = 5.18 ] || program=decap_xdp
  equal "program on eth0" "$(ip -json -d link show eth0 | jq -r '.[0].xdp.prog.name')" "$program"
  equal "VIPs it unpacks" "$(bpftool -j map dump pinned /sys/fs/bpf/lbd-backend/eth0/vips | jq length)" 2
  equal "a route keeps its other metrics" "$(ip route show 10.8.0.0/16 | tr -s ' ')" \
    "10.8.0.0/16 nhid 9 via 10.0.0.5 dev eth0 mtu 1300 advmss 1260 initcwnd 20 "
  contains "setup again" "$("${SETUP[@]}")" "nothing was changed"
  contains "setup without words" "$("$LBCTL" backend-setup)" "nothing was changed"
  "$LBCTL" backend-undo >/dev/null
  as_before "undo"
  contains "undo again" "$("$LBCTL" backend-undo)" "nothing to undo"
  ok "setup, check, setup again, undo"
}

# What the peer of a connection to the VIP is told.
test_mss_is_announced() {
  local server
  "${SETUP[@]}" >/dev/null
  "$PYTHON" - <<'PY' &
import socket
for family, address in ((socket.AF_INET, "10.99.0.1"), (socket.AF_INET6, "fd99::1")):
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, 80))
    s.listen()
    globals()["keep%d" % family] = s
while True:
    socket.socket.accept(keep2)
PY
  server=$!
  ip -n router route add 10.99.0.1 via 10.0.0.2
  ip -n router -6 route add fd99::1 via fd00::2
  mss() { # ADDRESS
    in_network_namespace router "$PYTHON" -c "import socket, sys
s = socket.create_connection((sys.argv[1], 80), timeout=5)
print(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) + 12)" "$1"
  }
  wait_for 10 mss fd99::1 >/dev/null 2>&1 || fail "nobody listens"
  equal "IPv4 MSS seen by a client" "$(mss 10.99.0.1)" 1420
  equal "IPv6 MSS seen by a client" "$(mss fd99::1)" 1400
  kill "$server"
  ip -n router route del 10.99.0.1
  ip -n router -6 route del fd99::1
  "$LBCTL" backend-undo >/dev/null
  ok "the MSS reaches clients"
}

# Real packets in every kind of tunnel, and the answers, which must come straight from the VIP.
unpacks() { # WHAT WANTED
  local got server
  "$PYTHON" "$E2E/udp_echo.py" backend 7777 10.99.0.1 fd99::1 >/dev/null 2>&1 &
  server=$!
  wait_for 10 listening || fail "$1: udp_echo.py does not listen"
  got=$(in_network_namespace router "$PYTHON" "$E2E/tunnel_ask.py" host 10.0.0.2 fd00::2 10.99.0.1 fd99::1 7777 \
    </sys/class/net/eth0/address)
  kill "$server"
  equal "$1: tunnels that were unpacked" "$got" "$2"
}
listening() { [ "$(ss -Huln 'sport = :7777' | wc -l)" = 2 ]; }
ALL_KINDS="4-gue4 4-gue6 4in4 4in6 6-gue4 6-gue6 6in4 6in6"

test_xdp_unpacks() {
  "${SETUP[@]}" >/dev/null
  unpacks "XDP" "$ALL_KINDS"
  "$LBCTL" backend-undo >/dev/null
  unpacks_nothing_without_vips
  ok "the XDP program unpacks every kind of tunnel"
}

unpacks_nothing_without_vips() {
  "${SETUP[@]}" --mode l2 >/dev/null
  unpacks "no decapsulation" ""
  "$LBCTL" backend-undo >/dev/null
}

# Where there are modules for it: on Debian's kernels, not on every machine that runs tests.
test_kernel_unpacks() {
  modprobe -nq ipip 2>/dev/null || [ -e /sys/module/ipip ] || {
    say "skipped: kernel decapsulation (no module ipip)"
    return 0
  }
  local kinds="4in4 4in6 6in4 6in6"
  modprobe -a ipip sit ip6_tunnel fou # or the first setup would leave their devices behind
  before
  "${SETUP[@]}" --decap auto >/dev/null
  all_right "of kernel tunnels"
  equal "tunnels up" "$(ip -brief link show up | grep -cE '^(tunl0|sit0|lbd6)@?')" 3
  unpacks "kernel, ipip" "$kinds"
  "${SETUP[@]}" --decap auto --mode gue >/dev/null
  all_right "of kernel GUE"
  unpacks "kernel, gue" "$ALL_KINDS"
  "$LBCTL" backend-undo >/dev/null
  as_before "kernel tunnels"
  equal "fou ports" "$(ip fou show; ip -6 fou show)" ""
  ok "the kernel's tunnels unpack every kind of tunnel"
}

# The table of docs/backends.md.
test_mss_arithmetic() {
  local mtu mode mss4 mss6 families row
  while read -r mtu mode families mss4 mss6; do
    row="MTU $mtu, $mode over $families"
    ip link set eth0 mtu "$mtu"
    if [ "$families" = ipv4 ]; then ip address del fd00::2/64 dev eth0; fi
    equal "$row" "$("${SETUP[@]}" --mode "$mode" --dry-run --json | jq -r '[.changes[] |
      select(.kind == "route-mss" and (.name | test("(10.0.0.0/24|ipv6 fd77::/64)"))) | .is] | join(" ")')" "$mss4${mss6:+ $mss6}"
    if [ "$families" = ipv4 ]; then ip address add fd00::2/64 dev eth0 nodad; fi
  done <<'ROWS'
1500 ipip both 1420 1400
1500 gue both 1412 1392
1560 ipip both 1480 1460
1600 gue both 1512 1492
9000 ipip both 8920 8900
1500 l2 both
1500 ipip ipv4 1440 1420
1500 gue ipv4 1432 1412
ROWS
  ip link set eth0 mtu 1300
  refused 5 "MTU 1300 leaves no room for IPv6" "${SETUP[@]}"
  ip link set eth0 mtu 1500
  equal "a given MSS" "$("${SETUP[@]}" --mss 1300 --dry-run --json |
    jq -r '[.changes[] | select(.kind == "route-mss") | .is] | unique | join(" ")')" "1260 1280 1300"
  equal "MSS off" "$("${SETUP[@]}" --mss off --dry-run | grep -c route-mss || :)" 0
  ok "MSS arithmetic"
}

# ---- what check sees -----------------------------------------------------------------------------------------------

# Each line: what to break, what check then says. `backend-setup` mends it, and the end is as it was.
test_check_names_what_is_broken() {
  local break_it pattern out status
  before
  "${SETUP[@]}" >/dev/null
  while IFS='|' read -r break_it pattern; do
    sh -ec "$break_it"
    status=0
    out=$(check) || status=$?
    equal "exit code after: $break_it" "$status" 5
    contains "after: $break_it" "$out" "WRONG  $pattern"
    equal "only that is wrong after: $break_it" "$(grep -c ^WRONG <<<"$out")" 1
    contains "by hand, after: $break_it" "$out" "by hand: [a-z]"
    equal "--json after: $break_it" \
      "$("$LBCTL" backend-check --json | jq -c '[.ok, (.checks | map(select(.ok | not)) | length)]')" "[false,1]"
    "$LBCTL" backend-setup >/dev/null
    all_right "mended after: $break_it"
  done <<'ROWS'
echo 0 >/proc/sys/net/ipv4/conf/all/arp_ignore|sysctl net/ipv4/conf/all/arp_ignore: 0, should be 1
echo 0 >/proc/sys/net/ipv4/conf/all/arp_announce|sysctl net/ipv4/conf/all/arp_announce: 0, should be 2
echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter|sysctl net/ipv4/conf/all/rp_filter: 1, should be 0
echo 1 >/proc/sys/net/ipv4/conf/eth0/rp_filter|sysctl net/ipv4/conf/eth0/rp_filter: 1, should be 0
ip address del 10.99.0.1/32 dev lo|vip 10.99.0.1: absent, should be lo
ip address del fd99::1/128 dev lo|vip fd99::1: absent, should be lo
ip route replace default via 10.0.0.1|route-mss ipv4 default metric 0: none, should be 1420
ip -6 route replace fd77::/64 via fd00::3 advmss 1000|route-mss ipv6 fd77::/64 metric 1024: 1000, should be 1400
ip route add 10.14.0.0/16 via 10.0.0.1|route-mss ipv4 10.14.0.0/16 metric 0: none, should be 1420
rm /sys/fs/bpf/lbd-backend/eth0/link|decap eth0: absent, should be gue-port 6080
bpftool map delete pinned /sys/fs/bpf/lbd-backend/eth0/vips key hex 0 0 0 0 0 0 0 0 0 0 ff ff a 63 0 1|decap-vip eth0 10.99.0.1: absent, should be unpacked
ROWS
  ip -6 route replace fd77::/64 nexthop via fd00::3 nexthop via fd00::4
  ip route del 10.14.0.0/16
  "$LBCTL" backend-undo >/dev/null
  as_before "undo after all that"
  refused 4 "was not set up yet" "$LBCTL" backend-check
  refused 5 "WRONG  vip 10.99.0.1: absent" "$LBCTL" backend-check --vip 10.99.0.1 --interface eth0 --mode l2
  ok "check names each thing that is wrong"
}

# ---- changes of mind -----------------------------------------------------------------------------------------------

test_other_words() {
  before
  "${SETUP[@]}" >/dev/null
  "$LBCTL" backend-setup --mode gue --gue-port 7070 --vip 10.99.0.2,fd99::1 >/dev/null
  all_right "after a change of mode"
  equal "VIPs on lo" "$(ip -json address show lo | jq -c '[.[].addr_info[].local] - ["127.0.0.1", "::1"] | sort')" \
    '["10.99.0.2","fd99::1"]'
  equal "VIPs it unpacks" "$(bpftool -j map dump pinned /sys/fs/bpf/lbd-backend/eth0/vips | jq length)" 2
  "$LBCTL" backend-setup --mode l2 >/dev/null
  all_right "after l2"
  equal "decapsulation in l2" "$(find /sys/fs/bpf -name link | wc -l)" 0
  "$LBCTL" backend-undo >/dev/null
  as_before "undo"
  ok "other VIPs, modes and ports; undo still knows the beginning"
}

test_what_was_there_stays() {
  ip address add 10.99.0.1/32 dev lo
  echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore
  before
  "${SETUP[@]}" >/dev/null
  "$LBCTL" backend-undo >/dev/null
  as_before "undo"
  ip address del 10.99.0.1/32 dev lo
  echo 0 >/proc/sys/net/ipv4/conf/all/arp_ignore
  ok "what was right before is not ours to undo"
}

test_interface_removed_and_back() {
  "${SETUP[@]}" >/dev/null
  ip link del eth0
  refused 5 "there is no interface 'eth0'" check
  "$LBCTL" backend-undo >/dev/null
  equal "pins" "$(find /sys/fs/bpf -mindepth 1 -not -name '*.debug' | wc -l)" 0
  ip nexthop flush >/dev/null 2>&1 || :
  ip netns del router
  ip route flush table all >/dev/null 2>&1 || :
  host_up
  "${SETUP[@]}" >/dev/null
  all_right "after the interface came back"
  "$LBCTL" backend-undo >/dev/null
  ok "the interface may go; undo cleans up"
}

# ---- failures ------------------------------------------------------------------------------------------------------

test_failure_puts_back() {
  # Nearly the last thing to do fails; all before it is done by then.
  ip address add fd99::1/64 dev eth0 nodad
  before
  refused 5 "fd99::1 is an address of eth0" "${SETUP[@]}"
  as_before "a VIP on eth0"
  ip address del fd99::1/64 dev eth0

  bpftool prog loadall "$LBD_BUILD/tests/e2e/xdp_pass.bpf.o" /sys/fs/bpf/other type xdp
  bpftool net attach xdp pinned /sys/fs/bpf/other/xdp_pass_frags dev eth0
  before
  refused 5 "another XDP program is on eth0" "${SETUP[@]}"
  as_before "a foreign XDP program"
  bpftool net detach xdp dev eth0
  rm -r /sys/fs/bpf/other

  # In the middle of a change of what is there already: back to that, not to the beginning.
  local settled
  "${SETUP[@]}" >/dev/null
  settled=$(picture)
  ip address add 10.99.0.2/32 dev eth0
  refused 5 "10.99.0.2 is an address of eth0" "$LBCTL" backend-setup --vip 10.99.0.1,fd99::1,10.99.0.2 --mss 1000
  ip address del 10.99.0.2/32 dev eth0
  equal "after a failed change" "$(picture)" "$settled"
  all_right "after a failed change"
  "$LBCTL" backend-undo >/dev/null
  ok "a failure puts back what was done before it"
}

test_refusals() {
  ip link set eth0 down
  refused 5 "interface eth0 is down" "${SETUP[@]}"
  ip link set eth0 up
  ip address flush dev eth0
  refused 5 "has an address that a balancer could send to" "${SETUP[@]}"
  ip address add 10.0.0.2/24 dev eth0
  ip route add default via 10.0.0.1
  before
  refused 5 "there is no interface 'eth7'" "${SETUP[@]}" --interface eth7
  refused 4 "'127.0.0.1' is not an address that a service can have" "${SETUP[@]}" --vip 127.0.0.1
  refused 4 "10.99.0.1 is there twice" "${SETUP[@]}" --vip 10.99.0.1,10.99.0.1
  refused 4 "'tunnel' is not one of its words" "${SETUP[@]}" --mode tunnel
  refused 4 "'lo' is no interface" "${SETUP[@]}" --interface lo
  refused 4 "'99999' is not a number" "${SETUP[@]}" --mss 99999
  refused 1 "takes options only" "${SETUP[@]}" word
  refused 4 "was not set up yet" "$LBCTL" backend-setup --vip 10.99.0.1
  echo '{"v": 99}' >/run/lbd/backend.json
  refused 4 "not a state file of this version" "${SETUP[@]}"
  rm /run/lbd/backend.json
  refused 5 "another lbctl is changing this host" flock /run/lbd/backend.json.lock "${SETUP[@]}"
  if [ ! -e /sys/module/ipip ] && ! modprobe -nq ipip 2>/dev/null; then
    refused 5 "the kernel module ipip did not bring the device tunl0" "${SETUP[@]}" --decap kernel
  fi
  ip -6 address add fd00::2/64 dev eth0 nodad
  ip -6 route add default via fd00::1 proto ra
  refused 5 "default route comes from router advertisements" "${SETUP[@]}"
  ip -6 address flush dev eth0 scope global
  ip -6 route flush default
  mount -t tmpfs tmpfs /sys/fs/bpf
  refused 5 "is not on a BPF file system" "${SETUP[@]}"
  umount /sys/fs/bpf
  mount --bind -o ro /proc/sys /proc/sys
  mount -o remount,bind,ro /proc/sys
  refused 5 "arp_ignore: writing 1|Read-only" "${SETUP[@]}"
  umount /proc/sys
  as_before "refusals"
  refused 3 "only root" setpriv --reuid 65534 --clear-groups "$LBCTL" backend-check
  ok "refusals say what is wrong and change nothing"
}

# ---- kill -9 -------------------------------------------------------------------------------------------------------

dying() { # MOMENT COMMAND...
  # In a shell of its own, which keeps its report of the death for itself.
  (DIE_AT=$1 LD_PRELOAD=$LBD_BUILD/tests/e2e/die_at.so "${@:2}" || exit $?) >/dev/null 2>&1
}

# At every moment: after it, undo brings the beginning back; or setup goes on to the end, and then undo does.
test_killed_at_every_moment() {
  local moment status died=0
  before
  for ((moment = 0; moment < 200; moment++)); do
    status=0
    dying "$moment" "${SETUP[@]}" || status=$?
    ((status != 0)) || break
    equal "moment $moment" "$status" 137
    died=$((died + 1))
    if ((moment % 2)); then
      "${SETUP[@]}" >/dev/null
      all_right "after moment $moment and setup again"
    fi
    "$LBCTL" backend-undo >/dev/null
    as_before "killed at moment $moment"
  done
  ((died > 20)) || fail "only $died moments"
  for ((moment = 0; moment < 10; moment++)); do # in the middle of a change
    "${SETUP[@]}" >/dev/null
    dying "$moment" "$LBCTL" backend-setup --vip 10.99.0.2 --mode gue || :
    "$LBCTL" backend-undo >/dev/null
    as_before "killed at moment $moment of a change"
  done
  "$LBCTL" backend-undo >/dev/null
  ok "killed at $died moments of a setup and 10 of a change; undo is exact"
}

host_up
if [ $# -gt 0 ]; then
  "$@"
  exit
fi
test_there_and_back
test_mss_is_announced
test_xdp_unpacks
test_kernel_unpacks
test_mss_arithmetic
test_check_names_what_is_broken
test_other_words
test_what_was_there_stays
test_failure_puts_back
test_killed_at_every_moment
test_interface_removed_and_back
test_refusals
