/**
 * Where the contract that the names of upstream's storage tests describe (apiserver `pkg/storage/testing` and `etcd3`, v0.33) is tested here: by
 * clauses that run over every back end, or, what is a matter of objects and not of keys, by tests of the registry. A title that does
 * not exist in its file fails; what has no counterpart says why.
 */
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const file = (path: string): string => fs.readFileSync(fileURLToPath(new URL(path, import.meta.url)), 'utf8');
const files = {
  writes: file('./writes.ts'),
  reads: file('./reads.ts'),
  watches: file('./watches.ts'),
  leases: file('./leases.ts'),
  write: file('../../registry/write.test.ts'),
  read: file('../../registry/read.test.ts'),
  watch: file('../../registry/watch.test.ts'),
  delete: file('../../registry/delete.test.ts'),
  concurrency: file('../../registry/concurrency.test.ts'),
  several: file('../../registry/several-servers.test.ts'),
  unreadable: file('../../registry/unreadable.test.ts'),
  operation: file('../etcd/operation.test.ts'),
  subresource: file('../../registry/subresource.test.ts'),
};
type Place = readonly [file: keyof typeof files, title: string];

const covered: Record<string, readonly Place[]> = {
  Create: [
    ['writes', 'a put takes the next revision and makes an entry'],
    ['write', 'fills in what the server owns'],
  ],
  CreateWithTTL: [
    ['leases', 'entries of a lease that is not renewed are deleted'],
    ['subresource', 'vanish an hour after their last write'],
  ],
  CreateWithKeyExist: [
    ['writes', 'create only when absent'],
    ['write', 'of what exists is 409'],
  ],
  Get: [
    ['reads', 'get of an absent key'],
    ['read', 'is not older than the version that is asked for'],
  ],
  UnconditionalDelete: [
    ['writes', 'a delete of an absent key is ok'],
    ['delete', 'is at once, and answers a Status'],
  ],
  ConditionalDelete: [
    ['writes', 'is conditional like a put'],
    ['delete', 'holds to its preconditions'],
  ],
  DeleteWithConflict: [
    ['writes', 'is conditional like a put'],
    ['delete', 'holds to its preconditions'],
  ],
  PreconditionalDeleteWithOnlySuggestionPass: [['delete', 'holds to its preconditions']],
  List: [
    ['reads', 'list gives the keys under a prefix'],
    ['read', 'is in order of keys'],
  ],
  ConsistentList: [
    ['reads', 'a write that was acknowledged is read by everyone'],
    ['several', 'read and list what the other has just written'],
  ],
  GetListNonRecursive: [['read', 'is in order of keys, in one namespace or in all']],
  GetListRecursivePrefix: [
    ['reads', 'list gives the keys under a prefix'],
    ['operation', 'under different prefixes see nothing of each other'],
  ],
  ListContinuation: [
    ['reads', 'limit, after, more and remaining'],
    ['read', 'is consistent while others write'],
  ],
  ListPaginationRareObject: [['read', 'with a selector fills its pages']],
  ListContinuationWithFilter: [['read', 'with a selector fills its pages']],
  ListInconsistentContinuation: [['read', 'whose version is compacted is 410 with a token to go on']],
  ListResourceVersionMatch: [
    ['read', 'with N is not older than N'],
    ['read', 'with resourceVersion 0 ignores the limit'],
  ],
  ListPaging: [['reads', 'the pages of one revision stay one list while others write']],
  NamespaceScopedList: [['read', 'is in order of keys, in one namespace or in all']],
  Count: [['reads', 'limit, after, more and remaining']],
  GuaranteedUpdate: [
    ['writes', 'update only at the revision that was read'],
    ['write', 'with the current version replaces the object'],
  ],
  GuaranteedUpdateWithTTL: [['leases', 'an entry hangs on the lease of its last put']],
  GuaranteedUpdateChecksStoredData: [['write', 'that changes nothing keeps the version']],
  GuaranteedUpdateWithConflict: [
    ['writes', 'no update is lost among concurrent writers'],
    ['several', 'lose no update'],
  ],
  TransformationFailure: [['unreadable', 'fails by name where it is read or listed']],
  Watch: [
    ['watches', 'a watch delivers what is written after its start'],
    ['watch', 'of labels: beginning to match is ADDED'],
  ],
  WatchFromZero: [['watches', 'a watch from the past begins with what was written since']],
  WatchFromNonZero: [
    ['watches', 'a watch from the past begins'],
    ['watch', 'with N: what happened after N'],
  ],
  DeleteTriggerWatch: [['watches', 'a watch delivers what is written after its start']],
  DelayedWatchDelivery: [['watches', 'watches that start while others write miss nothing']],
  WatchError: [['unreadable', 'ends the watches of its resource with an error']],
  WatchErrorEventIsBlockingFurtherEvent: [['unreadable', 'ends the watches of its resource with an error']],
  WatchContextCancel: [['watches', 'abort ends a watch']],
  WatcherTimeout: [
    ['watches', 'a reader that falls behind is cut off'],
    ['watch', 'that fall too far behind are closed'],
  ],
  WatchDeleteEventObjectHaveLatestRV: [['watch', 'with the old state under the new version']],
  WatchInitializationSignal: [['watch', 'sends what is there, then a bookmark that says so']],
  ClusterScopedWatch: [['watch', 'of one namespace or one name']],
  NamespaceScopedWatch: [['watch', 'of one namespace or one name']],
  WatchDispatchBookmarkEvents: [['watch', 'brings bookmarks each minute to those who asked']],
  OptionalWatchBookmarksWithCorrectResourceVersion: [['watch', 'brings bookmarks each minute to those who asked']],
  SendInitialEventsBackwardCompatibility: [['watch', 'with sendInitialEvents=false starts at the newest']],
  EtcdWatchSemantics: [
    ['watch', 'sends what is there, then a bookmark'],
    ['watch', 'loses nothing that is written while it begins'],
  ],
  EtcdWatchSemanticsWithConcurrentDecode: [['several', 'tell every watcher the same events in the same order']],
  EtcdWatchSemanticInitialEventsExtended: [['watch', 'with sendInitialEvents=false starts at the newest']],
  WatchListMatchSingle: [['watch', 'of one namespace or one name']],
  TooLargeResourceVersionErrorForWatchList: [['read', 'is waited for, three seconds, then 504']],
  ProgressNotify: [['operation', 'watches still get to where reads are']],
};

