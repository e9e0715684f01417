#!/usr/bin/env bash
# The main job of falconer as a story, in the sandbox ./demo: `bash examples/demo.sh PROGRAM`, or `make demo`.
# Every command is printed before it runs, and every exit code is checked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

program=${1:?name the falconer program, e.g. target/debug/falconer}
[[ -x $program ]] || { echo "demo: there is no program $program" >&2; exit 1; }
PATH="$(cd "$(dirname "$program")" && pwd):$PATH"
export FALCONER_CONFIG=demo/agent.toml

# Nothing of the person's own Git counts here.
for variable in $(git rev-parse --local-env-vars); do unset "$variable"; done
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
# Git knows no NO_COLOR.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=color.ui GIT_CONFIG_VALUE_0=false

bold='' dim='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi

act=0
story() {
    act=$((act + 1))
    printf '\n%s%d. %s%s\n' "$bold" "$act" "$1" "$plain"
    shift
    (($# == 0)) || printf '%s%s%s\n' "$dim" "$*" "$plain"
}

# run EXIT COMMAND: shows the command, runs it, and ends the demo when it ends with another code.
run() {
    local expected=$1 command=$2 status=0
    printf '\n%s$ %s%s\n' "$bold" "$command" "$plain"
    eval "$command" || status=$?
    if ((status != expected)); then
        printf '\ndemo: act %d: `%s` ended with %d instead of %d\n' "$act" "$command" "$status" "$expected" >&2
        exit 1
    fi
    ((expected == 0)) || printf '%s(exit %d)%s\n' "$dim" "$status" "$plain"
}

same() { [[ $1 == "$2" ]] || { printf '\ndemo: act %d: %s\n' "$act" "$3" >&2; exit 1; }; }

live() { sha256sum demo/state/current/rules/*.yaml; }

# --- The stage -------------------------------------------------------------------------------------------------------
rm -rf demo
mkdir -p demo/host/etc/falco demo/host/usr/bin
cp fixtures/falco.yaml demo/host/etc/falco/falco.yaml
if [[ -x /usr/bin/falco ]]; then
    # A file of its own: a Falco that runs on this machine is another program, and is neither asked nor signalled.
    printf '#!/bin/sh\nexec /usr/bin/falco "$@"\n' >demo/host/usr/bin/falco
    chmod 755 demo/host/usr/bin/falco
    echo "This machine has a Falco: it will check each generation in a dry run. Its own configuration is left alone."
else
    echo "There is no Falco on this machine (falco: absent), which is a normal state: rules are checked by their structure."
fi
cat >demo/agent.toml <<'TOML'
host = "web-1"
labels = { role = "web" }

[repository]
url = "fleet"                 # relative paths are relative to this file

[paths]
state = "state"

[falco]
config_file = "host/etc/falco/falco.yaml"
binary = "host/usr/bin/falco"
http = "http://127.0.0.1:1"   # no Falco runs in this sandbox

[report]
url = "reports.git"
TOML
git init --quiet --bare demo/reports.git

story "A fleet is a Git repository" "Rules that many fleets share are published as artifacts, in falcoctl's format."
run 0 'cp -r examples/one-host demo/fleet && git -C demo/fleet init --quiet -b main'
git -C demo/fleet config user.name "A Founder"
git -C demo/fleet config user.email founder@example.org
run 0 'git -C demo/fleet add . && git -C demo/fleet commit --quiet -m "fleet: first state"'
run 0 'cat demo/fleet/fleet.yaml'
run 0 'falconer artifact push oci:demo/artifacts:1.0.0 demo/fleet/rules/acme_rules.yaml --type rulesfile --version 1.0.0'

story "A host is adopted" "One entry in its falco.yaml, every other byte kept. This is the only edit that falconer ever makes there."
run 0 'cat demo/agent.toml'
run 2 'falconer adopt --dry-run'
run 0 'falconer adopt'

story "The plan, then the pass that carries it out" "A plan that has something to do ends with 2."
run 2 'falconer plan'
run 0 'falconer once'
run 0 'falconer status'
run 0 'cat demo/state/current/falconer.yaml'

story "Nothing to do is nothing done"
before=$(find demo/state -printf '%p %i %T@ %s\n' | sort)
run 0 'falconer once'
same "$before" "$(find demo/state -printf '%p %i %T@ %s\n' | sort)" "a pass with nothing to do has written below demo/state"

story "Somebody edits a live rules file" "Drift is what the host caused, not the repository."
good=$(live)
run 0 "sed -i 's/priority: ERROR/priority: DEBUG/' demo/state/current/rules/10-acme-rules.yaml"
run 2 'falconer plan'
run 0 'falconer once'
same "$(cut -d' ' -f1 <<<"$good")" "$(live | cut -d' ' -f1)" "the edited file was not healed"

story "A commit brings an update, locked by digest"
cat >>demo/fleet/rules/acme_rules.yaml <<'YAML'

- rule: ACME private SSH key read by an unexpected program
  desc: A private SSH key of root is opened for reading by a program that is no SSH client or agent.
  condition: >
    evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.typechar = 'f' and fd.num >= 0
    and fd.name startswith /root/.ssh/id_ and not proc.name in (ssh, ssh-add, ssh-agent, ssh-keygen, sshd)
  output: Private SSH key opened for reading (file=%fd.name user=%user.name command=%proc.cmdline parent=%proc.pname)
  priority: CRITICAL
  tags: [acme, host, credentials]
YAML
run 0 'git -C demo/fleet diff --stat'
run 0 'falconer artifact push oci:demo/artifacts:1.1.0 demo/fleet/rules/acme_rules.yaml --type rulesfile --version 1.1.0'
run 0 "sed -i 's/1\.0\.0/1.1.0/' demo/fleet/fleet.yaml"
run 0 'falconer lock demo/fleet'
run 0 'git -C demo/fleet add . && git -C demo/fleet commit --quiet -m "fleet: acme-rules 1.1.0"'
run 0 'falconer once'
run 0 'cat demo/fleet/falconer.lock'

story "A commit that Falco could not load" "It is refused before it is live; the good generation stays, and the commit is not tried again."
good=$(live)
run 0 "printf '\n- rule: Half a rule\n  desc: Saved too early.\n' >> demo/fleet/rules/own.yaml"
run 0 'git -C demo/fleet commit --quiet -am "own: half a rule"'
run 0 'sha256sum demo/state/current/rules/*.yaml'
run 1 'falconer once'
run 1 'falconer status'
run 0 'sha256sum demo/state/current/rules/*.yaml'
same "$good" "$(live)" "the refused commit has changed what is live"

story "The author reverts it"
run 0 'git -C demo/fleet revert --no-edit HEAD >/dev/null'
run 0 'falconer once'
same "$good" "$(live)" "the revert has changed what is live"

story "What is really there, written back to Git" "One reference per host, never one that hosts read their state from."
run 0 'cat demo/state/host.lock'
run 0 'git -C demo/reports.git for-each-ref'
reference=$(git -C demo/reports.git for-each-ref --format='%(refname)' 'refs/falconer/hosts/')
run 0 "git -C demo/reports.git show --stat --format='%h %an: %s' $reference"
# What is sent has its place in the row of this host's reports at its end.
sent=$(git -C demo/reports.git show "$reference:host.lock" | sed '/^\[chain\]$/,$d')
same "$(cat demo/state/host.lock)" "$sent" "the report in Git is not host.lock"
run 0 'falconer collect demo/reports.git'

printf '\n%sAll of it is in demo/. Look around, e.g.%s\n' "$bold" "$plain"
cat <<TEXT
  export FALCONER_CONFIG=demo/agent.toml
  $program status --output json
  ls -l demo/state demo/state/generations     what Falco loads, and what it could go back to
  diff fixtures/falco.yaml demo/host/etc/falco/falco.yaml
TEXT
