// A vitest reporter for the judge: says why a test had to be tried again. One that passes the second time is green; what it stumbled over is not lost.
export default class Retried {
  #retried = [];

  onTestCaseResult(test) {
    if ((test.diagnostic()?.retryCount ?? 0) > 0) this.#retried.push(test);
  }

  onTestRunEnd() {
    for (const test of this.#retried) {
      console.log(
        `\ntried ${test.diagnostic().retryCount + 1} times: ${test.module.relativeModuleId} > ${test.fullName}`,
      );
      for (const { message, stack } of test.result().errors ?? []) console.log(stack ?? message);
    }
  }
}