/** Suggestions (the caller's cached object) are the watch cache's here: a decision that rests on it is confirmed before it is answered. */
const fromTheCache: readonly string[] = [
  'DeleteWithSuggestion',
  'DeleteWithSuggestionAndConflict',
  'DeleteWithSuggestionOfDeletedObject',
  'ValidateDeletionWithSuggestion',
  'ValidateDeletionWithOnlySuggestionValid',
  'PreconditionalDeleteWithSuggestion',
  'GuaranteedUpdateWithSuggestionAndConflict',
];
const confirmed: readonly Place[] = [
  ['concurrency', 'loses no update in 200 rounds of 8 writers'],
  ['concurrency', 'sees on one server what was acknowledged by another'],
];

/** What is not offered. */
const absent: Record<string, string> = {
  WatchWithUnsafeDelete:
    'an object that cannot be read cannot be deleted through the API; its key is removed from the store, or brought back',
};

describe('upstream storage tests have their counterparts', () => {
  it.each([...Object.entries(covered), ...fromTheCache.map(name => [name, confirmed] as const)])(
    '%s',
    (_name, places) => {
      for (const [where, title] of places) expect(files[where], `${where}: ${title}`).toContain(title);
    },
  );

  it('all names are accounted for', () => {
    const names = [...Object.keys(covered), ...fromTheCache, ...Object.keys(absent)];
    expect(new Set(names).size).toBe(names.length);
    expect(names).toHaveLength(55);
  });
});
