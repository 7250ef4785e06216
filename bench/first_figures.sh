#!/bin/bash
# The first figures (docs/performance.md): Confab beside the bare server, interleaved, medians over rounds.
#
#   bench/first_figures.sh CONFAB BUILD [ROUNDS] [PART...]
#
# CONFAB is the server's binary; BUILD holds confab_load and confab_limit. Parts: fanout publish idle lag stall storm;
# without one, all. With 0 rounds the figures of the last run are printed again. The server runs on core 0 and the clients
# on core 1. Each run's JSON goes to BUILD/figures.
set -euo pipefail

usage() {
  sed -n '2,/^set /{s/^# \{0,1\}//p}' "$0"
}
for argument in "$@"; do
  if [[ $argument == -h || $argument == --help ]]; then
    usage
    exit 0
  fi
done
if (($# < 2)); then
  usage >&2
  exit 2
fi

confab=$(realpath "$1")
build=$(realpath "$2")
rounds=${3:-3}
shift $(($# < 3 ? $# : 3))
parts=${*:-fanout publish idle lag stall storm}
figures=$build/figures
scratch=$(mktemp -d "$build/scratch.XXXXXX")
mkdir -p "$figures"
server=0

end_server() {
  if ((server)); then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  server=0
  rm -f "$scratch/out" # the next server's port is not this one's
}
trap 'end_server; rm -rf "$scratch"' EXIT

await_port() {
  for _ in $(seq 100); do
    port=$(sed -n 's|.*listening on http://127.0.0.1:\([0-9]*\).*|\1|p' "$scratch/out" 2>/dev/null || true)
    if [[ $port ]]; then return; fi
    sleep 0.1
  done
  echo "the server did not start:" >&2
  cat "$scratch/err" >&2
  exit 1
}

# start_confab DIRECTORY [OPTION...]
start_confab() {
  local directory=$1
  shift
  taskset -c 0 "$confab" serve --net.port=0 "--store.directory=$directory" "$@" \
    >"$scratch/out" 2>"$scratch/err" &
  server=$!
  await_port
}

start_limit() {
  taskset -c 0 "$build/confab_limit" --port=0 >"$scratch/out" 2>"$scratch/err" &
  server=$!
  await_port
}

# measure NAME SCENARIO [OPTION...]: appends one line to NAME's figures.
measure() {
  local name=$1
  shift
  timeout 600 taskset -c 1 "$build/confab_load" "$@" "--port=$port" "--pid=$server" --json \
    >>"$figures/$name"
}

# median NAME KEY
median() {
  sed -n "s/.*\"$2\":\([-0-9.]*\).*/\1/p" "$figures/$1" | sort -n |
    awk '{x[NR] = $1} END {print NR ? (NR % 2 ? x[(NR + 1) / 2] : (x[NR / 2] + x[NR / 2 + 1]) / 2) : "-"}'
}

# ratio A B KEY: the median over the rounds of A's figure divided by B's of the same round.
ratio() {
  paste <(sed -n "s/.*\"$3\":\([-0-9.]*\).*/\1/p" "$figures/$1") \
    <(sed -n "s/.*\"$3\":\([-0-9.]*\).*/\1/p" "$figures/$2") |
    awk 'NF == 2 && $2 > 0 {print $1 / $2}' | sort -n |
    awk '{x[NR] = $1} END {if (NR) printf "%.2f", NR % 2 ? x[(NR + 1) / 2] : (x[NR / 2] + x[NR / 2 + 1]) / 2}'
}

row() { printf '%-58s %14s %14s %8s\n' "$@"; }

fanout_kinds="50:1 50:5 1000:1 1000:5"

run_fanout() {
  local kind time
  for kind in $fanout_kinds; do
    time=$((${kind%:*} > 100 ? 3 : 6))
    start_confab "$scratch/fanout.$round"
    measure "fanout-confab-$kind" fanout --readers=1000 --rate="${kind%:*}" --burst="${kind#*:}" --seconds=$time
    end_server
    start_limit
    measure "fanout-limit-$kind" fanout --readers=1000 --rate="${kind%:*}" --burst="${kind#*:}" --seconds=$time --limit
    end_server
  done
}

run_publish() {
  local flight
  start_confab "$scratch/publish.$round"
  for flight in 64 1; do
    measure "publish-confab-$flight" publish --flight="$flight" --seconds=3
    taskset -c 0 "$build/confab_limit" "--append=$scratch" "--flight=$flight" --seconds=3 --json \
      >>"$figures/publish-limit-$flight"
  done
  measure "publish-confab-64x1" publish --connections=64 --flight=1 --seconds=3
  end_server
}

run_idle() {
  local conversations
  for conversations in 1 1000 10000; do
    start_confab "$scratch/idle.$round.$conversations"
    measure "idle-confab-$conversations" idle --connections=10000 --conversations=$conversations --seconds=3
    end_server
  done
}

run_lag() {
  start_confab "$scratch/lag.$round"
  measure fill-confab fill --conversation=behind --entries=1000000
  end_server
  start_confab "$scratch/lag.$round"
  measure lag-confab lag --conversation=behind --readers=100 --rate=50 --seconds=8
  end_server
  rm -rf "$scratch/lag.$round"
}

run_stall() {
  start_confab "$scratch/stall.$round"
  measure stall-confab stall --readers=1000 --stalled=200 --rate=500 --bytes=1024 --pause=60
  end_server
}

run_storm() {
  local entries
  for entries in 0 1000; do
    start_confab "$scratch/storm.$round.$entries"
    measure "storm-confab-$entries" storm --readers=1000 --entries=$entries
    end_server
  done
}

if ((rounds)); then
  for part in $parts; do rm -f "$figures/$part"-*; done
fi
for round in $(seq "$rounds"); do
  for part in $parts; do "run_$part"; done
done

echo "$(date -u +%F) · $(uname -sr) · $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1) · $(nproc) cores, server on 0, clients on 1 · medians"
row "" confab limit ratio
for part in $parts; do
  case $part in
  fanout)
    for kind in $fanout_kinds; do
      name="1,000 readers, ${kind%:*}/s x 200 B, burst ${kind#*:}"
      for key in cpu_us_per_delivery deliveries_per_cpu_s deliveries_per_s age_p50_ms age_p99_ms; do
        row "$name: $key" "$(median "fanout-confab-$kind" $key)" "$(median "fanout-limit-$kind" $key)" \
          "$(ratio "fanout-confab-$kind" "fanout-limit-$kind" $key)"
      done
    done
    ;;
  publish)
    for flight in 64 1; do
      for key in receipts_per_s cpu_us_per_receipt receipt_p50_ms receipt_p99_ms; do
        row "publish, $flight in flight, FULL: $key" "$(median "publish-confab-$flight" $key)" \
          "$(median "publish-limit-$flight" $key)" "$(ratio "publish-confab-$flight" "publish-limit-$flight" $key)"
      done
    done
    for key in receipts_per_s cpu_us_per_receipt receipt_p50_ms receipt_p99_ms; do
      row "publish, 64 connections with 1 in flight: $key" "$(median publish-confab-64x1 $key)" - ""
    done
    ;;
  idle)
    for conversations in 1 1000 10000; do
      for key in private_kib_per_connection rss_anon_kib_per_connection cpu_us_per_connect idle_cpu_percent; do
        row "10,000 connections, $conversations conversations: $key" "$(median "idle-confab-$conversations" $key)" - ""
      done
    done
    ;;
  lag)
    for key in caught_up_entries_per_s caught_up_mb_per_s cpu_us_per_caught_up_entry age_before_p50_ms age_before_p99_ms \
      age_during_p50_ms age_during_p99_ms age_after_p99_ms private_growth_mib; do
      row "1,000,000 behind, 100 live at 50/s: $key" "$(median lag-confab $key)" - ""
    done
    ;;
  stall)
    for key in behind_by_entries caught_up_entries_per_s server_cpus_while_stalled age_before_p50_ms age_before_p99_ms \
      age_during_p50_ms age_during_p99_ms age_catching_up_p50_ms age_catching_up_p99_ms private_before_kib \
      private_half_paused_kib private_paused_kib private_growth_mib; do
      row "200 of 1,000 stop for 60 s at 500/s x 1 KiB: $key" "$(median stall-confab $key)" - ""
    done
    ;;
  storm)
    for key in cpu_us_per_reader wall_s; do
      row "1,000 resume at once, nothing missed: $key" "$(median storm-confab-0 $key)" - ""
    done
    for key in cpu_us_per_delivery deliveries_per_s wall_s private_growth_mib; do
      row "1,000 resume at once, 1,000 missed each: $key" "$(median storm-confab-1000 $key)" - ""
    done
    ;;
  esac
done
