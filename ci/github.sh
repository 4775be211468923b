#!/usr/bin/env bash
# The check step of action.yml. Every input comes from the environment and none is
# read by a shell. The first run decides the exit code; the others tell the same
# findings in another format.
set -euo pipefail

args=(check --quiet "--fail-on=$INPUT_FAIL_ON")
if [ -n "$INPUT_DIFF" ]; then
	args+=("--diff=$INPUT_DIFF")
fi
while IFS= read -r line; do
	read -r -a words <<<"$line"
	args+=("${words[@]}")
done <<<"$INPUT_ARGS"

premortem() { # premortem FORMAT FILE
	"$BIN/premortem" "${args[@]}" --format "$1" -o "$2" -- "$INPUT_DIR"
}

told=$(mktemp)
trap 'rm -f "$told"' EXIT

code=0
premortem text "$told" || code=$?
if [ "$code" -eq 2 ]; then
	echo "exit-code=2" >>"$GITHUB_OUTPUT"
	exit 2
fi
cat "$told"

if [ -n "$INPUT_SARIF" ]; then
	premortem sarif "$INPUT_SARIF" || [ $? -ne 2 ]
	echo "sarif=$INPUT_SARIF" >>"$GITHUB_OUTPUT"
fi
if [ "$INPUT_ANNOTATIONS" = true ]; then
	premortem github "$told" || [ $? -ne 2 ]
	cat "$told"
fi
if [ "$INPUT_SUMMARY" = true ] && [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
	premortem markdown "$told" || [ $? -ne 2 ]
	cat "$told" >>"$GITHUB_STEP_SUMMARY"
fi

echo "exit-code=$code" >>"$GITHUB_OUTPUT"
if [ "$code" -eq 3 ] && [ "$INPUT_UNKNOWN" != fail ]; then
	code=0
fi
exit "$code"
