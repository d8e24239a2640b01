/** @orbitkit/apiserver/etcd: the storage contract over etcd, through the package etcd3 (install it beside this one). */
export { type EtcdStoreOptions, etcdStore } from './etcd-store.js';
export { type RestoreEtcdOptions, restoreEtcd } from './restore.js';
