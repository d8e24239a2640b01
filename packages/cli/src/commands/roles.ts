export function roleCommands(..._parameters: unknown[]): void {}
