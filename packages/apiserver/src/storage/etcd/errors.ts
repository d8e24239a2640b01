/** What etcd's failures are in the terms of the storage contract. */
import { StatusError } from '@orbitkit/core';
import { StoreUnavailableError } from '../contract.js';
import { type GrpcError, grpcCodes } from './grpc-messages.js';

export const isCompactedAnswer = (error: GrpcError): boolean =>
  error.code === grpcCodes.outOfRange && /compacted/.test(error.message);
export const isFutureAnswer = (error: GrpcError): boolean =>
  error.code === grpcCodes.outOfRange && /future/.test(error.message);
export const isSpaceAnswer = (error: GrpcError): boolean =>
  error.code === grpcCodes.resourceExhausted && /space/.test(error.message);

/** @param alarms what etcd's members report, for a full database. */
export function storeErrorOf(error: GrpcError, write: boolean, alarms: string | undefined): Error {
  if (isSpaceAnswer(error)) {
    return new StoreUnavailableError(
      `etcd refuses writes, since its database has reached its quota (${error.message}${alarms ? `; ${alarms}` : ''}). ` +
        'Reads and deletes go on. Compact and defragment it (etcdctl defrag) or raise --quota-backend-bytes, then: etcdctl alarm disarm',
    );
  }
  if (/request is too large|larger than max/.test(error.message)) {
    return new StatusError(
      'RequestEntityTooLarge',
      `etcd does not take a value of this size (${error.message}); make the object smaller, or raise etcd's --max-request-bytes`,
      { cause: error },
    );
  }
  const refused = error.code === grpcCodes.permissionDenied || error.code === grpcCodes.unauthenticated;
  if (refused || /user name is empty/.test(error.message)) {
    return new StoreUnavailableError(
      `etcd does not let this user in: ${error.message}; check the user, its password and its role's key ranges`,
    );
  }
  const unknown =
    write && error.sent ? '. Whether the write was carried out is not known: read before writing again' : '';
  return new StoreUnavailableError(`etcd: ${error.message}${unknown}`);
}
