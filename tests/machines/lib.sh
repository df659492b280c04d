# shellcheck shell=bash
# shellcheck disable=SC2016 # scripts for another shell
# For prepare and package_test: roots of Debian releases, and packages of the
# tree, in a cache outside of it.
#
# MESHLLM_MACHINES: the cache.  MESHLLM_MIRROR: the mirror, if not the one that
# this machine uses.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${MESHLLM_MACHINES:-${XDG_CACHE_HOME:-/var/cache}/meshllm-tests}
mkdir -p "$cache"

say() { echo "prepare: $*" >&2; }

# It is for one at a time.
exec 9>"$cache/lock"
flock 9

mirror() {
	local uri

	# shellcheck disable=SC2016 # apt's own variable
	uri=$(apt-get indextargets --format '$(REPO_URI)' \
		'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
		sed -n '/security/d;/^http/{p;q}')
	uri=${MESHLLM_MIRROR:-$uri}
	[ -n "$uri" ] || say "no mirror of Debian is known: set MESHLLM_MIRROR"
	echo "$uri"
}

# Usage: in_root ROOT COMMAND...: with the network of this machine.
in_root() {
	local root=$1

	shift
	cp -L /etc/resolv.conf "$root/etc/resolv.conf"
	# A namespace of its own: what is mounted there ends with it.
	# shellcheck disable=SC2016
	unshare --mount --pid --fork --kill-child sh -ec '
		root=$1; shift
		mount --make-rprivate /
		mount -t proc proc "$root/proc"
		mount -t tmpfs tmpfs "$root/tmp"
		exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
	' sh "$root" "$@"
}

remove() { rm -rf --one-file-system -- "$@"; }

# Usage: make_root NAME FUNCTION ARGUMENT...: once, whole or not at all.
make_root() {
	local root=$cache/$1 fresh=$cache/$1.new

	shift
	[ ! -d "$root" ] || return 0
	say "making $root"
	remove "$fresh"
	"$@" "$fresh" >"$root.log" 2>&1 || {
		tail -n 30 "$root.log" >&2
		remove "$fresh"
		return 1
	}
	mv "$fresh" "$root"
}

# A plain Debian that can boot; nothing of meshllm, nor what it needs.
plain() {
	debootstrap --variant=minbase \
		--include=systemd-sysv,dbus,iproute2,procps,ca-certificates \
		"$1" "$2" "$(mirror)"
	in_root "$2" sh -ec 'apt-get update -q
		systemctl disable systemd-resolved 2>/dev/null || true
		useradd -m somebody'
	echo machine >"$2/etc/hostname"
	rm -f "$2/etc/machine-id"
	: >"$2/etc/machine-id"
}

# The same with compilers, the build-dependencies and lintian.
builder() {
	local release=$1 root=$2

	cp -a --reflink=auto "$cache/$release" "$root"
	if [ "$release" = bookworm ]; then
		echo "deb $(mirror) bookworm-backports main" \
			>"$root/etc/apt/sources.list.d/backports.list"
	fi
	mkdir -p "$root/build/meshllm"
	cp -r "$top/debian" "$root/build/meshllm/"
	in_root "$root" sh -ec '
		apt-get update -q
		apt-get install -q -y --no-install-recommends build-essential \
			dpkg-dev lintian
		cd /build/meshllm
		case $(. /etc/os-release; echo $VERSION_CODENAME) in
		bookworm) set -- -t bookworm-backports \
			libngtcp2-dev libngtcp2-crypto-gnutls-dev
			apt-get install -q -y --no-install-recommends "$@" ;;
		esac
		apt-get build-dep -q -y --no-install-recommends ./
		rm -rf /build/*'
}

# Usage: copy_tree TO: what is in git or new, as it is now.
copy_tree() {
	mkdir -p "$1"
	if [ -e "$top/.git" ]; then
		git -C "$top" ls-files -z --cached --others --exclude-standard
	else
		(cd "$top" && find . -path ./build\* -prune -o -type f -print0)
	fi | (cd "$top" && while IFS= read -r -d '' f; do
		[ ! -e "$f" ] || printf '%s\0' "$f"
	done) | tar -C "$top" --null -T - -c | tar -x -C "$1"
}

tree_id() { (cd "$1" && find . -type f -not -path './tests/machines/*' \
	-not -path './tests/system/*' -print0 | sort -z |
	xargs -0 sha256sum | sha256sum | cut -c 1-16); }

# Usage: build RELEASE PATH: packages of the tree, in PATH of the builder.
build() {
	local root=$cache/$1-build

	remove "$root/build"
	mkdir -p "$root$(dirname "$2")"
	cp -a "$cache/tree" "$root$2"
	chown -R 0:0 "$root$2"
	in_root "$root" sh -ec 'cd "$1" && shift &&
		DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" "$@"' \
		sh "$2" dpkg-buildpackage -us -uc -b
}

# A package with a higher version and the same content, for an upgrade.
next_version() {
	local unpacked=$2/unpacked version

	dpkg-deb -R "$1" "$unpacked"
	version=$(sed -n 's/^Version: //p' "$unpacked/DEBIAN/control")
	sed -i "s/^Version: .*/Version: $version+next/" \
		"$unpacked/DEBIAN/control"
	dpkg-deb --root-owner-group -b "$unpacked" "$2" >&2
	remove "$unpacked"
}

# Usage: packages RELEASE
packages() {
	local release=$1 to log

	to=$cache/packages/$1-$(tree_id "$cache/tree")
	if [ ! -d "$to" ]; then
		say "building packages for $release"
		remove "$cache"/packages/"$release"-*
		mkdir -p "$to.new/next"
		log=$to.new/build.log
		build "$release" /build/meshllm >"$log" 2>&1 || {
			tail -n 30 "$log" >&2
			return 1
		}
		cp "$cache/$release-build"/build/meshllm*_* "$to.new/"
		next_version "$to.new"/meshllm_*.deb "$to.new/next"
		mv "$to.new" "$to"
	fi
	ln -sfn "$to" "$cache/packages/$release"
}

# What apt has to have at hand in a machine without a network.
provide_libraries() {
	local root=$cache/$1 deb=("$cache/packages/$1"/meshllm_*.deb)

	cp "${deb[@]}" "$root/var/cache/"
	in_root "$root" sh -ec 'apt-get install -q -y --download-only \
		/var/cache/meshllm_*.deb && rm /var/cache/meshllm_*.deb' \
		>"$root.libraries.log" 2>&1 || {
		tail -n 20 "$root.libraries.log" >&2
		return 1
	}
}
