#!/usr/bin/env bash
# Finds, downloads or builds mcpgate; output `program` is its absolute path.
set -euo pipefail
action=$GITHUB_ACTION_PATH
# shellcheck source=action/lib.sh
source "$action/action/lib.sh"

# The name that a release gives to this machine's binary, empty where there is none.
target() {
  case "$RUNNER_OS-$RUNNER_ARCH" in
    Linux-X64) echo x86_64-unknown-linux-musl ;;
    Linux-ARM64) echo aarch64-unknown-linux-musl ;;
    macOS-X64) echo x86_64-apple-darwin ;;
    macOS-ARM64) echo aarch64-apple-darwin ;;
  esac
}

# The SHA-256 that action/checksums.txt pins for a file of a release, empty where it pins none.
pinned() {
  awk -v name="$1" '$2 == name { print $1; exit }' "$action/action/checksums.txt"
}

# Where the releases are: of the environment for a mirror, else as pinned with the checksums.
download_base() {
  local base=${MCPGATE_DOWNLOAD_BASE:-}
  [[ -n $base ]] || base=$(awk '$1 == "base" { print $2; exit }' "$action/action/checksums.txt")
  printf '%s' "${base%/}"
}

# Downloads a file of a release; plain HTTP only on this machine, where it cannot be listened to.
download() {
  local url=$1 file=$2 protocols='=https'
  case $url in
    http://127.0.0.1:* | http://localhost:*) protocols='=http' ;;
  esac
  curl --proto "$protocols" --proto-redir "$protocols" --tlsv1.2 --fail --silent --show-error \
    --location --retry 3 --connect-timeout 20 --max-time 300 --max-filesize 100000000 \
    --output "$file" -- "$url"
}

# The prebuilt binary; status 1 where there is none to be had and building is the way on. A file
# that is not what was pinned ends the step. Called as a condition, where `set -e` does not hold:
# each command's failure is looked at.
prebuilt() {
  local name expected found directory base
  name=mcpgate-v$version-$(target).tar.gz
  expected=$(pinned "$name")
  if [[ -z $expected ]]; then
    [[ $version == "$own" ]] ||
      fail "version: no binary of mcpgate $version is pinned for $RUNNER_OS $RUNNER_ARCH, and this checkout of the action builds $own; use the action of that version"
    notice "action/checksums.txt pins no binary of mcpgate $version for $RUNNER_OS $RUNNER_ARCH: it is built from source"
    return 1
  fi
  base=$(download_base)
  directory=$(mktemp -d "$RUNNER_TEMP/mcpgate-install.XXXXXX") || fail "RUNNER_TEMP takes no folder"
  if ! download "$base/v$version/$name" "$directory/$name"; then
    [[ $version == "$own" ]] || fail "$base/v$version/$name could not be downloaded"
    warning "$base/v$version/$name could not be downloaded: mcpgate is built from source"
    return 1
  fi
  found=$(sha256 "$directory/$name")
  [[ $found == "$expected" ]] ||
    fail "$base/v$version/$name has the SHA-256 $found, and the action pins $expected: it is not used. Try again; if it stays so, report it to the maintainers of mcpgate"
  tar -xzf "$directory/$name" -C "$directory" mcpgate || fail "$name could not be unpacked"
  program=$directory/mcpgate
}

# Builds the action's own checkout. The folder is named by what it is built from, so that the same
# source is built once where the tool cache is kept (self-hosted runners, actions/cache).
build() {
  local source folder staged
  [[ $version == "$own" ]] ||
    fail "version: install: build can only build mcpgate $own, of which this action is"
  source=$(cd "$action" && find Cargo.toml Cargo.lock src -type f -print | LC_ALL=C sort |
    while IFS= read -r file; do sha256 "$file"; done | sha256)
  folder=$RUNNER_TOOL_CACHE/mcpgate/$own-${source:0:16}
  program=$folder/bin/mcpgate
  [[ ! -x $program ]] || return 0
  command -v cargo >/dev/null ||
    fail "mcpgate has to be built here, and there is no cargo on the PATH: install Rust (rustup.rs) in a step before, or put a binary on the PATH and set install: path"
  mkdir -p "$RUNNER_TOOL_CACHE/mcpgate"
  staged=$(mktemp -d "$RUNNER_TOOL_CACHE/mcpgate/.staged.XXXXXX")
  # In the action's folder, so that no toolchain file or Cargo configuration of the user applies.
  (cd "$action" && cargo install --locked --quiet --path . --root "$staged") ||
    fail "mcpgate could not be built; the reason is above"
  # Another job may have been faster; its binary is as good.
  mv "$staged" "$folder" 2>/dev/null || rm -rf "$staged"
}

case $MCPGATE_MODE in
  gate | measure | publish | refresh) ;;
  *) fail "mode: '$MCPGATE_MODE' is none of gate, measure, publish, refresh" ;;
esac
[[ $RUNNER_OS != Windows ]] ||
  fail "mcpgate does not support Windows yet; use a Linux or macOS runner"

own=$(own_version "$action")
version=${MCPGATE_VERSION#v}
version=${version:-$own}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] ||
  fail "version: '$version' is not of the form 1.2.3"
case $MCPGATE_INSTALL in
  path)
    program=$(command -v mcpgate) ||
      fail "install: path, and there is no mcpgate on the PATH; install it in a step before"
    ;;
  auto) prebuilt || build ;;
  build) build ;;
  *) fail "install: '$MCPGATE_INSTALL' is none of auto, build, path" ;;
esac
"$program" --version
output program "$program"
