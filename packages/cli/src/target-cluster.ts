/** Which cluster a command means, and as whom. What is wrong with a kubeconfig is no answer of a server, and is not told as one. */
import { findCluster, isStatusError, kubeconfigContext } from '@orbitkit/core';
import { CommandError, type Terminal } from './terminal.js';

/** The flags that choose one. */
export interface ClusterFlags {
  kubeconfig?: string;
  context?: string;
}

/** @throws CommandError that says where it looked, or names the file and what is wrong with it. */
export async function targetCluster(flags: ClusterFlags, stateDirectory: string, { env }: Terminal) {
  try {
    const { config } = await findCluster({
      ...(flags.kubeconfig ? { kubeconfig: flags.kubeconfig } : {}),
      stateDirectory,
      env,
      ...(env.HOME ? { home: env.HOME } : {}),
    });
    return { config, context: kubeconfigContext(config, flags.context) };
  } catch (error) {
    throw isStatusError(error) ? new CommandError(error.message) : error;
  }
}
