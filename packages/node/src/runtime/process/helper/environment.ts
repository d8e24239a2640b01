/**
 * What a container finds in its environment besides what its config says, and never anything of the helper's own:
 *
 * - `HOME` and `ORBIT_ROOT`: its own directory, and the directory below which its volumes lie (`/` where mount paths are
 *   real);
 * - `HOSTNAME`, `ORBIT_POD`: the pod's host name and name;
 * - `POD_IP`, and `HOST`: the address that a server should bind;
 * - `PORT`: the first TCP port that the container declares, or its substitute where low ports cannot be bound.
 *
 * The config's own values win.
 */
import { substitutePort } from '../../../network/low-port.js';
import { containerMark, type Isolation, type PlacedContainer } from '../isolation/isolation.js';

export function environment(
  { id, sandbox, spec, directory, ip }: PlacedContainer,
  isolation: Isolation,
): Record<string, string> {
  const port = spec.config.ports.find(({ protocol }) => protocol === 'TCP')?.containerPort;
  const own = isolation.capabilities.has('private-ports') || !ip;
  return {
    HOME: directory,
    ORBIT_ROOT: isolation.capabilities.has('mount-paths') ? '/' : directory,
    HOSTNAME: sandbox.hostname,
    ORBIT_POD: sandbox.name,
    HOST: own ? '0.0.0.0' : ip,
    ...(ip ? { POD_IP: ip } : {}),
    ...(port ? { PORT: `${substitutePort(port, isolation.capabilities)}` } : {}),
    ...spec.env,
    [containerMark]: id,
  };
}
