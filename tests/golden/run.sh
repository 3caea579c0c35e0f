#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compare what config_check says about DIR/input.yaml with DIR/errors.txt, for each DIR; --update writes errors.txt.
set -eu
update=
[ "$1" = --update ] && { update=1; shift; }
check=$1
shift
failed=0
for dir in "$@"; do
	[ -f "$dir/input.yaml" ] || continue
	got=$(mktemp)
	status=0
	"$check" "$dir/input.yaml" >"$got" || status=$?
	[ "$status" -le 1 ] || { echo "$dir: config_check ended with $status"; failed=1; }
	echo "exit $status" >>"$got"
	if [ -n "$update" ]; then
		cmp -s "$got" "$dir/errors.txt" || { cp "$got" "$dir/errors.txt"; echo "updated $dir/errors.txt"; }
	elif ! diff -u "$dir/errors.txt" "$got"; then
		echo "$dir: differs; if the new text is right: ninja golden-update"
		failed=1
	fi
	rm -f "$got"
done
exit "$failed"
