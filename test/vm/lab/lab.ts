// The crash lab: real kernels in QEMU, crashed and captured by our own programs. What tests and the demo import.
export { type CrashOptions, type CrashResult, crash, type Timings } from './crash.ts';
export { comparedKernels, type KernelName, kernelNames, type LabKernel, labKernel } from './kernels.ts';
export { type Peer, type PeerName, peer } from './peers.ts';
export { rawVmcore } from './vmcores.ts';
