/** Requests to a running server on paths beside the Kubernetes API. */
import { kubeconfigTransport, StatusError, type Transport, type TransportResponse } from '@orbitkit/core';
import { defaultStateDirectory, type GlobalFlags } from './session.js';
import { targetCluster } from './target-cluster.js';
import { CommandError, type Terminal } from './terminal.js';

/** To be closed by the caller. */
export async function serverTransport(flags: GlobalFlags, terminal: Terminal): Promise<Transport> {
  const { config, context } = await targetCluster(flags, defaultStateDirectory(terminal.env), terminal);
  return kubeconfigTransport(config, { context: context.name });
}

/** The answer when it is a good one. @throws StatusError with the server's own words, CommandError */
export async function answered(response: TransportResponse): Promise<TransportResponse> {
  if (response.status === 200) return response;
  const text = Buffer.from(await response.bytes()).toString();
  let status: object;
  try {
    status = JSON.parse(text);
  } catch {
    throw new CommandError(`the server answered ${response.status}: ${text.trim()}; is it an orbitkit API server?`);
  }
  throw StatusError.fromStatus(status, response.status);
}
