# SPDX-License-Identifier: Apache-2.0
"""A saved stream with known shares and a name full of markup, for test_svg.py."""
import json

FRAMES = [
    ("main", "user"),
    ("parse", "user"),
    ("tokenize", "user"),
    ("std::vector<int>::push_back(int const&)", "user"),
    ("read_request", "user"),
    ("ksys_read", "kernel"),
    ("write_reply", "jit"),
    ("</title><script>window.forged=1</script>]]>&\"'", "inlined"),
    ("a_very_long_name_that_does_not_fit_into_its_box_unless_the_box_is_zoomed", "user"),
]
STACKS = [
    ([0, 1, 2], 300), ([0, 1, 3], 250), ([0, 1], 50), ([0, 4, 5], 200), ([0, 4], 100),
    ([0, 6], 50), ([0, 7], 20), ([0, 8], 30),
]


def say(**line):
    print(json.dumps(line))


say(type="started", porthole=1, version="0", view="cpu", unit="samples", yields="stacks",
    event="cpu-clock", frequency=100, duration_ms=10000, host="h1", kernel="6.1", cpus=2,
    time="2026-01-02T03:04:05Z", target="web1",
    container={"kind": "container", "name": "web1", "id": "ab" * 32, "runtime": "docker"})
for number, (name, kind) in enumerate(FRAMES):
    language = {"language": "c++"} if "::" in name else {}
    say(type="frame", id=number, name=name, kind=kind, named=True, **language)
for frames, value in STACKS:
    say(type="stack", frames=frames, value=value, comm="web")
say(type="quality", taken=1003, shown=1000, lost={"stack-map-full": 3})
say(type="end", status="done", elapsed_ms=10000)
