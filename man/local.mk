# Manual pages.
dist_man_MANS = man/meshllm.1 man/meshllm.conf.5 man/meshllm.7 \
	man/meshllm-systemd.7 \
	man/meshllm-attestd.8 man/meshllm-cryptod.8 \
	man/meshllm-gossipd.8 man/meshllm-proxyd.8
