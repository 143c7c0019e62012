#!/usr/bin/env bash
# Serve, transcribe, show, stop: the whole system once, on real speech.
# usage: tools/demo.sh RESULTS [RECORDING...]
set -euo pipefail
results=$1
shift
mkdir -p "$results"

if [ $# -eq 0 ]; then
    # fetch prints "name<TAB>folder"; what is in the cache already is not fetched again.
    call=$(voiceman-export fetch telephone-call | cut -f2)
    set -- "$call/sample.wav"
    if command -v npm >/dev/null; then
        korean=$(voiceman-export fetch korean-calls | cut -f2)
        set -- "$korean"/ko-KR_*.wav "$@"
    else
        echo "npm is not installed: the Korean calls are left out" >&2
    fi
fi

log=${results%/}-server.log # beside the results: `verify` asks about every file among them
# The server's ready line comes through a pipe of its own; SIGTERM lets it drain and clean up.
exec 3< <(exec voiceman-server --ports auto --log-file "$log")
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true' EXIT
echo "starting the server (log: $log) …" >&2
read -r ready <&3 || { echo "the server did not start; its last words:" >&2; tail -n 20 "$log" >&2; exit 1; }
said() { python3 -c 'import json, sys; print(json.loads(sys.argv[1])[sys.argv[2]])' "$ready" "$1"; }
VOICEMAN_SERVER=$(said grpc)
VOICEMAN_METRICS=$(said metrics)
export VOICEMAN_SERVER VOICEMAN_METRICS

status=0
written=$(voiceman-client submit --format json,txt,srt --output "$results" "$@") || status=$?
made=()
[ -z "$written" ] || mapfile -t made <<<"$written"
for result in "${made[@]}"; do
    printf '\n── %s\n' "$result"
    cat "${result%.json}.txt"
    echo
    voiceman-client explain --top 0 "$result" || status=1
done
printf '\nResults are in %s' "$results"
if [ ${#made[@]} -gt 0 ]; then
    printf ', reports to open in a browser are:\n'
    voiceman-client report --format html --output "${results%/}-reports" "${made[@]}" || status=1
else
    echo
fi
exit "$status"
