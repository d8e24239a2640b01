export function upCommand(..._parameters: unknown[]): void {}
