# The two commands of the README are `make demo` and `make test`; each installs the Debian packages it needs.
SWIFT ?= swift
TEST_ARGS ?=

.PHONY: demo test scenarios check format bench build release install clean help

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make demo      the main job from the first file to the restore, on throw-away folders
demo: build
	@scripts/demo.sh

## make test      every test, on real file systems and servers; one after the other, so that none waits for another
test:
	@scripts/install-packages.sh build test
	$(SWIFT) build --build-tests
	$(SWIFT) test --skip-build --disable-xctest --no-parallel $(TEST_ARGS)

## make scenarios  what happens to released files, by name, on every file system; 1,000 rounds of the race (docs/scenarios.md)
scenarios:
	@scripts/install-packages.sh build test
	$(SWIFT) build --build-tests
	@SWIFT=$(SWIFT) scripts/scenarios.sh

## make check     what a reviewer would trip over: formatting, file sizes, shipped policies
check:
	@scripts/install-packages.sh build
	$(SWIFT) format lint --strict --recursive --configuration .swift-format Sources Tests Benchmarks Package.swift
	@scripts/tidy.sh

## make format    put the sources into the one format
format:
	$(SWIFT) format --in-place --recursive --configuration .swift-format Sources Tests Benchmarks Package.swift

## make bench     figures against peers in the same run (docs/benchmarks.md)
bench:
	@scripts/install-packages.sh build test bench
	$(SWIFT) build -c release --product tier-bench
	$(SWIFT) build -c release --product tier-guard
	@.build/release/tier-bench all

build:
	@scripts/install-packages.sh build
	$(SWIFT) build --product tierd
	$(SWIFT) build --product tierctl
	$(SWIFT) build --product tier-guard

## make release   optimised binaries in .build/release
release:
	@scripts/install-packages.sh build
	$(SWIFT) build -c release --product tierd --static-swift-stdlib
	$(SWIFT) build -c release --product tierctl --static-swift-stdlib
	$(SWIFT) build -c release --product tier-guard --static-swift-stdlib

## make install   release binaries, units, man pages to PREFIX (/usr/local); DESTDIR is respected
PREFIX ?= /usr/local
install: release
	install -D -m755 .build/release/tierd $(DESTDIR)$(PREFIX)/bin/tierd
	install -D -m755 .build/release/tierctl $(DESTDIR)$(PREFIX)/bin/tierctl
	install -D -m755 .build/release/tier-guard $(DESTDIR)$(PREFIX)/bin/tier-guard
	install -D -m644 packaging/systemd/tier-guard.service $(DESTDIR)/etc/systemd/system/tier-guard.service
	install -D -m644 packaging/systemd/tierd.service $(DESTDIR)/etc/systemd/system/tierd.service
	install -D -m644 docs/man/tierctl.1 $(DESTDIR)$(PREFIX)/share/man/man1/tierctl.1
	install -D -m644 docs/man/tier-guard.8 $(DESTDIR)$(PREFIX)/share/man/man8/tier-guard.8
	install -d -m755 $(DESTDIR)/etc/tierd/policies

clean:
	rm -rf .build
