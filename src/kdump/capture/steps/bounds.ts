/** How long a step may be silent, in seconds: then it counts as stuck, and init ends the capture. */
export const smallFileBound = 120;
/** A program of the administrator's. */
export const hookBound = 300;
/** The report: seconds that a machine of this age does not need, and a large one may not get. */
export const reportSeconds = 60;
/** The collector reports progress far more often; a disk that takes a minute for a write is slow, not stuck. */
export const collectBound = 300;
/** Somebody is sitting there. */
export const shellBound = 30 * 86_400;
/** For each message to somebody who may not be there. */
export const notifyBound = 10;

/** How long a target may take no byte of a stream. */
export const streamPatience = ({ stallSeconds }: { readonly stallSeconds: number | null }): number =>
  stallSeconds ?? collectBound - smallFileBound;
