# shellcheck shell=bash
# What the steps of action.yml share. They run under the bash 3.2 of macOS too: an empty array is
# unbound there, hence `${words[@]+"${words[@]}"}`.

# Text as the data of a workflow command: it cannot end the line and begin another command.
escaped() {
  local text=$1
  text=${text//'%'/%25}
  text=${text//$'\r'/%0D}
  printf '%s' "${text//$'\n'/%0A}"
}

notice() {
  printf '::notice title=mcpgate::%s\n' "$(escaped "$1")"
}

warning() {
  printf '::warning title=mcpgate::%s\n' "$(escaped "$1")"
}

# Ends the step as wrong use (2).
fail() {
  printf '::error title=mcpgate::%s\n' "$(escaped "$1")"
  exit 2
}

# Sets an output of the step; the value is one line.
output() {
  case $2 in
    *$'\n'* | *$'\r'*) fail "the output $1 would be more than one line" ;;
  esac
  printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"
}

# Goes where the user's configuration is.
enter_working_directory() {
  cd -- "$MCPGATE_WORKING_DIRECTORY" ||
    fail "working-directory: there is no folder '$MCPGATE_WORKING_DIRECTORY' in the checkout"
}

# SHA-256 of a file or of standard input.
sha256() {
  if command -v sha256sum >/dev/null; then
    sha256sum "$@" | cut -d ' ' -f 1
  else
    shasum -a 256 "$@" | cut -d ' ' -f 1
  fi
}

# The version that a checkout of mcpgate builds.
own_version() {
  awk -F '"' '/^\[/ { package = ($0 == "[package]") } package && /^version *=/ { print $2; exit }' \
    "$1/Cargo.toml"
}
