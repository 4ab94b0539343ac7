#!/usr/bin/env bash
# TPU VMs without Kubernetes: one process on every host of a slice that exists, by gcloud.
#
#   launch/tpu_pod.sh [--dry_run] NAME ZONE CONFIG:STAGE WORKDIR [flags of jaxderm train]
#
# NAME is the TPU VM (or queued resource's node); WORKDIR a folder that all hosts see, e.g. on Filestore. The
# working tree is copied, the library installed, and JAX asks the slice who else is there (=auto). A host that gets a
# maintenance notice stops all of them with status 75: run the same command again.
set -euo pipefail
dry_run=""
if [[ ${1:-} == --dry_run ]]; then dry_run=1 && shift; fi
name=${1:?name of the TPU VM}
zone=${2:?its zone, e.g. us-west4-a}
config=${3:?configuration with its stage, e.g. configs/pod_256.py:gan}
workdir=${4:?folder of the run that all hosts see}
shift 4

train=(.venv/bin/jaxderm train --config="$config" --workdir="$workdir" --coordinator_address=auto --noprogress "$@")
install='cd jaxderm && python3 -m venv .venv && .venv/bin/pip install -q -e ".[train,tpu]"'
run() {
    if [[ $dry_run ]]; then
        printf '%q ' "$@" && echo
    else
        "$@"
    fi
}
# The committed files only: no data, no runs, no environment.
archive=$(mktemp -u).tar.gz
run git archive --prefix=jaxderm/ --output="$archive" HEAD
run gcloud compute tpus tpu-vm scp "$archive" "$name:jaxderm.tar.gz" --zone="$zone" --worker=all
run gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all --command="tar xzf jaxderm.tar.gz && $install"
run gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all --command="cd jaxderm && $(printf '%q ' "${train[@]}")"
