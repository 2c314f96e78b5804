import type { CaptureConfig } from '../config.ts';
import type { CaptureMachine } from '../machine.ts';

/** What all targets are given. */
export type Place = {
  readonly config: CaptureConfig;
  readonly machine: CaptureMachine;
  say(line: string): void;
};
