# SPDX-License-Identifier: Apache-2.0
# One plain Makefile. `make V=1` shows the commands, `make SAN=1` builds with ASan and UBSan into
# build/san. Everything made lives under build/.

PREFIX ?= /usr/local
DESTDIR ?=
B := build$(if $(SAN),/san)
CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

# The release is CHANGELOG.md's first; what is not exactly one says its commit, too.
RELEASE := $(shell sed -n 's/^## \([0-9][0-9.]*\).*/\1/p' CHANGELOG.md | head -n 1)
COMMIT := $(shell git describe --tags --match 'v[0-9]*' --always --dirty 2>/dev/null)
VERSION := $(if $(COMMIT),$(if $(filter v%,$(COMMIT)),$(COMMIT:v%=%),$(RELEASE)+$(COMMIT)),$(RELEASE))
ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m)))

WARN := -Wall -Wextra -Wshadow -Wformat=2 $(if $(WERROR),-Werror)
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -I. -I$(B) $(WARN) \
	-fno-omit-frame-pointer -fstack-protector-strong -fPIE $(CFLAGS) \
	$(if $(SAN),-fsanitize=address$(,)undefined -fno-sanitize-recover=all,-D_FORTIFY_SOURCE=2)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now,--as-needed $(LDFLAGS) \
	$(if $(SAN),-fsanitize=address$(,)undefined)
, := ,

# Which folder goes into which program. Files with a main() are named here and nowhere else.
MAINS := cli/main.c agent/main.c nsresolve/opener_main.c nsresolve/parser_main.c \
	nsresolve/attacher_main.c nsresolve/fetcher_main.c
