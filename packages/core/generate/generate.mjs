// Re-makes everything under src/kinds/generated. A check in CI runs it and compares with what is committed.
await import('./types.mjs');
await import('./kinds.mjs');
