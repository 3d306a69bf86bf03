#!/usr/bin/env bash
# Measures the server of the head. What it runs belongs to the pull request: it gets neither a token
# nor the files by which a step speaks to the runner, and what it prints is no workflow command.
# Output `exit-code`; the step itself succeeds, since the verdict is published by the next one.
set -euo pipefail
# shellcheck source=action/lib.sh
source "$GITHUB_ACTION_PATH/action/lib.sh"

enter_working_directory
words=(--prepared "$MCPGATE_DIR")
[[ -z $MCPGATE_AGAINST ]] || words+=(--against "$MCPGATE_AGAINST")
[[ -z $MCPGATE_CONFIG ]] || words+=(--config "$MCPGATE_CONFIG")
if [[ -n ${MCPGATE_ARGS//[[:space:]]/} ]]; then
  # xargs takes quotes as a shell does, and expands nothing.
  printf '%s' "$MCPGATE_ARGS" | xargs printf '%s\0' >"$MCPGATE_DIR/arguments" ||
    fail "args: a quote is not closed"
  while IFS= read -r -d '' word; do
    words+=("$word")
  done <"$MCPGATE_DIR/arguments"
fi

stop=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
printf '::stop-commands::%s\n' "$stop"
code=0
env -u GITHUB_TOKEN -u GH_TOKEN -u GITHUB_PAT \
  -u ACTIONS_RUNTIME_TOKEN -u ACTIONS_RUNTIME_URL -u ACTIONS_RESULTS_URL -u ACTIONS_CACHE_URL \
  -u ACTIONS_ID_TOKEN_REQUEST_TOKEN -u ACTIONS_ID_TOKEN_REQUEST_URL \
  -u GITHUB_ENV -u GITHUB_OUTPUT -u GITHUB_PATH -u GITHUB_STATE -u GITHUB_STEP_SUMMARY \
  -u MCPGATE_AGAINST -u MCPGATE_ARGS -u MCPGATE_DIR \
  "$MCPGATE" compare "${words[@]}" || code=$?
# On a line of its own, wherever the output ended.
printf '\n::%s::\n' "$stop"
output exit-code "$code"
