#!/usr/bin/env bash
# The parts of the release workflow that are more than a line.
#   check      the tag names the version of Cargo.toml
#   pack       dist/mcpgate-VERSION-TARGET.tar.gz from target/TARGET/release, tried where this machine can run it
#   checksums  dist/checksums.txt, which becomes action/checksums.txt
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=action/lib.sh
source action/lib.sh

case ${1:-} in
  check)
    version=$(own_version .)
    if [[ $GITHUB_REF_NAME != "v$version" ]]; then
      echo "the tag is $GITHUB_REF_NAME, and Cargo.toml has version $version" >&2
      exit 1
    fi
    ;;
  pack)
    program=target/$TARGET/release/mcpgate
    # A Mac with Apple's processor runs Intel's programs only where Rosetta is installed.
    if [[ $TARGET == x86_64-apple-darwin ]] && ! arch -x86_64 /usr/bin/true; then
      echo "not tried: this machine cannot run $TARGET" >&2
    else
      "$program" --version
      "$program" run --quiet --suite quick -- "$program" reference-server
    fi
    if [[ $TARGET == *-musl ]] && ldd "$program" 2>/dev/null | grep -q '=>'; then
      echo "$program is not static" >&2
      exit 1
    fi
    mkdir -p dist
    cp "$program" LICENSE-APACHE LICENSE-MIT dist/
    tar -czf "dist/mcpgate-$GITHUB_REF_NAME-$TARGET.tar.gz" -C dist mcpgate LICENSE-APACHE LICENSE-MIT
    rm dist/mcpgate dist/LICENSE-*
    ;;
  checksums)
    {
      echo '# SHA-256 of the prebuilt binaries that the action may use, as the release workflow writes this'
      echo '# file; docs/github.md says how it comes here.'
      echo "base $GITHUB_SERVER_URL/$GITHUB_REPOSITORY/releases/download"
      (cd dist && sha256sum -- *.tar.gz)
    } >checksums.txt
    mv checksums.txt dist/
    cat dist/checksums.txt
    ;;
  *)
    echo "usage: release.sh check | pack | checksums" >&2
    exit 2
    ;;
esac
