/** `@orbitkit/core/manifest`: YAML and JSON files as API objects, with the place of every field. */
export { type LoadOptions, loadDocuments, locate, type ManifestDocument } from './document.js';
export { loadManifests, type Manifest } from './manifest.js';
export {
  formatLocation,
  isManifestError,
  ManifestError,
  type ManifestLocation,
  type ManifestProblem,
} from './problem.js';