SRCS := $(wildcard base/*.c nsresolve/*.c agent/*.c cli/*.c)
OBJS := $(SRCS:%.c=$(B)/%.o)
LIB_OBJS := $(filter-out $(MAINS:%.c=$(B)/%.o),$(OBJS))
BPF_SRCS := $(wildcard bpf/*.bpf.c)
SKELS := $(BPF_SRCS:%.bpf.c=$(B)/%.skel.h)

PROGRAMS := $(B)/porthole $(B)/portholed $(B)/porthole-opener $(B)/porthole-parser \
	$(B)/porthole-attacher $(B)/porthole-fetch
UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))

.PHONY: all deps deps-test check unit unit-tests lint layers check-layers bench fuzz demo install \
	deb workloads clean format
all: $(PROGRAMS) $(B)/man/made

$(B)/porthole: $(B)/cli/main.o
$(B)/portholed: $(B)/agent/main.o
$(B)/porthole-opener: $(B)/nsresolve/opener_main.o
$(B)/porthole-parser: $(B)/nsresolve/parser_main.o
$(B)/porthole-attacher: $(B)/nsresolve/attacher_main.o
$(B)/porthole-fetch: $(B)/nsresolve/fetcher_main.o
$(B)/porthole: LIBS := -ljson-c -lbpf -lelf -lz -lcap
$(B)/portholed: LIBS := -ljson-c -lbpf -lelf -lz -lseccomp -lcap
$(B)/porthole-opener $(B)/porthole-attacher: LIBS := -lseccomp -lcap
$(B)/porthole-parser: LIBS := -lelf -ldw -lz -lzstd -llzma -liberty -lseccomp -lcap
$(B)/porthole-fetch: LIBS := -lcurl -lseccomp -lcap
TEST_LIBS := -lcmocka -ljson-c -lbpf -lelf -ldw -lz -lzstd -llzma -liberty -lseccomp -lcap

# An archive, so that each program takes just the modules it uses.
$(B)/libporthole.a: $(LIB_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(PROGRAMS): $(B)/libporthole.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(B)/libporthole.a $(LIBS)

$(B)/%.o: %.c | $(SKELS)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Compiled anew when the version is another.
$(B)/base/version.o: ALL_CFLAGS += -DPORTHOLE_VERSION='"$(VERSION)"'
$(B)/base/version.o: $(B)/version
$(B)/version: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
FORCE:

# Script and style of the SVG as C strings.
$(B)/cli/%.inc.h: cli/%
	$(call say,EMBED,$<)
	$(Q)mkdir -p $(@D)
	$(Q)(echo 'static const char $(subst .,_,$*)[] ='; \
		sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' $<; echo ';') > $@

$(B)/cli/render_svg.o: $(B)/cli/flamegraph.js.inc.h $(B)/cli/flamegraph.css.inc.h

$(B)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,CLANG,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -Wall -Wextra $(if $(WERROR),-Werror) --target=bpf $(BPF_CPU) -D__TARGET_ARCH_$(ARCH) \
		-I. -I/usr/include/$(shell uname -m)-linux-gnu -MMD -MP -MT $@ -c -o $@.full $<
	$(Q)$(BPFTOOL) gen object $@ $@.full && rm -f $@.full

# Two programs may want to tell of one connection, or want one place: compare and exchange.
$(B)/bpf/block.bpf.o $(B)/bpf/tcp.bpf.o: BPF_CPU := -mcpu=v3

$(B)/bpf/%.skel.h: $(B)/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf > $@.tmp && mv $@.tmp $@

$(B)/tests/unit/%: tests/unit/%.c $(B)/libporthole.a
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(B)/libporthole.a $(TEST_LIBS)

.PRECIOUS: $(B)/bpf/%.bpf.o $(B)/bpf/%.skel.h
-include $(shell find $(B) -name '*.d' 2>/dev/null)

unit-tests: $(UNIT_TESTS)

# ---- workloads: what the tests, the demo and the benchmarks look at ----

W := $(B)/tests/workloads
W_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O1 -g -fno-omit-frame-pointer -fno-optimize-sibling-calls -Wall
WORKLOADS := $(patsubst tests/workloads/%.c,$(W)/%,$(wildcard tests/workloads/*.c)) \
	$(patsubst tests/workloads/%.cc,$(W)/%,$(wildcard tests/workloads/*.cc)) \
	$(if $(shell command -v rustc),$(patsubst tests/workloads/%.rs,$(W)/%,$(wildcard tests/workloads/*.rs)))
# Without frame pointers, as distributions build.
OMIT := $(W)/omit $(W)/omit-stripped $(W)/omit-static-pie $(W)/libomit.so \
	$(if $(shell command -v musl-gcc),$(W)/omit-musl $(W)/libcalls-musl $(W)/libcalls-musl-stripped)
OMIT += $(if $(shell command -v rustc),$(W)/rust-omit)
# Stripped, as images have them; one with C, which is linked by the system's linker.
GO := $(if $(shell command -v go),$(W)/gobusy $(W)/gobusy-cgo)
workloads: $(WORKLOADS) $(OMIT) $(GO) $(W)/twin $(patsubst %.c,$(B)/%,$(wildcard tests/hostile/*.c))

# Static, so that a container's root needs nothing but the program.
$(W)/%: tests/workloads/%.c
	$(call say,WORK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(W_CFLAGS) -static -pthread -o $@ $<

# The same program under other names, at the same addresses.
$(W)/twin: tests/workloads/spin.c
	$(call say,WORK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(W_CFLAGS) -DFAMILY=twin -static -pthread -o $@ $<

$(W)/%: tests/workloads/%.cc
	$(call say,WORK,$@)
	$(Q)mkdir -p $(@D) && $(CXX) -O1 -g -fno-omit-frame-pointer -static -o $@ $<

$(W)/%: tests/workloads/%.rs
	$(call say,WORK,$@)
	$(Q)mkdir -p $(@D) && rustc -C opt-level=1 -C debuginfo=1 -C force-frame-pointers=yes \
		-C target-feature=+crt-static -o $@ $<

# As cargo builds for release.
$(W)/rust-omit: tests/workloads/rust.rs
	$(call say,WORK,$@)
	$(Q)mkdir -p $(@D) && rustc -C opt-level=2 -C force-frame-pointers=no -C target-feature=+crt-static \
		-o $@ $<

# As distributions build, and with DWARF.
$(W)/nested: tests/workloads/nested.c
	$(call say,WORK,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu11 -O2 -g -Wall -static -o $@ $<

$(W)/inlined: tests/workloads/inlined.cc
	$(call say,WORK,$@)
	$(Q)mkdir -p $(@D) && $(CXX) -O2 -g -Wall -static -o $@ $<

O_CXXFLAGS := -O2 -fomit-frame-pointer -fno-optimize-sibling-calls -fno-exceptions -fno-rtti -Wall

$(W)/omit: tests/workloads/omit.cpp
	$(call say,WORK,$@)
	$(Q)mkdir -p $(@D) && $(CXX) $(O_CXXFLAGS) -pthread -o $@ $<

$(W)/omit-stripped: $(W)/omit
	$(Q)strip -o $@ $<

$(W)/omit-static-pie: tests/workloads/omit.cpp
	$(call say,WORK,$@)
	$(Q)mkdir -p $(@D) && $(CXX) $(O_CXXFLAGS) -DOMIT_STATIC -static-pie -pthread -o $@ $<

# There is no C++ library for musl, so none is used.
$(W)/omit-musl: tests/workloads/omit.cpp
	$(call say,WORK,$@)
	$(Q)mkdir -p $(@D) && $(CXX) $(O_CXXFLAGS) -DOMIT_STATIC -fno-threadsafe-statics -nostdinc \
		-nostdinc++ -isystem /usr/include/$(shell uname -m)-linux-musl \
		-isystem $(shell $(CXX) -print-file-name=include) -c -o $@.o $<
	$(Q)musl-gcc -static -o $@ $@.o && rm -f $@.o

$(W)/libcalls-musl: tests/workloads/libcalls.c
	$(call say,WORK,$@)
	$(Q)musl-gcc -std=gnu11 -D_GNU_SOURCE -O2 -fomit-frame-pointer -Wall -static -o $@ $<

$(W)/libcalls-musl-stripped: $(W)/libcalls-musl
	$(Q)strip -o $@ $<

GO_BUILD = cd tests/workloads/gobusy && GOCACHE=$(CURDIR)/build/go-cache GOTOOLCHAIN=local GOFLAGS= \
	go build -trimpath -buildvcs=false -ldflags='-s -w'
GO_SOURCES := $(shell find tests/workloads/gobusy -name '*.go' -o -name go.mod)

$(W)/gobusy: $(GO_SOURCES)
	$(call say,WORK,$@)
	$(Q)mkdir -p $(@D) && $(subst go build,CGO_ENABLED=0 go build,$(GO_BUILD)) -o $(abspath $@) .

$(W)/gobusy-cgo: $(GO_SOURCES)
	$(call say,WORK,$@)
	$(Q)mkdir -p $(@D) && $(subst go build,CGO_ENABLED=1 go build,$(GO_BUILD)) -o $(abspath $@) ./cgo

$(W)/libomit.so: tests/workloads/omit_library.cpp
	$(call say,WORK,$@)
	$(Q)mkdir -p $(@D) && $(CXX) $(O_CXXFLAGS) -fPIC -shared -o $@ $<

$(B)/tests/hostile/%: tests/hostile/%.c $(B)/libporthole.a
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(B)/libporthole.a

$(B)/tests/bench/%: tests/bench/%.c $(B)/libporthole.a
	$(call say,BENCH,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(B)/libporthole.a $(TEST_LIBS)

# ---- the ways in ----

deps:
	$(Q)tests/deps.sh build

deps-test:
	$(Q)tests/deps.sh test

check:
	$(Q)./check

unit:
	$(Q)$(MAKE) SAN=1 unit-tests && B=$(B) tests/run.sh --only 'unit/*'

lint:
	$(Q)tests/run.sh tests/lint.sh

layers check-layers:
	$(Q)tests/run.sh tests/layers.sh

bench: all workloads $(patsubst tests/bench/%.c,$(B)/tests/bench/%,$(wildcard tests/bench/*.c))
	$(Q)tests/bench/bench.sh

# Fuzzing: `make fuzz` runs each target for FUZZ_SECONDS on a copy of its corpus. What it finds stays
# in build/fuzz/; a fixed crash becomes a file of tests/fuzz/corpus/, which `make check` replays.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_LIBS := -lelf -ldw -lz -lzstd -llzma -liberty
FUZZ_SRCS := base/buf.c base/table.c $(patsubst %,nsresolve/%.c,stream sealed symtab symtab_builder elf \
	elf_file elf_notes elf_plt elf_symbols unpack section maps perfmap sort jitdump codetab \
	codetab_builder demangle shorten unwindtab unwindtab_builder cfi cfi_entries sigreturn ehframe pclntab \
	pclntab_find gocode \
	gotab x86 prologue codeflow uncovered inlines inlinetab dwarf_image)
FUZZ_FLAGS := -std=gnu11 -D_GNU_SOURCE -I. -g -O1 $(WARN) \
	-fsanitize=fuzzer$(,)address$(,)undefined -fno-sanitize-recover=all

.PHONY: fuzz fuzz-replay
fuzz: $(FUZZ_TARGETS:%=$(B)/fuzz/fuzz_%)
	$(Q)set -e; for t in $(FUZZ_TARGETS); do \
		echo "== $$t, $(FUZZ_SECONDS) s"; \
		mkdir -p $(B)/fuzz/$$t; \
		$(B)/fuzz/fuzz_$$t -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 -timeout=10 \
			-max_len=8192 -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=$(B)/fuzz/crash-$$t- $(B)/fuzz/$$t tests/fuzz/corpus/$$t; \
	done

$(B)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.h $(FUZZ_SRCS) $(wildcard nsresolve/*.h)
	$(call say,FUZZ,$@)
	$(Q)mkdir -p $(@D)
	$(Q)echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' | \
		$(CLANG) -x c -fsanitize=fuzzer -o $@.try - 2>/dev/null || { \
		echo "fuzz: clang has no libFuzzer here; install libclang-rt-14-dev" >&2; exit 1; }
	$(Q)rm -f $@.try
	$(Q)$(CLANG) $(FUZZ_FLAGS) -o $@ $< $(FUZZ_SRCS) $(FUZZ_LIBS)

fuzz-replay: $(FUZZ_TARGETS:%=$(B)/tests/fuzz/replay_%)

$(B)/tests/fuzz/replay_%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(B)/libporthole.a
	$(call say,TEST,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.c,$^) $(B)/libporthole.a $(FUZZ_LIBS)

$(B)/tests/fuzz/make_corpus: tests/fuzz/make_corpus.c $(B)/libporthole.a
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(B)/libporthole.a $(FUZZ_LIBS)

demo:
	$(Q)./demo

format:
	clang-format -i $(wildcard base/*.[ch] bpf/*.[ch] nsresolve/*.[ch] agent/*.[ch] cli/*.[ch] tests/*/*.[ch])

