// Adds up vitest's JSON reports: sum-tests.mjs DIRECTORY PROJECT… -- FAILED-STEP…
// Prints what failed and, as the last line, "N passed, N failed"; the status says whether anything failed.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [directory, ...rest] = process.argv.slice(2);
const divide = rest.indexOf('--');
const projects = rest.slice(0, divide);
const failedSteps = new Set(rest.slice(divide + 1));
let passed = 0;
let failed = 0;
let skipped = 0;

for (const project of projects) {
  const path = join(directory, `${project}.json`);
  let counted = 0;
  if (existsSync(path)) {
    const report = JSON.parse(readFileSync(path, 'utf8'));
    passed += report.numPassedTests;
    skipped += report.numPendingTests + report.numTodoTests;
    for (const file of report.testResults) {
      const broken = file.assertionResults.filter((test) => test.status === 'failed');
      for (const test of broken) console.log(`failed: ${test.fullName}`);
      // A file that cannot be loaded, or whose set-up fails, has no failed test of its own.
      if (file.status === 'failed' && broken.length === 0) console.log(`failed: ${file.name}`);
      counted += broken.length > 0 ? broken.length : file.status === 'failed' ? 1 : 0;
    }
  }
  // A run that broke off without a failed test has failed all the same.
  if (counted === 0 && failedSteps.has(project)) {
    console.log(`failed: the ${project} run`);
    counted = 1;
  }
  failed += counted;
  failedSteps.delete(project);
}
for (const step of failedSteps) console.log(`failed: ${step}`);
failed += failedSteps.size;
if (skipped > 0) console.log(`${skipped} skipped`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
