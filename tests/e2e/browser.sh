#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The SVG in headless Chromium: zoom, search, share, reset, keyboard, names with markup in them; the
# colours of waiting, the heat map.
# timeout: 300
. "$(dirname "$0")/../lib.sh"

need_commands chromium chromedriver /usr/bin/python3
/usr/bin/python3 -c 'import selenium' 2>/dev/null || skip_all "needs python3-selenium"

well_formed() {
    /usr/bin/python3 -c 'import sys, xml.etree.ElementTree as t; t.parse(sys.argv[1])' "$1"
}

HERE=$(cd "$(dirname "$0")" && pwd)/browser

/usr/bin/python3 "$HERE/make_stream.py" >"$T/flame.json"
awk 'BEGIN { for (i = 0; i < 60000; i++) print "server;main;f" i % 7 ";g" i ";h;i;j " 1 + i % 3 }' \
    >"$T/big.folded"
check "a stream becomes a flame graph" porthole render "$T/flame.json" -o "$T/flame.svg"
check "a stream becomes an icicle" porthole render "$T/flame.json" --icicle -o "$T/icicle.svg"
for view in hotcold runq; do
    /usr/bin/python3 "$HERE/make_waits.py" "$view" >"$T/$view.json"
    check "a stream of $view becomes a picture" porthole render "$T/$view.json" -o "$T/$view.svg"
done
check "many stacks become a flame graph" porthole render "$T/big.folded" -o "$T/big.svg"
for picture in flame icicle big hotcold runq; do
    check "$picture.svg is well-formed XML" well_formed "$T/$picture.svg"
done
/usr/bin/python3 "$HERE/test_svg.py" "$T/flame.svg" "$T/icicle.svg" "$T/big.svg" \
    "$T/hotcold.svg" "$T/runq.svg" "$@"
