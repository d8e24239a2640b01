/**
 * The CEL environment of a Kubernetes API server: the language, and the libraries that its rules may use. Made once; whoever declares variables
 * or types takes a copy (`clone`), which is cheap.
 *
 * The engine is `@marcbachmann/cel-js`. What it does not know, lists without order, is in values.ts.
 */
import { Environment } from '@marcbachmann/cel-js';
import type { CelEnvironment } from './expression.js';
import { authorizerFunctions } from './functions/authorizer.js';
import { listFunctions } from './functions/lists.js';
import { namedFormatFunctions } from './functions/named-formats.js';
import { networkFunctions } from './functions/network.js';
import { quantityFunctions } from './functions/quantity.js';
import { regexFunctions } from './functions/regex.js';
import { semverFunctions } from './functions/semver.js';
import { textFunctions } from './functions/text.js';
import { macros } from './macros.js';

let base: CelEnvironment | undefined;

/** A copy of one's own. */
export function celEnvironment(): CelEnvironment {
  if (base === undefined) {
    base = new Environment({
      enableOptionalTypes: true,
      homogeneousAggregateLiterals: false,
      limits: { maxAstNodes: 10_000, maxDepth: 100 },
    });
    regexFunctions(base);
    textFunctions(base);
    listFunctions(base);
    quantityFunctions(base);
    networkFunctions(base);
    semverFunctions(base);
    namedFormatFunctions(base);
    authorizerFunctions(base);
    macros(base);
  }
  return base.clone();
}
