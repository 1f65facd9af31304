#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes the man pages: docs/man/make.sh PROGRAM DIRECTORY. Pages of commands come from the program's
# own table (porthole --man), which feeds its --help, too; porthole-protocol(7) is docs/protocol.md.
set -eu
porthole=$1 out=$2
here=$(dirname "$0")
date=$(grep '^\.Dd ' "$here/porthole.1.in")

# Puts the date, and the blocks of details.mdoc, where a page asks for them.
fill_in() {
    awk -v date="$date" '
        FNR == NR { if (/^\.\\" @/) block = $0; else if (block != "") text[block] = text[block] $0 "\n"; next }
        $0 == ".\\\" @date@" { print date; next }
        /^\.\\" @option/ && $0 in text { print ".Pp" }
        /^\.\\" @/ { printf "%s", text[$0]; next }
        { print }' "$here/details.mdoc" -
}

rm -rf "$out"
mkdir -p "$out"
commands=$("$porthole" --commands | awk -F '\t' '$1 == "command" { print $2 }')
for command in $commands; do
    "$porthole" --man="$command" | fill_in >"$out/porthole-$command.1"
done
"$porthole" --man=all >"$out/list"
sed -e "/@commands@/ {
    r $out/list
    d
}" "$here/porthole.1.in" >"$out/porthole.1"
rm "$out/list"
cp "$here/porthole.conf.5" "$here/portholed.8" "$out"
awk -v date="$date" -f "$here/markdown.awk" "$here/../protocol.md" >"$out/porthole-protocol.7"
touch "$out/made"
