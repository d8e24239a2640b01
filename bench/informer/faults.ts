/**
 * The fault matrix: each fault against the informer of `@kubernetes/client-node`, the watcher of `kubernetes-fluent-client`, and ours, from one server
 * that misbehaves the same way for each. Prints a table in Markdown. Each informer runs in a process of its own for each fault.
 *
 *     node bench/run.mjs informer/faults.ts [WORDS OF A FAULT'S NAME]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { orbitkitSubject } from '../../packages/informer/src/testing/faults/orbitkit-subject.js';
import { runScenario, type Scenario, scenarios } from '../../packages/informer/src/testing/faults/scenarios.js';
import type { Subject, SubjectRequest, Told } from '../../packages/informer/src/testing/faults/subject.js';
import { machine } from '../samples.js';
import { clientNode, fluentClient } from './fault-peers.js';

/** Bookmarks come every minute from real servers; ours calls a watch dead after two and a half of them, here after 1 s. */
const quietMs = 1_000;
const subjects: Record<string, Subject> = {
  'client-node 1.4.0': clientNode,
  'kubernetes-fluent-client 3.11.6': fluentClient,
  '@orbitkit/informer': orbitkitSubject({ quietMs }),
  '@orbitkit/informer, in pages': orbitkitSubject({ quietMs, streamingList: false, pageSize: 1 }),
};
const atOnce = 4;

type ToHost = { told: Told } | { toldSlow: Told } | { ready: true } | { done: true } | { problem: string };

async function host(name: string): Promise<void> {
  const send = (message: ToHost) => void process.send?.(message);
  process.on('unhandledRejection', reason => {
    // What Node does when nobody says otherwise, said before the end.
    process.send?.({ problem: `unhandled rejection ends the process: ${String(reason)}` }, () => process.exit(1));
  });
  const [server, manner] = [process.argv[4]!, process.argv[5] as SubjectRequest['manner']];
  const running = await subjects[name]!({
    server,
    manner,
    report: told => send({ told }),
    reportSlow: toldSlow => send({ toldSlow }),
  });
  process.on('message', async (order: 'stop' | 'startAgain') => {
    await running[order]();
    send({ done: true });
  });
  send({ ready: true });
}

/** The subject in a process of its own. */
function apart(name: string, problems: string[], children: ChildProcess[]): Subject {
  return async ({ server, manner, report, reportSlow }) => {
    const child = fork(fileURLToPath(import.meta.url), ['host', name, server, manner], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    children.push(child);
    let over = false;
    let answered = () => {};
    const answer = () =>
      new Promise<void>(resolve => {
        answered = resolve;
        if (over) resolve();
        // A process that does not answer is ended with the scenario.
        setTimeout(resolve, 15_000).unref();
      });
    child.on('message', (message: ToHost) => {
      if ('told' in message) report(message.told);
      else if ('toldSlow' in message) reportSlow(message.toldSlow);
      else if ('problem' in message) problems.push(message.problem);
      else answered();
    });
    child.once('exit', code => {
      over = true;
      if (code) problems.push(`its process ended with ${code}`);
      answered();
    });
    await answer();
    const order = async (what: 'stop' | 'startAgain') => {
      if (over) return;
      child.send(what, () => {});
      await answer();
    };
    return { stop: () => order('stop'), startAgain: () => order('startAgain') };
  };
}

async function measure(name: string, scenario: Scenario): Promise<string> {
  if (scenario.needs === 'pages' && !name.includes('pages')) return '– (asks for no pages)';
  const problems: string[] = [];
  const children: ChildProcess[] = [];
  try {
    const { passed, text } = await runScenario(scenario, apart(name, problems, children), { problems });
    return `${passed ? '✓' : '✗'} ${text}`;
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
}

async function main(words: string): Promise<void> {
  console.log(machine());
  const chosen = scenarios.filter(({ name }) => name.includes(words));
  const rows = new Map<string, string[]>(chosen.map(({ name }) => [name, []]));
  for (const [column, name] of Object.keys(subjects).entries()) {
    const queue = [...chosen];
    const work = async () => {
      for (let scenario = queue.shift(); scenario; scenario = queue.shift()) {
        rows.get(scenario.name)![column] = await measure(name, scenario).catch(error => `✗ ${error.message}`);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
  }
  console.log(`| fault | ${Object.keys(subjects).join(' | ')} |\n|---|${'---|'.repeat(Object.keys(subjects).length)}`);
  for (const [name, cells] of rows)
    console.log(`| ${name} | ${cells.map(cell => cell.replaceAll('|', '/').slice(0, 120)).join(' | ')} |`);
  const counts = Object.keys(subjects).map((_, i) => {
    const applying = [...rows.values()].map(cells => cells[i]!).filter(cell => !cell.startsWith('–'));
    return `${applying.filter(cell => cell.startsWith('✓')).length} of ${applying.length}`;
  });
  console.log(`| passed, of those that apply | ${counts.join(' | ')} |`);
}

if (process.argv[2] === 'host') await host(process.argv[3]!);
else {
  await main(process.argv.slice(2).join(' '));
  process.exit(0);
}
