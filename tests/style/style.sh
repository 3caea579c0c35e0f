#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# style.sh RULE - the house rules that a program can check, one ctest each (ctest -L style). RULE is one of the
# functions rule_* below. Prints each violation as file:line or file, and what would be right; exit 1 when there is one.
# LBD_BUILD: the build directory, for the rules that look at objects.
# shellcheck disable=SC2317 # the rules are called by their name
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"
cd "$LBD_ROOT" || exit 1
LBD_BUILD=${LBD_BUILD:-$LBD_ROOT/build/dev}

all_files=$(find . \( -path ./.git -o -path './build*' -o -name __pycache__ \) -prune -o -type f -printf '%P\n' | sort)

sources() { # PATTERN...: the files of the project that match any; not by git, which root may not use in others' clones
  local file pattern
  while read -r file; do
    for pattern in "${@:-*}"; do
      # shellcheck disable=SC2053 # a pattern, wanted
      if [[ $file == $pattern ]]; then
        echo "$file"
        break
      fi
    done
  done <<<"$all_files"
}

scripts() {
  sources | while read -r file; do
    if [[ $file == *.sh ]] || head -c 30 "$file" | grep -aq '^#!.*\(bash\|/sh\)'; then echo "$file"; fi
  done
}

violation() {
  printf '%s\n' "$*"
  violations=$((violations + 1))
}

