/** How fast a cluster notices that a node is lost: kube-controller-manager's defaults. */
export interface NodeTiming {
  /** Seconds without a heartbeat after which a node counts as lost. */
  gracePeriodSeconds: number;
  /** Seconds that pods stay on a lost node. */
  evictionSeconds: number;
}

export const defaultTiming: NodeTiming = { gracePeriodSeconds: 40, evictionSeconds: 300 };
