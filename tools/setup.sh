#!/usr/bin/env bash
# Installs what the demo and the tests need beside Go, Node and npm. As root on a
# Debian-like machine it does so itself; otherwise it says what to install.
set -euo pipefail

missing=()
need() { # need PROGRAM PACKAGE
	command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}
PATH=$PATH:/usr/sbin:/usr/local/sbin
need redis-server redis-server
need nginx nginx-light

for tool in go node npm; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "setup: $tool is not installed; premortem is built with Go 1.26 and the shop runs on Node 20 or newer" >&2
		exit 2
	fi
done

[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "setup: installing ${missing[*]}" >&2
	log=$(mktemp)
	export DEBIAN_FRONTEND=noninteractive
	if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
		tail -20 "$log" >&2
		echo "setup: apt-get could not install ${missing[*]}; the full log is $log" >&2
		exit 2
	fi
	rm -f "$log"
	exit 0
fi

echo "setup: please install: ${missing[*]}" >&2
echo "setup: on Debian or Ubuntu: sudo apt-get install ${missing[*]}" >&2
echo "setup: on macOS: brew install ${missing[*]/nginx-light/nginx}" >&2
exit 2
