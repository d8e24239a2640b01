/** `orbit certificate approve | deny NAME…`: decides about certificate signing requests. */
import { CertificateSigningRequest, type certificatesv1, isConflict } from '@orbitkit/core';
import type { Command } from 'commander';
import { globalFlags, type Session, withSession } from '../session.js';
import { CommandError, type Terminal, write } from '../terminal.js';

const decisions = {
  approve: { type: 'Approved', other: 'Denied', done: 'approved' },
  deny: { type: 'Denied', other: 'Approved', done: 'denied' },
} as const;

/** Somebody else may write the request at the same time: the signer. */
const attempts = 5;

export function certificateCommand(program: Command, terminal: Terminal): void {
  const certificate = program.command('certificate').description('approve or deny certificate signing requests');
  for (const verb of ['approve', 'deny'] as const) {
    certificate
      .command(verb)
      .argument('<names...>')
      .action(async (names: string[], _options, command) => {
        await withSession(globalFlags(command), terminal, async session => {
          for (const name of names) {
            await decide(session, name, verb);
            await write(
              terminal.stdout,
              `certificatesigningrequest.certificates.k8s.io/${name} ${decisions[verb].done}\n`,
            );
          }
        });
      });
  }
}

async function decide({ client }: Session, name: string, verb: keyof typeof decisions): Promise<void> {
  const { type, other } = decisions[verb];
  for (let attempt = 1; ; attempt++) {
    const request = await client.get(CertificateSigningRequest, { name });
    const conditions = request.status?.conditions ?? [];
    if (conditions.some(condition => condition.type === other))
      throw new CommandError(`the request ${name} was ${other.toLowerCase()} before; that cannot be taken back`);
    if (conditions.some(condition => condition.type === type)) return;
    const condition: certificatesv1.CertificateSigningRequestCondition = {
      type,
      status: 'True',
      reason: verb === 'approve' ? 'OrbitApprove' : 'OrbitDeny',
      message: `This CSR was ${decisions[verb].done} by orbit certificate ${verb}.`,
    };
    try {
      await client.updateSubresource(CertificateSigningRequest, { name }, 'approval', {
        ...request,
        status: { ...request.status, conditions: [...conditions, condition] },
      });
      return;
    } catch (error) {
      if (!isConflict(error) || attempt >= attempts) throw error;
    }
  }
}
