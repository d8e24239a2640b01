/** @orbitkit/node/docker: pods on a Docker daemon. */
export { type DockerRuntimeOptions, dockerRuntime } from './docker-runtime.js';
