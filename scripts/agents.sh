#!/usr/bin/env bash
# Installs the agents' own programs, at the versions that the tests were written for, from npm into a cache:
# $ROPEWALK_AGENTS_DIR, by default ~/.cache/ropewalk-agents. The tests find them there (tests/agents.rs).
# What is there at the right version stays. Ends with 0 if all are there; with --optional always.
set -uo pipefail

programs=(
    "claude @anthropic-ai/claude-code 2.1.329"
    "codex @openai/codex 0.169.0"
    "opencode opencode-ai 1.18.33"
    "gemini @google/gemini-cli 0.61.0"
    "claude-agent-acp @agentclientprotocol/claude-agent-acp 0.49.0"
    "codex-acp @agentclientprotocol/codex-acp 2.6.0"
)

optional=false
case "${1-}" in
    "") ;;
    --optional) optional=true ;;
    *) echo "usage: scripts/agents.sh [--optional]" >&2; exit 2 ;;
esac

cache="${ROPEWALK_AGENTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/ropewalk-agents}"
mkdir -p "$cache/bin"
cache="$(cd "$cache" && pwd)"
# Made in a directory of its own and then moved: an install that was cut is never taken for one that is there.
making="$(mktemp -d "$cache/making.XXXXXX")"
trap 'rm -rf "$making"' EXIT

# What the programs do when they are installed or asked for their version stays out of the user's own directories.
aside() {
    XDG_CONFIG_HOME="$making/home" XDG_DATA_HOME="$making/home" XDG_STATE_HOME="$making/home" \
        XDG_CACHE_HOME="$making/home" "$@"
}

# Prints why not, if it does not work.
install() {
    local name="$1" package="$2" version="$3" place="$4"
    command -v npm >/dev/null 2>&1 || { echo "npm is not installed (Node.js 20 or newer has it)"; return 1; }
    rm -rf "$making/"*
    mkdir -p "$making/tree" "$making/home"
    # Without a network, npm would try for minutes.
    if ! aside timeout 600 npm install --prefix "$making/tree" --no-audit --no-fund --loglevel error \
        --fetch-retries 1 --fetch-retry-mintimeout 1000 --fetch-retry-maxtimeout 5000 "$package@$version" \
        </dev/null >"$making/said" 2>&1; then
        echo "npm could not install $package@$version: $(grep -m 1 'npm error' "$making/said" || tail -n 1 "$making/said")"
        return 1
    fi
    # It has to run here: some do not with an old Node.js, others not without their binary for this machine. One does not
    # know --version, and tells its version to whoever greets it.
    local printed greeting='{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1}}'
    printed="$(aside env HOME="$making/home" timeout 60 "$making/tree/node_modules/.bin/$name" --version \
        <<<"$greeting" 2>"$making/said")"
    if [[ "$printed" != *"$version"* ]]; then
        echo "$package@$version does not run on this machine: $(tail -n 1 "$making/said")"
        return 1
    fi
    # Another run may have been faster.
    mv -T "$making/tree" "$place" 2>/dev/null || [ -d "$place" ]
}

missing=0
for program in "${programs[@]}"; do
    read -r name package version <<<"$program"
    place="$cache/$name-$version"
    began=$SECONDS
    how="is there"
    if [ ! -d "$place" ]; then
        if ! why="$(install "$name" "$package" "$version" "$place")"; then
            printf '%-16s %-8s MISSING: %s\n' "$name" "$version" "$why"
            rm -f "$cache/bin/$name"
            missing=$((missing + 1))
            continue
        fi
        how="installed in $((SECONDS - began)) s, $(du -sm "$place" | cut -f 1) MB"
    fi
    # What npm puts on a user's PATH, so that the tests meet what users have.
    ln -sfn "../$name-$version/node_modules/.bin/$name" "$cache/bin/$name"
    printf '%-16s %-8s %s\n' "$name" "$version" "$how"
done

if [ "$missing" -gt 0 ]; then
    echo "$missing of ${#programs[@]} are missing in $cache: the tests with these programs will say that they were skipped"
    [ "$optional" = true ] || exit 1
fi
