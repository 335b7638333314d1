# Part of cgroup-v2.job.sh: network drivers that need modules which the host of the tests may lack (VLAN, ipvlan, SCTP), and two
# iptables backends. Uses `check`, `inside` and $tscompose of the job.
mkdir -p /root/links && cd /root/links || exit 1
for parent in lan0 lan1 lan2 lan3; do ip link add $parent type dummy && ip link set $parent up; done
network() { # NAME DRIVER PARENT OPTIONS SUBNET
  echo "  $1: {driver: $2, driver_opts: {parent: $3$4}, ipam: {config: [{subnet: $5.0/24}]}}"
}
{
  cat <<YAML
services:
  server:
    image: busybox:latest
    command: sh -c "/tools/stream-load serve 9000 sctp & while :; do nc -l -p 80 -e echo reached; done"
    volumes: ["/mnt/results:/tools:ro"]
    ports: ["9000:9000/sctp"]
    networks: {default: , vlan: {ipv4_address: 10.90.0.9}, l2: {ipv4_address: 10.90.1.9}, l3: {ipv4_address: 10.90.2.9}, l3s: {ipv4_address: 10.90.3.9}}
  client:
    image: busybox:latest
    command: sleep 600
    networks: [vlan, l2, l3, l3s]
networks:
YAML
  network vlan macvlan lan0.10 "" 10.90.0
  network l2 ipvlan lan1 "" 10.90.1
  network l3 ipvlan lan2 ", ipvlan_mode: l3" 10.90.2
  network l3s ipvlan lan3 ", ipvlan_mode: l3s" 10.90.3
} > compose.yaml
modprobe sctp
$tscompose up -d || { echo "FAIL up of links"; cat /run/tscompose/engine.log; }
check "macvlan is on a VLAN made on demand" yes "$(ip -d link show lan0.10 | grep -q 'vlan protocol 802.1Q id 10' && echo yes)"
for net in vlan:0 l2:1 l3:2 l3s:3; do
  check "${net%:*} carries" reached "$(inside client nc -w 9 "10.90.${net#*:}.9" 80 < /dev/null)"
done
check "sctp is published" sent "$(/mnt/results/stream-load send 127.0.0.1 9000 0.2 sctp 2>&1 | sed "s/^[1-9].*/sent/")"
iptables-legacy -A INPUT -j ACCEPT
check "doctor warns of two backends" yes "$($tscompose doctor | grep -q 'other backend holds rules' && echo yes)"
iptables-legacy -D INPUT -j ACCEPT
$tscompose down -t 0 || echo "FAIL down of links"
check "the VLAN has gone with its network" "" "$(ip -o link show lan0.10 2> /dev/null)"
for parent in lan0 lan1 lan2 lan3; do ip link del $parent; done
cd /root/project || exit 1
