/** Where things lie in the capture kernel; shared by the image's init script, its builder and the capture itself. */
export const paths = {
  /** One squashfs image with node and all that it loads. */
  squashfs: '/kdump.squashfs',
  /** Where it is mounted. */
  tree: '/run/kdump',
  node: '/run/kdump/bin/node',
  libraries: '/run/kdump/lib',
  capture: '/run/kdump/app/capture.mjs',
  crashReport: '/run/kdump/app/crash-report.mjs',
  /** In an initramfs of another builder's: runs the capture and reboots. */
  script: '/usr/lib/kdump/capture.sh',
  /** Process that runs it. */
  runner: '/run/capture-runner',
  modules: '/modules',
  /** Those that only the account at home needs: inserted when the dump is safe, or lost. */
  homeModules: '/modules/home',
  target: '/run/target',
  log: '/run/capture.log',
  state: '/run/capture-state.json',
  /** The report, as its program leaves it. */
  report: '/run/crash-report',
  /** Uptime in whole seconds by which the capture must have given a sign of life. */
  promise: '/run/capture-promise',
  /** One word for init: reboot, halt or poweroff, once the capture knows. Until then the settings' failure action counts. */
  action: '/run/capture-action',
  vmcore: '/proc/vmcore',
} as const;

/** Where the settings of the capture (config.ts) lie in the image. */
export const captureConfigPath = '/etc/kdump/capture.json';

/** What init says before it ends a capture that broke its promise; the run after it looks for these words in the log. */
export const stalledWords = 'no sign of life from the capture: ending it';
