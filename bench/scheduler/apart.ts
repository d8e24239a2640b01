/** The live scheduler as a process of its own, over HTTP, as `orbit scheduler` runs it: it tells when it is ready and what processor time it took. */
import { type ChildProcess, fork } from 'node:child_process';
import { compose, createClient, httpTransport, silentLogger } from '@orbitkit/core';
import { defaultPlugins, scheduler } from '@orbitkit/scheduler';

type Word = { readonly port: number } | 'usage';

/** The other process. */
export function scheduleOnOrder(): void {
  process.on('message', (word: Word) => {
    if (word === 'usage') return void process.send!(process.cpuUsage());
    const client = createClient(httpTransport({ server: `http://127.0.0.1:${word.port}` }));
    const composition = compose({ log: silentLogger, client }, scheduler({ plugins: defaultPlugins() }));
    const failed = (error: unknown): void => {
      console.error(error);
      process.exit(1);
    };
    composition.run().catch(failed);
    composition.ready.then(() => process.send!('ready'), failed);
  });
  process.once('disconnect', () => process.exit());
}

export interface SchedulerApart {
  usage(): Promise<NodeJS.CpuUsage>;
  stop(): void;
}

export async function schedulerApart(port: number): Promise<SchedulerApart> {
  const child = fork(process.argv[1]!, ['schedule'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  try {
    await answerTo(child, { port });
  } catch (error) {
    child.kill();
    throw error;
  }
  return {
    usage: () => answerTo<NodeJS.CpuUsage>(child, 'usage'),
    stop: () => void child.kill(),
  };
}

function answerTo<T>(child: ChildProcess, word: Word): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`the scheduler ended with ${code}`));
    child.once('exit', ended);
    child.once('message', answer => {
      child.off('exit', ended);
      resolve(answer as T);
    });
    child.send(word);
  });
}
