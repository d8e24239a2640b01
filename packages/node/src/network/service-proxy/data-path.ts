/**
 * What carries a service's traffic: user-space listeners or kernel rules, behind one interface.
 */
import type { ServicePort } from './service-port.js';

/** A service port that is answered elsewhere than it says, or not at all. */
export interface Deviation {
  /** The service port's key. */
  key: string;
  /** `SubstituteAddress`: it answers, on another address or port. `Unavailable`: it does not. */
  reason: 'SubstituteAddress' | 'Unavailable';
  message: string;
}

export interface DataPath {
  readonly name: string;
  /** Makes the machine serve exactly these. Deviations are per port; it rejects when nothing could be changed. */
  apply(ports: readonly ServicePort[]): Promise<readonly Deviation[]>;
  /** Takes everything back. Twice is harmless. */
  close(): Promise<void>;
}
