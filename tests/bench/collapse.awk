# SPDX-License-Identifier: Apache-2.0
# perf script's text to folded stacks: what FlameGraph's stackcollapse does, and no more.
/^[^ \t]/ { comm = $0; sub(/ +[0-9]+ .*/, "", comm); stack = ""; next }
/^[ \t]+[0-9a-f]+ / {
    name = $0
    sub(/^[ \t]+[0-9a-f]+ /, "", name)
    sub(/ \([^(]*\)$/, "", name)
    sub(/\+0x[0-9a-f]+$/, "", name)
    stack = ";" name stack
    next
}
/^$/ && stack != "" { count[comm stack]++; stack = "" }
END { for (s in count) print s, count[s] }
