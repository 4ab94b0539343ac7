#!/usr/bin/env bash
# One machine, all three stages, one or several processes. Each stage starts from the one before and resumes
# where it was stopped; exit status 75 means saved after a notice: run the same command again.
#
#   launch/local.sh [--dry_run] [--processes N] CONFIG WORKDIR [flags of jaxderm train]
#
# One process uses all devices of the machine, which is what a GPU or CPU box wants. --processes N is for trying
# several processes out: on a CPU they meet over gloo. JAXDERM names the command (default: jaxderm).
set -euo pipefail
dry_run="" processes=1
while [[ ${1:-} == --* ]]; do
    case "$1" in
    --dry_run) dry_run=1 ;;
    --processes) processes=${2:?--processes needs a number} && shift ;;
    *) echo "$0: $1 is not a flag; see the first lines of the file" >&2 && exit 2 ;;
    esac
    shift
done
config=${1:?configuration, e.g. configs/people_128.py}
workdir=${2:?folder of the run}
shift 2
port=${PORT:-8476}

for stage in autoencoder vae gan; do
    pids=()
    for ((i = 0; i < processes; i++)); do
        command=("${JAXDERM:-jaxderm}" train --config="$config:$stage" --workdir="$workdir" "$@")
        if ((processes > 1)); then
            command+=(--coordinator_address="127.0.0.1:$port" --num_processes="$processes" --process_id="$i")
        fi
        if [[ $dry_run ]]; then
            printf '%q ' "${command[@]}" && echo
        else
            "${command[@]}" & pids+=($!)
        fi
    done
    # A notice to this script goes on to the processes; their status decides whether the next stage starts.
    if [[ ! $dry_run ]]; then
        trap 'kill -TERM "${pids[@]}" 2>/dev/null || true' TERM INT
        for pid in "${pids[@]}"; do
            status=0
            wait "$pid" || status=$?
            # The trap interrupts `wait`: the process is still saving.
            while kill -0 "$pid" 2>/dev/null; do status=0 && wait "$pid" || status=$?; done
            ((status == 0)) || exit "$status"
        done
    fi
done
