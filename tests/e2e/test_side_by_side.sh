#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two labs at the same time do not see each other; a lab whose starter is killed by -9 leaves nothing.
. "$(dirname "$0")/lib.sh"

one() { "$LAB_FILES/test_gue.sh" >"$LAB/$1.out" 2>&1; }
one left &
left=$!
one right &
right=$!
wait "$left" || fail "left: $(tail -n 5 "$LAB/left.out")"
wait "$right" || fail "right: $(tail -n 5 "$LAB/right.out")"
ok "two labs side by side"

one killed &
processes() { pgrep -fc "nginx: master|$LBD_BUILD/daemon/lbd" || :; }
lab_is_up() { [ "$(processes)" -ge 5 ]; }
wait_for 20 lab_is_up || fail "the third lab does not come up"
inside=$(pgrep -o -f 'nginx: master')
link=/sys/fs/bpf/web1/eth0/link
program=$(nsenter --target "$inside" --mount --pid bpftool link show pinned "$link" | sed -n 's/.* prog \([0-9]*\).*/\1/p')
[ -n "$program" ] || fail "no program id for $link"
bpftool prog show id "$program" >/dev/null || fail "the killed lab's program is not there to begin with"
# The shell that waits outside its sandbox: whoever started the test knows this process only.
kill -KILL "$(pgrep -f -o "bash $LAB_FILES/test_gue.sh")"
lab_is_gone() { [ "$(processes)" = 0 ]; }
wait_for 10 lab_is_gone || fail "left behind: $(pgrep -fa 'nginx|lbd')"
ok "no process is left"
program_is_gone() { ! bpftool prog show id "$program" >/dev/null 2>&1; }
wait_for 10 program_is_gone || fail "program $program is still in the kernel"
ok "no program is left"
