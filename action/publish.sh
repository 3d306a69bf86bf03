#!/usr/bin/env bash
# Judges from the files, tells GitHub, and ends as the verdict does. Runs nothing of the head.
set -euo pipefail
# shellcheck source=action/lib.sh
source "$GITHUB_ACTION_PATH/action/lib.sh"

enter_working_directory
if [[ ! -e $MCPGATE_DIR/prepared.json ]]; then
  notice "there is nothing to publish; the step before says why"
  exit 0
fi
comment=$MCPGATE_COMMENT
fail_on=$MCPGATE_FAIL_ON
measured=$MCPGATE_MEASURED_EXIT_CODE
words=(--dir "$MCPGATE_DIR")
case $MCPGATE_MODE in
  gate)
    [[ -n $measured ]] || measured=3
    ;;
  measure | refresh)
    [[ -n $measured ]] || measured=3
    comment=never
    ;;
  publish)
    [[ -n $MCPGATE_RESULTS ]] || fail "mode: publish needs results, the file of the measure run"
    # Absent results are those of a run that could not measure.
    [[ -e $MCPGATE_RESULTS ]] || measured=3
    words+=(--results "$MCPGATE_RESULTS")
    fail_on=${fail_on:-never}
    ;;
esac
words+=(--comment "$comment" --fail-on "${fail_on:-regression}")
[[ -z ${MCPGATE_DIGEST:-} ]] || words+=(--digest "$MCPGATE_DIGEST")
[[ -z $measured ]] || words+=(--measured-exit-code "$measured")
[[ -z $MCPGATE_COMMENT_KEY ]] || words+=(--comment-key "$MCPGATE_COMMENT_KEY")
[[ -z $MCPGATE_COMMENT_AUTHOR ]] || words+=(--comment-author "$MCPGATE_COMMENT_AUTHOR")
exec "$MCPGATE" github publish "${words[@]}"
