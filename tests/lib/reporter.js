// What node:test prints for tests/run: the tests that failed or were skipped, each with its suites; the place
// and the error of a failure; what the file itself wrote to stderr; and a last line of counts:
//
//     12 passed, 1 failed, 0 skipped
//
// "running: NAME" before each test is for a run that is cut: tests/run shows the last one then. A failed hook is a
// failure of its own, since no test of its suite says why; those that it keeps from running are only named. Of a long
// error (there may be a gateway's log in it) come its beginning, its end, and what a sanitizer reported.

const HEAD_LINES = 20;
const TAIL_LINES = 40;
const REPORT_LINES = 150; // the three stacks of a use after free, of 30 calls each, and what is said around them
const LINE_LIMIT = 400;

export function shorten(text) {
  const lines = text.trimEnd().split("\n");
  const isReport = (line) => /Sanitizer|runtime error:/.test(line);
  const isNear = (index) => lines.slice(Math.max(0, index - REPORT_LINES), index + 1).some(isReport);
  const shown = lines.map((line, index) => {
    const isWanted = index < HEAD_LINES || index >= lines.length - TAIL_LINES || isNear(index);
    return isWanted ? line.slice(0, LINE_LIMIT) : null;
  });
  return shown
    .filter((line, index) => line !== null || shown[index - 1] !== null)
    .map((line) => `    ${line ?? "[...]"}\n`)
    .join("");
}

// The message, how the file ended if it did before its time, and of the stack the places in our own files.
function explain(error) {
  const cause = error.cause ?? error;
  const end = error.exitCode || error.signal ? [`the file ended with ${error.signal ?? error.exitCode}`] : [];
  const places = (cause.stack ?? "").split("\n").filter((line) => /^ +at .*file:\/\//.test(line));

  return [cause.message ?? cause, ...end, ...places].join("\n");
}

export default async function* report(source) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const reported = []; // the suites around the test that is reported next
  const running = []; // those around the test that runs; results may be reported later

  for await (const { type, data } of source) {
    if (type === "test:start") reported.splice(data.nesting, Infinity, data.name);
    if (type === "test:stderr") yield data.message;
    if (type === "test:dequeue") {
      running.splice(data.nesting, Infinity, data.name);
      yield `running: ${running.join(" > ")}\n`;
    }
    if (type !== "test:pass" && type !== "test:fail") continue;

    const isSuite = data.details.type === "suite";
    const name = [...reported.slice(0, data.nesting), data.name].join(" > ");
    const failure = data.details.error?.failureType;
    if (data.skip !== undefined || data.todo !== undefined) {
      counts.skipped++;
      yield `SKIPPED: ${name}: ${data.skip || data.todo || "no reason given"}\n`;
    } else if (type === "test:pass") {
      if (!isSuite) counts.passed++;
    } else if (failure === "cancelledByParent") {
      counts.failed++;
      yield `CANCELLED: ${name}\n`;
    } else if (failure !== "subtestsFailed") {
      counts.failed++;
      yield `FAILED: ${name}\n${shorten(explain(data.details.error))}`;
    }
  }
  yield `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`;
}
