# Runs in the guest of scripts/vm: systemd, cgroup v2, AppArmor. Every line that starts with "FAIL" is a failed check.
set -u
export TSCOMPOSE_DATA_ROOT=/var/lib/tscompose TSCOMPOSE_RUN_ROOT=/run/tscompose HOME=/root
tscompose="node /mnt/repo/bin/tscompose.cjs"
check() { # NAME EXPECTED ACTUAL
  if [ "$2" = "$3" ]; then echo "ok   $1"; else echo "FAIL $1: expected [$2], got [$3]"; fi
}
[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || { echo "FAIL this is not cgroup v2"; exit 1; }
$tscompose doctor || echo "FAIL doctor"
mkdir -p /root/project && cd /root/project || exit 1
cat > compose.yaml <<YAML
services:
  limited:
    image: busybox:latest
    command: sleep 600
    mem_limit: 64m
    memswap_limit: 64m
    cpus: 0.5
    pids_limit: 20
  default:
    image: busybox:latest
    command: sh -c "while :; do nc -l -p 80 -e echo hello; done"
    ports: ["8080:80"]
    healthcheck: {test: ["CMD", "true"], interval: 1s}
  after:
    image: busybox:latest
    command: sleep 600
    depends_on: {default: {condition: service_healthy}}
YAML
$tscompose load -q -i /mnt/repo/.cache/images/busybox.tar || echo "FAIL load"
$tscompose up -d --wait || { echo "FAIL up"; cat /run/tscompose/engine.log; }
inside() { $tscompose exec -T "$@"; }
check "memory.max" 67108864 "$(inside limited cat /sys/fs/cgroup/memory.max)"
check "memory.swap.max" 0 "$(inside limited cat /sys/fs/cgroup/memory.swap.max)"
check "cpu.max" "50000 100000" "$(inside limited cat /sys/fs/cgroup/cpu.max)"
check "pids.max" 20 "$(inside limited cat /sys/fs/cgroup/pids.max)"
check "default pids.max" 4096 "$(inside default cat /sys/fs/cgroup/pids.max)"
check "capability bounding set" 00000000a80425fb "$(inside default sh -c "sed -n 's/^CapBnd:.//p' /proc/1/status")"
check "seccomp mode" 2 "$(inside default sh -c "sed -n 's/^Seccomp:.//p' /proc/1/status")"
check "cgroup namespace" "0::/" "$(inside default sh -c 'grep ^0: /proc/self/cgroup')"
inside limited sh -c 'head -c 200m /dev/zero | tail > /dev/null' > /dev/null 2>&1
check "memory limit bites (exit code)" 137 "$?"
check "names resolve" yes "$(inside after nslookup default 2>&1 | grep -qE 'Address.*[0-9]+\.[0-9]+' && echo yes)"
check "pids limit bites" yes "$(inside limited sh -c 'for i in $(seq 60); do sleep 20 & done' 2>&1 | grep -q 'fork' && echo yes)"
check "the published port answers" hello "$(busybox nc 127.0.0.1 8080 < /dev/null)"
node /mnt/repo/tests/scenarios/cgroup-v2.lifecycle.mjs
kill -9 "$(cut -d' ' -f1 /run/tscompose/engine.pid)"
check "exec after kill -9 of the engine" adopted "$(inside default echo adopted)"
. /mnt/repo/tests/scenarios/guest-networks.sh
$tscompose down -v -t 0 || echo "FAIL down"
$tscompose engine stop
check "no cgroup is left" "" "$(find /sys/fs/cgroup -name '*tscompose*')"
check "no link is left" 1 "$(ip -o link | wc -l)"
check "no monitor is left" "" "$(pgrep -a conmon)"
check "no firewall rule is left" "" "$(iptables-save | grep '^-A')"
