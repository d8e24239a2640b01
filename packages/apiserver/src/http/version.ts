/**
 * What `/version` answers. Clients choose behaviour by it, so it names the Kubernetes minor whose API is spoken; `+orbitkit` says
 * who speaks. kubectl complains in `kubectl version` when its minor differs by more than one.
 */
export interface ServerVersion {
  readonly major: string;
  readonly minor: string;
  readonly gitVersion: string;
  readonly gitCommit: string;
  readonly gitTreeState: string;
  readonly buildDate: string;
  readonly goVersion: string;
  readonly compiler: string;
  readonly platform: string;
}

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

export function serverVersion(): ServerVersion {
  return {
    major: '1',
    minor: '33',
    gitVersion: 'v1.33.1+orbitkit',
    gitCommit: '',
    gitTreeState: '',
    buildDate: '',
    goVersion: '',
    compiler: `node ${process.version}`,
    platform: `${process.platform}/${architectures[process.arch] ?? process.arch}`,
  };
}
