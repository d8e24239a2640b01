/**
 * Host ports: the machine's port passes its connections on to the pod's.
 *
 * It listens on every IPv4 address of the machine one by one, not on 0.0.0.0: without root the pod's own server is on
 * another loopback address of the same machine, with the same port. A port below 1024 that may not be bound is replaced as
 * everywhere (80 → 8080). UDP is not passed on, and refused.
 */
import { substitutePort } from '../../../network/low-port.js';
import { machineAddresses } from '../../../network/machine-addresses.js';
import { type TcpRelay, tcpRelay } from '../../../network/tcp-relay.js';
import { RuntimeError, type SandboxConfig } from '../../contract.js';

export interface HostPorts {
  close(): Promise<void>;
}

/** @throws RuntimeError `InvalidConfig` when a port is taken or cannot be. */
export async function openHostPorts(
  config: SandboxConfig,
  ip: string | undefined,
  lowPorts: boolean,
): Promise<HostPorts> {
  const relays: TcpRelay[] = [];
  const close = async () => void (await Promise.all(relays.map(relay => relay.close())));
  // On the host network the program's port is the machine's port.
  if (config.hostNetwork || !ip) return { close };
  try {
    for (const { containerPort, hostPort, hostIP, protocol } of config.portMappings) {
      if (protocol !== 'TCP') {
        throw new RuntimeError(
          'InvalidConfig',
          `host port ${hostPort}/${protocol}: the process runtime passes on TCP only`,
        );
      }
      const target = [{ host: ip, port: substitutePort(containerPort, lowPorts) }];
      for (const address of addressesFor(hostIP)) {
        relays.push(await tcpRelay(address, substitutePort(hostPort, lowPorts), () => target));
      }
    }
  } catch (error) {
    await close();
    const { code, message } = error as NodeJS.ErrnoException;
    if (code) throw new RuntimeError('InvalidConfig', `a host port cannot be opened: ${message}`, { cause: error });
    throw error;
  }
  return { close };
}

function addressesFor(hostIP: string | undefined): string[] {
  return hostIP && hostIP !== '0.0.0.0' ? [hostIP] : machineAddresses();
}
