#!/usr/bin/env bash
# One machine: the same command on whatever devices it has. Usage: launch/local.sh CONFIG WORKDIR [flags]
# Each stage starts from the one before and resumes where it was stopped.
set -euo pipefail
config=${1:?configuration, e.g. configs/people_128.py}
workdir=${2:?folder of the run}
shift 2
for stage in autoencoder vae gan; do
    jaxderm train --config="$config:$stage" --workdir="$workdir" "$@"
done
