# demo     builds falconer and shows its main job, in the sandbox ./demo
# test     all tests, against real servers on this machine
# torture  all kills, failing calls, power cuts and random histories, on the release build; takes long
# bench    what a pass costs in time, memory, requests and bytes; compared with falcoctl where it is in PATH
# check    formatting, lints, documentation
# release  the program to install, in target/release
# install  program, units, example settings, completions and man pages; PREFIX and DESTDIR are honoured
CARGO ?= cargo
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=

target = $(or $(CARGO_TARGET_DIR),target)
released = $(target)/release/falconer
share = $(DESTDIR)$(PREFIX)/share

.DEFAULT_GOAL := test
.PHONY: demo test torture bench check packages release install

demo:
	@sh .ci/packages build
	$(CARGO) build --locked --package falconer --bin falconer
	@bash examples/demo.sh $(target)/debug/falconer

test:
	@sh .ci/packages build test
	$(CARGO) build --locked --workspace --bins
	$(CARGO) test --locked --workspace

torture: release
	@sh .ci/packages build test
	$(CARGO) build --locked --workspace --bins
	FALCONER_FAULTS=full FALCONER_PROGRAM=$(abspath $(released)) $(CARGO) test --locked --package falconer-tests --test scenarios -- --nocapture faults:: model:: falco_running::tampered

bench: release
	$(CARGO) bench --locked --profile dev --package falconer-tests --bench passes -- $(abspath $(released))
	$(CARGO) bench --locked --profile dev --package falconer-tests --bench plugins -- $(abspath $(released))
	$(CARGO) bench --locked --profile dev --package falconer-tests --bench apply -- $(abspath $(released))
	FALCONER_PROGRAM=$(abspath $(released)) $(CARGO) bench --locked --profile dev --package falconer-tests --bench daemon
	$(CARGO) bench --locked --profile dev --package falconer-tests --bench fleet
	$(CARGO) bench --locked --profile dev --package falconer-tests --bench day -- $(abspath $(released))

check:
	@sh .ci/packages build
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --locked --workspace --no-deps

packages:
	@sh .ci/packages build test

# zlib is linked in, so that the program needs nothing but libc.
release:
	@sh .ci/packages build
	LIBZ_SYS_STATIC=1 $(CARGO) build --locked --release --package falconer --bin falconer

install:
	@test -x $(released) || { echo "install: there is no $(released)" >&2; echo "hint: run make release first" >&2; exit 1; }
	install -D -m 755 $(released) $(DESTDIR)$(PREFIX)/bin/falconer
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/bin/falconer|$(PREFIX)/bin/falconer|' systemd/falconer.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/falconer.service
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/falconer.service
	install -D -m 644 systemd/falconer.tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/falconer.conf
	install -D -m 644 systemd/agent.toml $(share)/doc/falconer/agent.toml
	test -e $(DESTDIR)$(SYSCONFDIR)/falconer/agent.toml || install -D -m 644 systemd/agent.toml $(DESTDIR)$(SYSCONFDIR)/falconer/agent.toml
	install -d $(share)/man/man1 $(share)/bash-completion/completions $(share)/zsh/site-functions $(share)/fish/vendor_completions.d
	$(released) man $(share)/man/man1
	$(released) completions bash > $(share)/bash-completion/completions/falconer
	$(released) completions zsh > $(share)/zsh/site-functions/_falconer
	$(released) completions fish > $(share)/fish/vendor_completions.d/falconer.fish