rule_shellcheck() {
  command -v shellcheck >/dev/null || return 77
  local -a files
  mapfile -t files < <(scripts)
  ((${#files[@]} > 3)) || violation "found only ${#files[@]} scripts: the rule looks in the wrong place"
  shellcheck -x "${files[@]}" || violation "shellcheck: see above"
}

# The one exception that config.h states: config_load_file() opens the file it is given.
config_loader=daemon/core/config_file.c

# Pure files take time and the world as arguments (docs/architecture.md).
rule_pure_includes() {
  local file line number header
  while read -r file; do
    while IFS=: read -r number line; do
      [[ $line =~ \#include\ *[\"\<]([^\"\>]+)[\"\>] ]] || continue
      header=${BASH_REMATCH[1]}
      case $header in
        core/cleanup.h | core/* | lb/* | linux/* | assert.h | ctype.h | errno.h | inttypes.h | limits.h | math.h | \
          stdarg.h | stdbool.h | stddef.h | stdint.h | stdio.h | stdlib.h | string.h | strings.h | \
          netinet/in.h | arpa/inet.h | yaml.h | jansson.h | uthash.h) ;;
        unistd.h | fcntl.h | sys/stat.h)
          [[ $file == daemon/core/cleanup.h || $file == "$config_loader" ]] ||
            violation "$file:$number: <$header>: a pure file makes no system calls"
          ;;
        *) violation "$file:$number: '$header': a pure file includes only core/, lb/ and plain C" ;;
      esac
    done < <(grep -n '^ *# *include' "$file")
  done < <(sources 'daemon/core/*.c' 'daemon/core/*.h')
}
# The same, seen from the linker: what do the objects of lbcore ask the C library for?
rule_pure_symbols() {
  local library=$LBD_BUILD/daemon/liblbcore.a object symbol
  [ -e "$library" ] || return 77
  local calls='open|openat|read|write|close|fstat|stat|socket|connect|send.*|recv.*|ioctl|poll|epoll.*|select'
  local clock='time|gettimeofday|clock_gettime|localtime.*|nanosleep|usleep|sleep|timerfd.*|sd_.*|getenv|rand|random'
  local edge='log_.*|bpf_.*|mnl_.*|curl_.*|MHD_.*|syslog|printf|puts|putchar|perror|stderr|stdout|exit|fork|exec.*|fopen'
  while read -r object symbol; do
    case "$object $symbol" in
      "${config_loader##*/}.o open" | "${config_loader##*/}.o read" | "${config_loader##*/}.o fstat" | \
        "${config_loader##*/}.o close") continue ;;
      *" close") continue ;; # cleanup.h's inline function, unused
    esac
    violation "daemon/core/${object%.o} uses $symbol(): that belongs to an edge file"
  done < <(nm -A --undefined-only "$library" 2>/dev/null | sed 's/^[^:]*:\([^:]*\):.* U \(.*\)$/\1 \2/' |
    sed 's/@.*//' | grep -E " ($calls|$clock|$edge)\$")
}

# A test file is a list of cases, and may be longer.
rule_file_length() {
  local lines file limit
  while read -r lines file; do
    [ "$file" != total ] || continue
    limit=500
    [[ $file != tests/* ]] || limit=800
    ((lines <= limit)) || violation "$file: $lines lines; $limit at most: has it still one subject?"
  done < <(sources '*.c' '*.h' '*.sh' '*.py' 'tools/*' | grep -v '^tests/fuzz/corpus/' | xargs -r wc -l)
}

# 110 columns is what we write (.clang-format); beyond 160 nobody reads.
rule_line_length() {
  local file number width over=0
  while IFS=: read -r file number width; do
    over=$((over + 1))
    ((width <= 160)) || violation "$file:$number: $width columns"
  done < <(sources '*.c' '*.h' '*.sh' '*.py' 'tools/*' | while read -r file; do
    expand "$file" | awk -v file="$file" 'length($0) > 110 { print file ":" FNR ":" length($0) }'
  done)
  say "$over lines are longer than 110 columns (advisory)"
}

rule_spdx() {
  local file want
  while read -r file; do
    case $file in
      bpf/*) want='GPL-2.0-only' ;;
      tests/*.bpf.c | tests/twin/*) want='GPL-2.0-only' ;; # the latter compiles bpf/
      include/lb/*) want='GPL-2.0 OR Apache-2.0' ;;
      *) want='Apache-2.0' ;;
    esac
    head -n 3 "$file" | grep -q "SPDX-License-Identifier: $want\( \*/\)\?$" ||
      violation "$file: its first lines lack 'SPDX-License-Identifier: $want'"
  done < <({
    sources '*.c' '*.h' '*.py' '*.scd.in'
    scripts
  } | grep -v '^tests/fuzz/corpus/' | sort -u)
}

rule_whitespace() {
  local file number
  while IFS=: read -r file number _; do
    violation "$file:$number: space at the end of the line"
  done < <(sources '*.c' '*.h' '*.sh' '*.py' '*.md' '*.cmake' '*CMakeLists.txt' 'tools/*' |
    grep -v '^tests/golden/' | xargs -r grep -nE '[[:space:]]+$' --)
  while read -r file; do
    [ -z "$(tail -c 1 "$file")" ] || violation "$file: no newline at the end"
  done < <(sources '*.c' '*.h' '*.sh' '*.py' '*.md' 'tools/*')
}

rule_man_pages() {
  command -v scdoc >/dev/null || return 77
  local page n=0
  while read -r page; do
    n=$((n + 1))
    scdoc <"$page" >/dev/null || violation "$page: scdoc does not accept it"
    if command -v mandoc >/dev/null; then
      scdoc <"$page" | mandoc -T lint -W error >/dev/null || violation "$page: mandoc -T lint"
    fi
  done < <(sources 'docs/man/*.scd')
  ((n)) || return 77
}

# Links between documents lead somewhere.
rule_links() {
  local file target
  while IFS=: read -r file target; do
    target=${target%%#*}
    [ -z "$target" ] || [ -e "$(dirname "$file")/$target" ] || violation "$file: link to $target, which is not there"
  done < <(sources '*.md' | xargs -r grep -oHE '\]\([^)]+\)' | sed -E 's/\]\(([^)]*)\)/\1/' | grep -vE ':(https?|mailto):')
}

# Advisory: reported, never a failure, because clang-format's mind changes between versions.
rule_format() {
  command -v clang-format >/dev/null || return 77
  local n
  n=$(sources '*.c' '*.h' | xargs -r clang-format --dry-run 2>&1 | sed -n 's/^\([^: ]*\):[0-9]*:.*/\1/p' | sort -u | wc -l)
  say "clang-format would change $n files (advisory)"
}

violations=0
status=0
rule=${1:?which rule?}
case $rule in
  shellcheck | pure_includes | pure_symbols | file_length | line_length | spdx | whitespace | man_pages | links | format) ;;
  *) die "no rule '$rule'" ;;
esac
"rule_$rule" || status=$?
if ((violations)); then
  say "$violations violations of rule $rule"
  exit 1
fi
exit "$status"
