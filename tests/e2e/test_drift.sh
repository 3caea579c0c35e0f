#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What somebody else's hand did to the kernel's side is noticed and mended: the program detached, keys and slots edited.
. "$(dirname "$0")/lib.sh"

lab_start l3
pins=/sys/fs/bpf/bal1
attached() { [ "$(ctl 1 status --json | jq -r '.interfaces[0].mode')" = "$1" ]; }
logged() { grep -qE -- "$1" "$LAB/bal1/lbd.log"; }
# Only by bal1, so that its state decides.
ip -n router route replace "$VIP4/32" via 10.0.2.11
answers() { at client curl -sS --max-time 2 "http://$VIP4/" >/dev/null 2>&1; }
answers || fail "no answer to begin with"

bpftool link detach pinned "$pins/link-eth0"
wait_for 15 logged 'interface_attached' || fail "the detached program was not noticed"
wait_for 5 attached native || fail "the program was not attached again"
answers || fail "no answer after the program was attached again"
ok "a detached program is attached again"

# All keys of one line of the service table, then of all lines.
zero64=$(printf '0 %.0s' $(seq 64))
n=$(bpftool -j map show pinned "$pins/svc4" | jq .max_entries)
for ((i = 0; i < n; i++)); do
  printf 'map update pinned %s key %d %d 0 0 value %s\n' "$pins/svc4" $((i % 256)) $((i / 256)) "$zero64"
done >"$LAB/batch"
bpftool batch file "$LAB/batch" >/dev/null
wait_for 15 logged 'repaired.*keys of the service table' || fail "the missing keys were not noticed"
wait_for 5 answers || fail "no answer after the keys were put right"
ok "missing keys are put back"

# shellcheck disable=SC2086 # bytes
bpftool map update pinned "$pins/slots" key 130 0 0 0 value $zero64
wait_for 15 logged 'repaired.*slots were not' || fail "the edited slots were not noticed"
slots_are_right() { ! bpftool map lookup pinned "$pins/slots" key 130 0 0 0 | jq -e '[.. | numbers] | any(. == 0)' >/dev/null; }
wait_for 5 slots_are_right || fail "the slots were not put right: $(bpftool map lookup pinned "$pins/slots" key 130 0 0 0)"
ok "edited slots are put right"
