/** What the schema cannot say: a page must be a page. The API server asks before it stores a website. */
import { type WebhookCertificate, type WebhookServer, webhookServer } from '@orbitkit/controllers';
import { Website } from './website.js';

export function websiteWebhooks(options: {
  certificate: WebhookCertificate;
  port?: number;
  host?: string;
  listening?: (url: string) => void;
}): WebhookServer {
  return webhookServer(options)
    .validating(Website, ({ object, warn }) => {
      if (!/<html[\s>]/i.test(object.spec.html)) return 'spec.html: a page begins with <html>';
      if (!/<title>/i.test(object.spec.html)) warn('spec.html has no title');
      return undefined;
    })
    .mutating(Website, ({ object }) => {
      object.metadata.labels = { 'app.kubernetes.io/part-of': 'websites', ...object.metadata.labels };
    });
}
