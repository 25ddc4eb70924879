import { writeSync } from 'node:fs';
import { relative } from 'node:path';

/** Prints which tests passed only at their second try, and the run's one closing line, alone and last; a run without tests is a failure. */
export default class ClosingLineReporter {
  #failed = false;

  onRunComplete(_contexts, results) {
    const passed = results.numPassedTests;
    // A suite that could not even be loaded counts no failed test: it counts as one here.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const skipped = results.numPendingTests + results.numTodoTests;
    this.#failed = failed > 0 || passed === 0;
    const lucky = results.testResults.flatMap(({ testFilePath, testResults }) =>
      testResults.filter(({ status, invocations }) => status === 'passed' && invocations > 1).map(({ fullName }) => `passed at the second try: ${relative(process.cwd(), testFilePath)}: ${fullName}\n`));
    process.on('exit', () => writeSync(1, `${lucky.join('')}jest: ${passed} passed, ${failed} failed, ${skipped} skipped\n`));
  }

  getLastError() {
    return this.#failed ? new Error('tests failed, or none ran') : undefined;
  }
}
