/** Paths that a container sees empty or cannot write. Data. Source: security.md 1.4 and 1.5; moby's default profile of 2025
 *  (which added /proc/interrupts and the per-CPU thermal_throttle). */

export const maskedPaths: readonly string[] = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
];

/** One for each CPU that has it: `/sys/devices/system/cpu/cpu0/thermal_throttle`. */
export const cpuThrottlePath = (cpu: number): string => `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`;

export const readonlyPaths: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];
