# Runs in the guest of scripts/vm: systemd, cgroup v2, AppArmor. Every line that starts with "FAIL" is a failed check.
set -u
export TSCOMPOSE_DATA_ROOT=/var/lib/tscompose TSCOMPOSE_RUN_ROOT=/run/tscompose HOME=/root
tscompose="node /mnt/repo/bin/tscompose.cjs"
check() { # NAME EXPECTED ACTUAL
  if [ "$2" = "$3" ]; then echo "ok   $1"; else echo "FAIL $1: expected [$2], got [$3]"; fi
}
[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || { echo "FAIL this is not cgroup v2"; exit 1; }
$tscompose doctor || echo "FAIL doctor"
echo dockremap:300000:65536 | tee /etc/subuid > /etc/subgid
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
  resources:
    image: busybox:latest
    command: sleep 600
    deploy:
      resources:
        limits: {cpus: "0.25", memory: 48m, pids: 15}
        reservations: {memory: 16m}
    cpu_shares: 512
    cpuset: "0"
    cap_add: [SYS_RESOURCE]
    blkio_config:
      device_write_bps: [{path: /dev/vda, rate: 1mb}]
  bare:
    image: busybox:latest
    command: sleep 600
    cgroup_parent: shop-front.slice
    cap_drop: [ALL]
    cap_add: [CAP_SYS_RESOURCE]
    security_opt: [apparmor=unconfined]
  shifted:
    image: busybox:latest
    command: sleep 600
    cap_drop: [SYS_RESOURCE]
    userns_mode: private
    volumes: ["owned:/owned"]
volumes:
  owned:
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
# What a busy loop gets in two seconds of 0.5 cpus, in hundredths: 100 at most, and room for a machine that is late.
ticks=$(inside limited sh -c 'while :; do :; done & sleep 2; cut -d" " -f14 /proc/$!/stat; kill $!')
check "cpu limit bites ($ticks ticks)" yes "$([ "$ticks" -gt 0 ] && [ "$ticks" -lt 140 ] && echo yes)"
check "cpu limit throttles" yes "$(inside limited sh -c 'sed -n "s/^nr_throttled //p" /sys/fs/cgroup/cpu.stat' | grep -q '^[1-9]' && echo yes)"
# One exec for many files: each costs more than a second here.
files=$(inside resources sh -c 'cd /sys/fs/cgroup; cat cpu.max memory.max memory.low pids.max cpu.weight cpuset.cpus io.max; sed -n "s/^CapBnd:.//p" /proc/1/status')
line() { echo "$files" | sed -n "$1p"; }
check "deploy.resources cpu.max" "25000 100000" "$(line 1)"
check "deploy.resources memory.max" 50331648 "$(line 2)"
check "deploy.resources memory.low" 16777216 "$(line 3)"
check "deploy.resources pids.max" 15 "$(line 4)"
check "cpu_shares as cpu.weight" 20 "$(line 5)"
check "cpuset.cpus" 0 "$(line 6)"
check "io.max" "254:0 rbps=max wbps=1048576 riops=max wiops=max" "$(line 7)"
check "SYS_RESOURCE added" 00000000a90425fb "$(line 8)" # the capability that the machine of the other tests does not have
# Two MiB at one a second, in hundredths of a second by the container's clock.
took=$(inside resources sh -c 'now() { tr -d . < /proc/uptime | cut -d" " -f1; }; a=$(now); dd if=/dev/zero of=/f bs=64k count=32 conv=fsync 2> /dev/null; echo $(($(now) - a))')
check "io limit bites ($took)" yes "$([ "$took" -ge 100 ] && echo yes)"
files=$(inside bare sh -c 'sed -n "s/^CapBnd:.//p" /proc/1/status; cat /proc/1/attr/current')
check "SYS_RESOURCE alone" 0000000001000000 "$(line 1)"
check "AppArmor unconfined when asked" "unconfined" "$(line 2)"
files=$(inside shifted sh -c 'sed -n "s/^CapBnd:.//p" /proc/1/status; cat /proc/self/uid_map | tr -s " " | sed "s/^ //"; touch /owned/f; stat -c "%u %g" /owned/f')
check "SYS_RESOURCE dropped" 00000000a80425fb "$(line 1)"
check "user namespace" "0 300000 65536" "$(line 2)"
check "owner inside" "0 0" "$(line 3)"
check "owner outside" "0 0" "$(stat -c '%u %g' /var/lib/tscompose/volumes/*owned*/*/f)"
check "owner of the process outside" 300000 "$(stat -c %u "/proc/$(pgrep -u 300000 -o sleep)")"
files=$(inside default cat /proc/1/attr/current /proc/self/attr/current)
check "AppArmor by default" "tscompose-default (enforce)" "$(line 1)"
check "AppArmor in an exec" "tscompose-default (enforce)" "$(line 2)"
printf 'profile tscompose-default {}' | apparmor_parser -K -R && $tscompose restart -t 0 default > /dev/null 2>&1
check "AppArmor profile loaded again" "tscompose-default (enforce)" "$(inside default cat /proc/1/attr/current)"
cat > ask.cjs <<'JS'
const { request } = require("node:http");
const call = (method, path, body) => new Promise((done, fail) => {
  const asked = request({ socketPath: "/run/tscompose/docker.sock", method, path, headers: { "content-type": "application/json" } }, (answer) => {
    let text = "";
    answer.on("data", (chunk) => (text += chunk)).on("end", () => done(JSON.parse(text || "{}")));
  }).on("error", fail);
  asked.end(body === undefined ? undefined : JSON.stringify(body));
});
(async () => {
  const name = "project-limited-1";
  if (process.argv[2] === "update") console.log(JSON.stringify((await call("POST", `/containers/${name}/update`, { CpuShares: 1024, PidsLimit: 30, NanoCpus: 250000000, Memory: 80 << 20, MemorySwap: 80 << 20 })).Warnings));
  if (process.argv[2] === "driver") return console.log((await call("GET", "/info")).CgroupDriver);
  const { HostConfig: h } = await call("GET", `/containers/${name}/json`);
  console.log(h.PidsLimit, h.NanoCpus, h.Memory);
})();
JS
check "update of a running container" "[] 30 250000000 83886080" "$(node ask.cjs update | tr '\n' ' ' | sed 's/ $//')"
check "update reaches the kernel" "30 25000 100000 83886080" "$(inside limited sh -c 'cd /sys/fs/cgroup; echo $(cat pids.max cpu.max memory.max)')"
echo 25 > "$(echo /sys/fs/cgroup/system.slice/tscompose-*-"$($tscompose ps -q limited)".*.scope/container)/pids.max"
check "inspect reads the kernel" "25 250000000 83886080" "$(node ask.cjs)"
check "a share that is changed counts among the scopes" 39 "$(cat /sys/fs/cgroup/system.slice/tscompose-*-"$($tscompose ps -q limited)".*.scope/cpu.weight)"
check "groups are systemd's" systemd "$(node ask.cjs driver)"
check "a cgroup parent is a slice" 1 "$(ls -d /sys/fs/cgroup/shop.slice/shop-front.slice/tscompose-*.scope/container | wc -l)"
check "systemd's own bound does not count" max "$(cat /sys/fs/cgroup/shop.slice/shop-front.slice/tscompose-*.scope/pids.max)"
systemctl daemon-reload
check "limits stay when systemd reads its configuration again" "25 25000 100000 83886080 39" "$(cd /sys/fs/cgroup/system.slice/tscompose-*-"$($tscompose ps -q limited)".*.scope; echo $(cat container/pids.max container/cpu.max container/memory.max cpu.weight))"
check "devices stay closed then" yes "$(inside limited sh -c 'mknod /dev/m c 1 1 && cat /dev/m' 2>&1 | grep -q 'not permitted' && echo yes)"
printf 'services: {s: {image: "busybox:latest", cgroup_parent: /front}}' > refused.yaml
check "a cgroup parent that is no slice is refused" yes "$($tscompose -p refused -f refused.yaml up -d 2>&1 | grep -q 'valid slice named as "xxx.slice"' && echo yes)"
printf 'services: {s: {image: "busybox:latest", mem_swappiness: 10}}' > refused.yaml
check "a limit of version 1 is refused by name" yes "$($tscompose -p refused -f refused.yaml up -d 2>&1 | grep -q 'MemorySwappiness.*cgroup version 2' && echo yes)"
$tscompose -p refused -f refused.yaml down > /dev/null 2>&1
check "pids limit bites" yes "$(inside limited sh -c 'for i in $(seq 60); do sleep 20 & done' 2>&1 | grep -q 'fork' && echo yes)"
check "the published port answers" hello "$(busybox nc 127.0.0.1 8080 < /dev/null)"
node /mnt/repo/tests/scenarios/cgroup-v2.lifecycle.mjs
kill -9 "$(cut -d' ' -f1 /run/tscompose/engine.pid)"
check "exec after kill -9 of the engine" adopted "$(inside default echo adopted)"
. /mnt/repo/tests/scenarios/guest-networks.sh
$tscompose down -v -t 0 || echo "FAIL down"
$tscompose engine stop
# A file system with project quotas, which the machine of the other tests has not.
truncate -s 256M /root/quota.img && mkfs.ext4 -q -O quota,project -E quotatype=prjquota /root/quota.img
mkdir /quota && mount -o loop,prjquota /root/quota.img /quota || echo "FAIL mount with quotas"
cat > bounded.yaml <<'YAML'
services:
  bounded:
    image: busybox:latest
    storage_opt: {size: 16m}
    command: [sh, -c, "dd if=/dev/zero of=/f bs=64k count=128 2> /dev/null && echo eight; dd if=/dev/zero of=/g bs=64k count=256 2> /dev/null || echo full; df -k / | sed -n 's/^overlay *//p' | cut -d' ' -f1"]
YAML
second="env TSCOMPOSE_DATA_ROOT=/quota/data TSCOMPOSE_RUN_ROOT=/run/second $tscompose"
$second load -q -i /mnt/repo/.cache/images/busybox.tar || echo "FAIL load"
check "a size of the root bites" "eight full 16384" "$(echo $($second -p bounded -f bounded.yaml up --no-log-prefix 2> /dev/null | grep -E '^(eight|full|[0-9]+)$'))"
$second -p bounded -f bounded.yaml down -t 0 > /dev/null 2>&1 || echo "FAIL down"
$second engine stop
umount /quota || echo "FAIL something still uses the file system"
check "no cgroup is left" "" "$(find /sys/fs/cgroup -name '*tscompose*')"
check "no scope is left" "" "$(systemctl list-units --all --plain --no-legend 'tscompose-*')"
check "no link is left" 1 "$(ip -o link | wc -l)"
check "no monitor is left" "" "$(pgrep -a conmon)"
check "no firewall rule is left" "" "$(iptables-save | grep '^-A')"
