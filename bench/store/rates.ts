/** Closed loops of writers, and what they came to: rate, latency, processor time of this process. */
export const rounds = 3;
export const roundMs = 1_500;
export const value = Buffer.alloc(1024, 'orbit');

export interface Rate {
  perSecond: number;
  p50: number;
  p99: number;
  /** Of this process, all threads, per operation. */
  cpuMicros: number;
}

export const median = (numbers: number[]): number => numbers.sort((a, b) => a - b)[numbers.length >> 1]!;
export const medianRate = (rates: Rate[]): Rate => rates.sort((a, b) => a.perSecond - b.perSecond)[rates.length >> 1]!;

/** Runs the operation in a closed loop per writer until the time is over. `weight`: writes per operation. */
export async function measure(
  writers: number,
  weight: number,
  operation: (writer: number, turn: number) => Promise<unknown>,
): Promise<Rate> {
  const latencies: number[] = [];
  const cpu = process.cpuUsage();
  const start = performance.now();
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      for (let turn = 0; ; turn++) {
        const before = performance.now();
        if (before - start > roundMs) return;
        await operation(writer, turn);
        latencies.push(performance.now() - before);
      }
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))]!;
  const writes = latencies.length * weight;
  return { perSecond: writes / seconds, p50: at(0.5), p99: at(0.99), cpuMicros: (user + system) / writes };
}

export const cell = ({ perSecond, p50, p99, cpuMicros }: Rate): string =>
  `${perSecond.toFixed(0).padStart(8)}/s  p50 ${p50.toFixed(2).padStart(6)} ms  p99 ${p99.toFixed(2).padStart(6)} ms  ${cpuMicros.toFixed(1).padStart(6)} us CPU`;

/** `  name   numbers   first = 2.00x` */
export function line(name: string, rate: Rate, first?: Rate): void {
  const ratio = first === undefined ? '' : `   ours = ${(first.perSecond / rate.perSecond).toFixed(2)}x`;
  console.log(`  ${name.padEnd(40)} ${cell(rate)}${ratio}`);
}
