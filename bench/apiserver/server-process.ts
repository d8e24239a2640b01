/**
 * A server as a process of its own, so that its processor time is told apart from its clients'. The benchmark's own program is started again with
 * `serve WHAT`; the two talk over the channel of `fork`.
 */
import { fork } from 'node:child_process';

export interface ServerProcess<Address> {
  readonly address: Address;
  /** Microseconds of processor time that the process has used, in user and in system mode. */
  cpuMicros(): Promise<number>;
  /** Resident memory, bytes. */
  memory(): Promise<number>;
  stop(): Promise<void>;
}

interface Usage {
  cpuMicros: number;
  memory: number;
}

const boundMs = 30_000;

/** @throws Error when the process ends, or does not say its address in time. */
export async function serverProcess<Address>(what: string): Promise<ServerProcess<Address>> {
  const child = fork(process.argv[1]!, ['serve', what], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()));
  const message = <T>(ask?: string): Promise<T> =>
    new Promise((resolve, reject) => {
      const finish = (act: () => void) => {
        clearTimeout(timer);
        child.off('message', onMessage);
        child.off('exit', onExit);
        act();
      };
      const onMessage = (value: unknown) => finish(() => resolve(value as T));
      const onExit = () => finish(() => reject(new Error(`the ${what} server ended`)));
      const timer = setTimeout(
        () => finish(() => reject(new Error(`the ${what} server said nothing within ${boundMs / 1000} s`))),
        boundMs,
      );
      child.on('message', onMessage);
      child.once('exit', onExit);
      if (ask) child.send(ask);
    });
  async function stop(): Promise<void> {
    if (child.exitCode === null && child.connected) child.send('stop');
    const timer = setTimeout(() => child.kill('SIGKILL'), boundMs);
    await ended;
    clearTimeout(timer);
  }
  try {
    const address = await message<Address>();
    return {
      address,
      cpuMicros: async () => (await message<Usage>('usage')).cpuMicros,
      memory: async () => (await message<Usage>('usage')).memory,
      stop,
    };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** The other side: tells the address, answers what is asked, and closes at the end of the benchmark or of its parent. */
export async function serveAsProcess(
  start: () => Promise<{ address: unknown; close(): Promise<void> }>,
): Promise<void> {
  const { address, close } = await start();
  const end = async () => {
    process.removeAllListeners('message');
    if (process.connected) process.disconnect();
    await close();
  };
  process.on('message', text => {
    if (text === 'stop') return void end();
    const { user, system } = process.cpuUsage();
    const usage: Usage = { cpuMicros: user + system, memory: process.memoryUsage.rss() };
    process.send!(usage);
  });
  process.once('disconnect', () => void close());
  process.send!(address);
}
