# Completion of the command line in bash and zsh.
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/vendor-completions
dist_zshcompletion_DATA = completions/_meshllm
EXTRA_DIST += completions/meshllm.bash
# By the name of the command, or nothing would find it.
install-data-hook:
	$(MKDIR_P) $(DESTDIR)$(bashcompletiondir)
	$(INSTALL_DATA) $(srcdir)/completions/meshllm.bash \
	$(DESTDIR)$(bashcompletiondir)/meshllm
uninstall-hook:
	rm -f $(DESTDIR)$(bashcompletiondir)/meshllm
