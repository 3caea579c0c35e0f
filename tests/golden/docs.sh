#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# docs.sh CHECK ROOT: what the documents say about the configuration is what the parser does.
# Every example file, and every yaml block in docs/configuration.md, is accepted without a word; every key that the parser
# knows stands in docs/configuration.md and in the man page, and every key that these name is known.
set -eu
check=$1
docs=$2/docs
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
wrong() {
	echo "$*"
	failed=1
}

# FILE NAME: no error and no warning
accepted() {
	if ! "$check" "$1" >"$dir/out" || [ -s "$dir/out" ]; then
		cat "$dir/out"
		wrong "$2: not accepted in silence"
	fi
}

for example in "$docs"/examples/*.yaml; do
	accepted "$example" "$example"
done
awk -v dir="$dir" '/^```yaml/ { n++; file = dir "/block" n ".yaml"; next } /^```/ { file = "" } file { print > file }' \
	"$docs/configuration.md"
for block in "$dir"/block*.yaml; do
	accepted "$block" "docs/configuration.md, ${block##*/}"
done

# An unknown key in each mapping makes the parser tell its keys: "hint: a service has: name, vip, ..."
cat >"$dir/keys.yaml" <<'YAML'
zzzzzzzzzzzz: 1
dataplane: {zzzzzzzzzzzz: 1}
control: {zzzzzzzzzzzz: 1}
metrics: {zzzzzzzzzzzz: 1}
defaults: {zzzzzzzzzzzz: 1, probe: {zzzzzzzzzzzz: 1}}
services: [{zzzzzzzzzzzz: 1, backends: [{zzzzzzzzzzzz: 1}]}]
YAML
"$check" "$dir/keys.yaml" >"$dir/out" && wrong "unknown keys are accepted"
sed -n 's/^hint: .* has: //p' "$dir/out" | tr -d ' ' | tr ',' '\n' | sort -u >"$dir/keys"
[ "$(sed -n 's/^hint: .* has: //p' "$dir/out" | wc -l)" -eq 8 ] || wrong "not every mapping told its keys"
while read -r key; do
	grep -qE "^\| \`$key\`|^## $key\$|^### $key\$" "$docs/configuration.md" || wrong "docs/configuration.md lacks $key"
	grep -qiE "^(.*, )?\*$key:?\*|^# $key\$|^\*$key\* holds" "$docs/man/lbd.yaml.5.scd" || wrong "lbd.yaml.5 lacks $key"
done <"$dir/keys"
# shellcheck disable=SC2016 # backquotes of Markdown
{
	sed -n 's/^| `\([a-z0-9-]*\)` .*/\1/p' "$docs/configuration.md"
	grep -oE '^(\*[a-z-]+:\* [^,]*, )*\*[a-z-]+:\*' "$docs/man/lbd.yaml.5.scd" | grep -oE '[a-z-]+:\*' | tr -d ':*'
} | sort -u >"$dir/documented"
while read -r key; do
	grep -qxF "$key" "$dir/keys" || wrong "the documents name a key that the parser does not know: $key"
done <"$dir/documented"
exit "$failed"
