/** `orbit scheduler explain POD`: every node's verdict for a pod, that waits, runs, or stands in a file only. */
import { type Client, Pod } from '@orbitkit/core';
import type { Command } from 'commander';
import { readManifests } from '../manifests.js';
import { type GlobalFlags, globalFlags, withSession } from '../session.js';
import { CommandError, type Terminal, write } from '../terminal.js';

interface ExplainFlags extends GlobalFlags {
  filename?: string;
  output: string;
  profile: string;
}

export function schedulerExplainCommand(scheduler: Command, terminal: Terminal): void {
  scheduler
    .command('explain')
    .description('why a pod is where it is, or nowhere: what each plugin says of each node')
    .argument('[pod]')
    .option('-n, --namespace <name>', 'the namespace')
    .option('-f, --filename <file>', 'a pod that need not exist')
    .option('-o, --output <format>', 'text or json', 'text')
    .option('--profile <name>', 'default or minik8s (nodes take turns)', 'default')
    .action(async (name: string | undefined, options: { profile: string }, command) => {
      // The command above has a profile of its own, which would win.
      const flags = { ...(globalFlags(command) as ExplainFlags), profile: options.profile };
      if ((name === undefined) === (flags.filename === undefined))
        throw new CommandError('name a pod, or give a file with one: orbit scheduler explain POD | -f FILE');
      if (flags.output !== 'text' && flags.output !== 'json')
        throw new CommandError(`--output "${flags.output}": text or json`);
      const { defaultPlugins, explainPod, explanationText, miniK8sPlugins, profile } = await import(
        '@orbitkit/scheduler'
      );
      if (flags.profile !== 'default' && flags.profile !== 'minik8s')
        throw new CommandError(`--profile "${flags.profile}": default or minik8s`);
      await withSession(flags, terminal, async ({ client, namespace }) => {
        const wanted = flags.filename
          ? await podOf(flags.filename, namespace, client, terminal)
          : { namespace, name: name! };
        const plugins = flags.profile === 'minik8s' ? miniK8sPlugins() : defaultPlugins();
        const answer = await explainPod(client, wanted, { profile: profile({ plugins }), signal: terminal.signal });
        const text = flags.output === 'json' ? JSON.stringify(answer, undefined, 2) : explanationText(answer);
        await write(terminal.stdout, `${text}\n`);
      });
    });
}

/** As the server would have it, with defaults, priority and tolerations: a dry run creates nothing. @throws CommandError when the file has no pod, or more. */
async function podOf(file: string, namespace: string, client: Client, terminal: Terminal): Promise<Pod> {
  const manifests = await readManifests([file], terminal);
  const object = manifests[0]!.object;
  if (manifests.length > 1 || object.kind !== 'Pod') throw new CommandError(`${file}: give one Pod`);
  const pod = object as unknown as Pod;
  const { name, ...metadata } = pod.metadata;
  // The name may be taken, which is no matter here.
  const draft = {
    ...pod,
    metadata: { ...metadata, namespace: metadata.namespace || namespace, generateName: `${name ?? 'pod'}-` },
  };
  return client.create(Pod, draft as Parameters<typeof client.create<Pod>>[1], {
    dryRun: true,
    signal: terminal.signal,
  });
}
