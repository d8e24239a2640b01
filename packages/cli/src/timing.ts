/** How fast a cluster notices that a node is lost: kube-controller-manager's defaults. */
export interface NodeTiming {
  /** Seconds without a heartbeat after which a node counts as lost. */
  gracePeriodSeconds: number;
  /** Seconds that pods stay on a lost node. */
  evictionSeconds: number;
}

/** How often a node says that it lives: kubelet's default, a quarter of its lease. */
export const defaultHeartbeatSeconds = 10;

export const defaultTiming: NodeTiming = { gracePeriodSeconds: 40, evictionSeconds: 300 };
