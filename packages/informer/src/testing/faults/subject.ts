/** An informer that a scenario of the fault matrix tries: what it is asked to do, and what it tells. */

export interface Told {
  what: 'add' | 'update' | 'delete';
  name: string;
  value: string;
  uid: string;
}

/** How the first handler behaves; a second one always reports. An informer with one handler reports first, then behaves like that. */
export type HandlerManner = 'reports' | 'throws' | 'rejects' | 'hangs' | 'slow';

export interface SubjectRequest {
  server: string;
  manner: HandlerManner;
  report(told: Told): void;
  /** What a handler that is slow got, when its work on it is done. */
  reportSlow(told: Told): void;
}

export interface RunningSubject {
  stop(): void | Promise<void>;
  /** Starts what is running already. */
  startAgain(): void | Promise<void>;
}

export type Subject = (request: SubjectRequest) => Promise<RunningSubject>;

/** A first look takes longer than an update, as it does in most handlers. */
const slowAddMs = 60;
const slowMs = 5;

/** What a handler of that manner returns or throws for one change. */
export function behave(manner: HandlerManner, told: Told, reportSlow: (told: Told) => void): unknown {
  switch (manner) {
    case 'throws':
      throw new Error('a bug in a handler');
    case 'rejects':
      return Promise.reject(new Error('a bug in an asynchronous handler'));
    case 'hangs':
      return new Promise(() => {});
    case 'slow':
      return new Promise<void>(resolve =>
        setTimeout(
          () => {
            reportSlow(told);
            resolve();
          },
          told.what === 'add' ? slowAddMs : slowMs,
        ),
      );
    default:
      return undefined;
  }
}
