/** What a placement changes in the state of policies: Reserve, and its way back. */
import type { Pod } from '@orbitkit/core';
import { asked } from './engine/asked.js';
import type { NodeRefusal, Plugin } from './framework/plugin.js';
import type { Profile } from './framework/profile.js';

/** The policies take note that the pod goes to the node. If one fails or refuses, those before it are undone. */
export function commit(pod: Pod, node: string, profile: Profile): NodeRefusal | undefined {
  const done: Plugin[] = [];
  const undo = () => {
    for (const plugin of done.reverse()) plugin.unreserve?.(pod, node);
  };
  try {
    for (const plugin of profile.plugins) {
      if (!plugin.reserve && !plugin.unreserve) continue;
      done.push(plugin);
      const refusal = plugin.reserve && asked(plugin, 'reserve', () => plugin.reserve!(pod, node));
      if (!refusal) continue;
      undo();
      return { ...refusal, plugin: plugin.name };
    }
  } catch (error) {
    undo();
    throw error;
  }
  return undefined;
}

/** Takes a commit back, in reverse order. */
export function rollback(pod: Pod, node: string, profile: Profile): void {
  for (const plugin of [...profile.plugins].reverse()) plugin.unreserve?.(pod, node);
}
