#!/usr/bin/env bash
# Reads policy and baseline from the base; output `dir` is the folder that they are in.
set -euo pipefail
# shellcheck source=action/lib.sh
source "$GITHUB_ACTION_PATH/action/lib.sh"

enter_working_directory
dir=$(mktemp -d "$RUNNER_TEMP/mcpgate.XXXXXX")
output dir "$dir"
words=(--dir "$dir")
[[ -z $MCPGATE_CONFIG ]] || words+=(--config "$MCPGATE_CONFIG")
[[ -z $MCPGATE_BASELINE ]] || words+=(--baseline "$MCPGATE_BASELINE")
exec "$MCPGATE" github prepare "${words[@]}"
