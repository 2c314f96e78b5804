/**
 * Text that came out of a crashed kernel, off a shared directory or out of a damaged file, for a terminal: control
 * characters, which could move its cursor or worse, stand as \x… .
 */
export const printable = (text: string): string =>
  text.replace(
    /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
