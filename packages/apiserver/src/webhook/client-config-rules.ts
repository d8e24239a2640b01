/** How a webhook is reached: a URL or a service, with a certificate authority. Rules: apiserver `util/webhook` validation (v0.33). */
import { X509Certificate } from 'node:crypto';
import type { admissionregistrationv1, FieldError } from '@orbitkit/core';
import { fieldError, invalidValue, required } from '../crd/field-errors.js';

type ClientConfig = admissionregistrationv1.WebhookClientConfig;

export function clientConfigErrors({ url, service, caBundle }: ClientConfig, at: string): FieldError[] {
  const errors: FieldError[] = [];
  if ((url === undefined) === (service === undefined))
    errors.push(required(at, 'exactly one of url or service is required'));
  else if (url !== undefined) checkUrl(url, `${at}.url`, errors);
  else if (service !== undefined) {
    if (!service.name) errors.push(required(`${at}.service.name`, 'service name is required'));
    if (!service.namespace) errors.push(required(`${at}.service.namespace`, 'service namespace is required'));
    if (service.port !== undefined && (service.port < 1 || service.port > 65_535))
      errors.push(
        invalidValue(`${at}.service.port`, service.port, 'port is not valid: must be between 1 and 65535, inclusive'),
      );
    if (service.path !== undefined && !service.path.startsWith('/'))
      errors.push(invalidValue(`${at}.service.path`, service.path, "must start with a '/'"));
  }
  if (caBundle) {
    try {
      new X509Certificate(Buffer.from(caBundle, 'base64'));
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      errors.push(
        fieldError(`${at}.caBundle`, 'FieldValueInvalid', `Invalid value: unable to load root certificates: ${text}`),
      );
    }
  }
  return errors;
}

function checkUrl(text: string, at: string, errors: FieldError[]): void {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    errors.push(required(at, `url must be a valid URL: ${JSON.stringify(text)}; desired format: https://host[/path]`));
    return;
  }
  const say = (problem: string) =>
    errors.push(invalidValue(at, text, `${problem}; desired format: https://host[/path]`));
  if (url.protocol !== 'https:') say(`'https' is the only allowed URL scheme`);
  if (url.hostname === '') say('host must be specified');
  if (url.username !== '' || url.password !== '') say('user information is not permitted in the URL');
  if (url.hash !== '') say('fragments are not permitted in the URL');
  if (url.search !== '') say('query parameters are not permitted in the URL');
}