# ---- manuals, installation, packages ----

$(B)/man/made: $(B)/porthole $(wildcard docs/man/*) docs/protocol.md
	$(call say,MAN,$(@D))
	$(Q)docs/man/make.sh $(B)/porthole $(@D)

# Distributions have these elsewhere than systemd and zsh themselves.
UNITDIR ?= $(PREFIX)/lib/systemd/system
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
to = $(DESTDIR)$(PREFIX)

# The programs find each other from wherever they stand, so PREFIX is not compiled in.
install: all
	install -d $(to)/bin $(to)/sbin $(to)/libexec/porthole
	install -m 755 $(B)/porthole $(to)/bin/
	install -m 755 $(B)/portholed $(to)/sbin/
	install -m 755 $(B)/porthole-opener $(B)/porthole-parser $(B)/porthole-attacher \
		$(B)/porthole-fetch $(to)/libexec/porthole/
	for page in $(B)/man/*.[1578]; do \
		install -D -m 644 -t $(to)/share/man/man$${page##*.} $$page || exit 1; \
	done
	install -D -m 644 contrib/completion/porthole.bash $(to)/share/bash-completion/completions/porthole
	install -D -m 644 contrib/completion/_porthole $(DESTDIR)$(ZSHDIR)/_porthole
	install -D -m 644 -t $(to)/share/fish/vendor_completions.d contrib/completion/porthole.fish
	install -D -m 644 -t $(DESTDIR)$(UNITDIR) contrib/systemd/porthole.socket
	sed 's|@sbindir@|$(PREFIX)/sbin|' contrib/systemd/porthole.service.in >$(DESTDIR)$(UNITDIR)/porthole.service
	chmod 644 $(DESTDIR)$(UNITDIR)/porthole.service
	install -D -m 644 contrib/systemd/sysusers.conf $(to)/lib/sysusers.d/porthole.conf
	install -D -m 644 contrib/systemd/tmpfiles.conf $(to)/lib/tmpfiles.d/porthole.conf

# build/porthole_VERSION_ARCH.deb for the Debian that this runs on.
deb: all
	$(Q)contrib/debian/make.sh $(B) $(VERSION)

clean:
	rm -rf build
