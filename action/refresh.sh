#!/usr/bin/env bash
# Proposes the measured results of the main branch as its baseline, where there is a reason. Runs
# nothing of what was measured.
set -euo pipefail
# shellcheck source=action/lib.sh
source "$GITHUB_ACTION_PATH/action/lib.sh"

enter_working_directory
case $MCPGATE_MEASURED_EXIT_CODE in
  0 | 1 | 4) ;;
  *)
    notice "the baseline stays: nothing was measured"
    exit 0
    ;;
esac
words=(--dir "$MCPGATE_DIR" --digest "$MCPGATE_DIGEST")
[[ -z $MCPGATE_BRANCH ]] || words+=(--branch "$MCPGATE_BRANCH")
exec "$MCPGATE" github refresh "${words[@]}"
