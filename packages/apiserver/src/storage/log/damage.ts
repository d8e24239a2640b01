/** Errors of recovery: which file, which byte, what is lost by going on, and what to do. */
import { StoreUnavailableError } from '../contract.js';
import { fileFormatVersion } from './file-header.js';

export function damaged(file: string, offset: number, what: string): StoreUnavailableError {
  return new StoreUnavailableError(
    `${file} is damaged at byte ${offset}: ${what}. Going on would lose acknowledged writes, so nothing was changed. ` +
      'Restore the data directory from a snapshot (orbit snapshot restore). ' +
      'What is intact in it can be saved: orbit store check says what is lost, orbit store repair goes on with the rest',
  );
}

export function missing(directory: string, what: string): StoreUnavailableError {
  return new StoreUnavailableError(
    `the data directory ${directory} is incomplete: ${what}. Put the missing file back, or restore the directory from a backup`,
  );
}

export function otherVersion(file: string, version: number): StoreUnavailableError {
  return new StoreUnavailableError(
    `${file} has format version ${version}, this program reads version ${fileFormatVersion}: start the orbitkit version that wrote it`,
  );
}
