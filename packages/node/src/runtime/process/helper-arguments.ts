/** What the runtime tells its helper at the start, and where they meet. */
export interface HelperArguments {
  /** The runtime's own: everything in it may be removed by a shutdown. */
  directory: string;
  mode: 'rootless' | 'root';
  /** For sandboxes that name no range. */
  podCIDR: string;
}

/** In the directory. */
export const socketName = 'helper.sock';
export const helperLogName = 'helper.log';
