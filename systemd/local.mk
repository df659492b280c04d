# Units, users and folders for a node that systemd starts.
systemdsystemunitdir = $(prefix)/lib/systemd/system
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
catalogdir = $(prefix)/lib/systemd/catalog

UNITS_MADE = systemd/meshllm-cryptod.service \
	systemd/meshllm-attestd-signer.service \
	systemd/meshllm-attestd-verifier.service \
	systemd/meshllm-gossipd.service systemd/meshllm-proxyd.service
dist_systemdsystemunit_DATA = systemd/meshllm.target \
	systemd/meshllm-cryptod-gossipd-tls.socket \
	systemd/meshllm-cryptod-gossipd.socket \
	systemd/meshllm-cryptod-proxyd.socket \
	systemd/meshllm-cryptod-signer.socket \
	systemd/meshllm-gossipd-proxyd.socket \
	systemd/meshllm-proxyd-reload.socket \
	systemd/meshllm-signer-gossipd.socket \
	systemd/meshllm-verifier-proxyd.socket
nodist_systemdsystemunit_DATA = $(UNITS_MADE)
nodist_catalog_DATA = systemd/meshllm.catalog
EXTRA_DIST += $(UNITS_MADE:=.in) systemd/sysusers.conf \
	systemd/tmpfiles.conf.in systemd/catalog.in systemd/make-catalog \
	systemd/meshllm.conf
CLEANFILES += $(UNITS_MADE) systemd/tmpfiles.conf systemd/meshllm.catalog

# In brackets, or configure would fill them in here.
FILL_IN_PATHS = $(AM_V_GEN)$(MKDIR_P) systemd && $(SED) \
	-e 's,[@]sbindir[@],$(sbindir),g' \
	-e 's,[@]bindir[@],$(bindir),g' \
	-e 's,[@]sysconfdir[@],$(sysconfdir),g' \
	-e 's,[@]localstatedir[@],$(localstatedir),g'
$(UNITS_MADE): %.service: %.service.in Makefile
	$(FILL_IN_PATHS) $< >$@
systemd/tmpfiles.conf: systemd/tmpfiles.conf.in Makefile
	$(FILL_IN_PATHS) $< >$@
# Read by journalctl -x once `journalctl --update-catalog` was run.
systemd/meshllm.catalog: systemd/catalog.in systemd/make-catalog
	$(AM_V_GEN)$(MKDIR_P) systemd && \
	$(srcdir)/systemd/make-catalog catalog $(srcdir)/systemd/catalog.in \
	>$@.tmp && mv $@.tmp $@
all-local: $(UNITS_MADE) systemd/tmpfiles.conf

# Two are called after the package where they are installed; the configuration
# of a node that is there already is its operator's.
install-data-local: systemd/tmpfiles.conf
	$(MKDIR_P) $(DESTDIR)$(sysconfdir)/meshllm
	test -e $(DESTDIR)$(sysconfdir)/meshllm/meshllm.conf || \
	$(INSTALL_DATA) $(srcdir)/systemd/meshllm.conf \
	$(DESTDIR)$(sysconfdir)/meshllm/meshllm.conf
	$(MKDIR_P) $(DESTDIR)$(sysusersdir) $(DESTDIR)$(tmpfilesdir)
	$(INSTALL_DATA) $(srcdir)/systemd/sysusers.conf \
	$(DESTDIR)$(sysusersdir)/meshllm.conf
	$(INSTALL_DATA) systemd/tmpfiles.conf \
	$(DESTDIR)$(tmpfilesdir)/meshllm.conf
uninstall-local:
	cmp -s $(srcdir)/systemd/meshllm.conf \
	$(DESTDIR)$(sysconfdir)/meshllm/meshllm.conf && \
	rm $(DESTDIR)$(sysconfdir)/meshllm/meshllm.conf || true
	rm -f $(DESTDIR)$(sysusersdir)/meshllm.conf \
	$(DESTDIR)$(tmpfilesdir)/meshllm.conf
