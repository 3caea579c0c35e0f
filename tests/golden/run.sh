#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh CHECK DIR           compare what CHECK says about DIR/input.yaml with DIR/errors.txt
# run.sh --update CHECK DIR  write errors.txt anew in every folder of DIR
set -eu

# What the case says, and its exit status in the last line.
say() {
	status=0
	"$check" "$1/input.yaml" || status=$?
	echo "exit $status"
}

if [ "$1" = --update ]; then
	check=$2
	for dir in "$3"/*/; do
		say "$dir" >"$dir/errors.new"
		mv "$dir/errors.new" "$dir/errors.txt"
	done
	exit 0
fi
check=$1
got=$(mktemp)
trap 'rm -f "$got"' EXIT
say "$2" >"$got"
diff -u "$2/errors.txt" "$got" || { echo "if the new text is right: ninja golden-update, and read the diff"; exit 1; }
