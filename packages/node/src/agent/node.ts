/** Composes the node agent. */
import type { Component } from '@orbitkit/core';
import { type NodeOptions, settingsOf } from './options.js';

export function node(options: NodeOptions): Component {
  const settings = settingsOf(options);
  return {
    name: `node/${settings.name}`,
    user: { username: `system:node:${settings.name}`, groups: ['system:nodes', 'system:masters'] },
    async run() {
      throw new Error(`node ${settings.name}: the agent is being written`);
    },
  };
}
