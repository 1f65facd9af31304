#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Includes run one way only: cli and agent know base and their contracts, base knows nobody.
. "$(dirname "$0")/lib.sh"

# What the files of a folder may include, as a regular expression over the path between quotes.
allowed() {
    case $1 in
    base) echo '^base/' ;;
    bpf) echo '^(bpf/|vmlinux\.h$)' ;;
    nsresolve) echo '^(base|nsresolve)/' ;;
    agent) echo '^(base|nsresolve|agent)/|^bpf/(event[a-z_]*\.h|[a-z0-9_-]+\.skel\.h)$' ;;
    cli) echo '^(base|cli)/|^agent/(proto|doctor)\.h$' ;;
    esac
}

# Prints every include below a root that runs the wrong way.
wrong_includes() {
    local folder file line header
    for folder in base bpf nsresolve agent cli; do
        [ -d "$1/$folder" ] || continue
        while IFS=: read -r file line header; do
            header=$(echo "$header" | sed -E 's/.*"([^"]*)".*/\1/')
            echo "$header" | grep -qE "$(allowed "$folder")" || echo "$file:$line: \"$header\""
        done < <(cd "$1" && grep -rnE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$folder")
    done
}

# The check itself must see a wrong one, and only that.
mkdir -p "$T/tree"/{base,nsresolve,agent,cli,bpf}
echo '#include "agent/proto.h"' >"$T/tree/base/a.c"
echo '#include "base/buf.h"' >"$T/tree/nsresolve/b.c"
echo '#include "agent/server.h"' >"$T/tree/cli/c.c"
printf '#include "bpf/event.h"\n#include "bpf/cpu.skel.h"\n#include "nsresolve/resolve.h"\n' \
    >"$T/tree/agent/d.c"
echo '  #  include "bpf/maps.bpf.h"' >"$T/tree/agent/e.c"
wrong_includes "$T/tree" >"$T/wrong"
check "an include that runs the wrong way is seen" grep -q 'base/a.c:1: "agent/proto.h"' "$T/wrong"
check "just the three planted ones are seen" [ "$(wc -l <"$T/wrong")" = 3 ]

wrong_includes "$ROOT" >"$T/wrong"
if [ -s "$T/wrong" ]; then
    not_ok "includes run one way only" "$(head -n 1 "$T/wrong")"
    cat "$T/wrong"
else
    ok "includes run one way only"
fi

# The skeleton of a probe belongs to the one file that uses it.
(cd "$ROOT" && grep -rhoE --include='*.[ch]' '#include "bpf/[a-z0-9_-]+\.skel\.h"' agent | sort | uniq -d) \
    >"$T/twice"
check "each skeleton is included by one file" [ ! -s "$T/twice" ]
