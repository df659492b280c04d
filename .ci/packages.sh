# shellcheck shell=bash
# Sourced by ./demo and ./check: install what is missing from Debian.

# What configure wants; on Debian 12 the ngtcp2 packages are backports.
# shellcheck disable=SC2034
build_packages=(
	autoconf autoconf-archive automake gcc libc6-dev libcap-dev
	libcmocka-dev libevent-dev libgnutls28-dev libjansson-dev
	libngtcp2-crypto-gnutls-dev libngtcp2-dev libprotobuf-c-dev
	libseccomp-dev libsodium-dev libssl-dev libsystemd-dev libtss2-dev make
	pkg-config protobuf-c-compiler uthash-dev
)

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "root or sudo is needed for: $*" >&2
		return 1
	fi
}

debian_codename() {
	# shellcheck source=/dev/null
	(. /etc/os-release && echo "${VERSION_CODENAME-}")
}

is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = \
		installed ]
}

has_ngtcp2() {
	apt-cache madison libngtcp2-dev 2>/dev/null |
		awk -F' *[|] *' '{ print $2 }' |
		while read -r version; do
			dpkg --compare-versions "$version" ge 1.11 && echo yes
		done | grep -q yes
}

# Debian 12 has ngtcp2 1.11 in its backports only; the mirror is the one that
# the machine uses already.
add_backports() {
	local keys=/usr/share/keyrings/debian-archive-keyring.gpg uri

	# shellcheck disable=SC2016 # apt's own variable
	uri=$(apt-get indextargets --format '$(REPO_URI)' \
		'Created-By: Packages' 'Codename: bookworm' | sed -n 1p)
	[ -n "$uri" ] || return 1
	[ -f "$keys" ] || as_root apt-get install -y -qq debian-archive-keyring
	printf '%s\n' 'Types: deb' "URIs: $uri" \
		'Suites: bookworm-backports' 'Components: main' \
		"Signed-By: $keys" |
		as_root tee /etc/apt/sources.list.d/meshllm-backports.sources \
			>/dev/null
	as_root apt-get update -qq
}

# Usage: apt_install OPTION-OR-PACKAGE...
apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
		--no-install-recommends "$@"
}

# Usage: install_missing PACKAGE...
install_missing() {
	local plain=() ngtcp2=() p

	for p in "$@"; do
		case $p in
		libngtcp2-*) is_installed "$p" || ngtcp2+=("$p") ;;
		*) is_installed "$p" || plain+=("$p") ;;
		esac
	done
	[ $((${#plain[@]} + ${#ngtcp2[@]})) -gt 0 ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "not a Debian system; install: ${plain[*]} ${ngtcp2[*]}" >&2
		return 1
	fi
	echo "installing: ${plain[*]} ${ngtcp2[*]}"
	as_root apt-get update -qq
	[ ${#plain[@]} = 0 ] || apt_install "${plain[@]}" || return 1
	[ ${#ngtcp2[@]} -gt 0 ] || return 0
	if [ "$(debian_codename)" = bookworm ]; then
		has_ngtcp2 || add_backports
		apt_install -t bookworm-backports "${ngtcp2[@]}"
	else
		apt_install "${ngtcp2[@]}"
	fi
}
