#!/usr/bin/env bash
# Installs what the demo or the tests need beside Go, Node and npm.
#
#   setup.sh demo   redis-server
#   setup.sh test   redis-server and nginx
#
# As root on a Debian-like machine it installs them itself, without starting their
# services; otherwise it says what to install and exits 2.
set -euo pipefail

usage() {
	echo "usage: tools/setup.sh demo|test" >&2
	exit 2
}

[ $# -eq 1 ] || usage

missing=()
need() { # need PROGRAM PACKAGE
	command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}
PATH=$PATH:/usr/sbin:/usr/local/sbin
case $1 in
demo)
	need redis-server redis-server
	;;
test)
	need redis-server redis-server
	need nginx nginx-light
	;;
*)
	usage
	;;
esac

for tool in go node npm; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "setup: $tool is not installed; premortem is built with Go 1.26 and the shop runs on Node 20 or newer" >&2
		exit 2
	fi
done

[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "setup: please install: ${missing[*]}" >&2
	echo "setup: on Debian or Ubuntu: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
	echo "setup: on macOS: brew install $(printf '%s ' "${missing[@]}" | sed 's/redis-server/redis/; s/nginx-light/nginx/')" >&2
	exit 2
fi

# Debian asks this program before it starts a service; 101 forbids it. One that is
# there already is the owner's own wish and stays. Services that run are not touched.
policy=/usr/sbin/policy-rc.d
policy_is_ours=
log=$(mktemp)
keep_log=
clean_up() {
	if [ -n "$policy_is_ours" ]; then
		rm -f "$policy"
	fi
	if [ -z "$keep_log" ]; then
		rm -f "$log"
	fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [ ! -e "$policy" ] && [ ! -L "$policy" ]; then
	policy_is_ours=yes
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

echo "setup: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	keep_log=yes
	tail -20 "$log" >&2
	echo "setup: apt-get could not install ${missing[*]}; the full log is $log" >&2
	exit 2
fi
