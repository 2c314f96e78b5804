/**
 * By what `kdumpctl test` and the capture of its crash understand each other: the test gives its crash a number, and
 * finds under it what came of it. The names are kdump-utils'.
 */

/** On the capture kernel's command line: this crash is a test. */
export const testParameter = 'kdump_test_id';

/** The number becomes part of a directory's name, and may have stood on a device. */
const plainId = /^[\w-]{1,64}$/;
export const isTestId = (id: unknown): id is string => typeof id === 'string' && plainId.test(id);

/** The directory in which a test saves. */
export const testDirectoryName = (id: string): string => `kdump-test-${id}`;

/** The file in it that says how it went, and what stands there. */
export const testStatusName = 'vmcore-creation.status';
export const testStatus = (result: 'fail' | 'success', id: string): string =>
  `${result} ${testParameter}=${id}\n`;
