import { VERSION } from '../../version';
import type { App, Services } from './context';
import { escaped, pageOf } from './document';
import { hasPlayground } from './playground';

/** `GET /`: what is here. */
export function homeRoutes(app: App, { catalog, settings }: Services): void {
  app.get('/', c => {
    const models = catalog.models.map(({ id, kind, size }) => {
      const what = kind === 'clip' ? `clips of ${size.frames} frames, ` : 'pictures, ';
      return `<li><code>${escaped(id)}</code>: ${what}${size.width} × ${size.height} unless asked otherwise</li>`;
    });
    const origin = `${new URL(c.req.url).origin}${settings.basePath}`;
    const curl = [
      `curl ${settings.publicUrl ?? origin}/v1/images/generations \\`,
      `  -H 'content-type: application/json' \\`,
      ...(settings.keys.length > 0 ? [`  -H 'authorization: Bearer YOUR-KEY' \\`] : []),
      `  -d '{"prompt":"red heart","seed":1}'`,
    ].join('\n');
    return c.html(
      pageOf('ertacache', [
        `<p>Pictures and clips over HTTP, version ${VERSION}. <a href="docs">The interface</a>.${
          hasPlayground()
            ? ` <a href="${settings.basePath}/playground/">The playground</a> draws in the browser itself.`
            : ''
        }</p>`,
        `<ul>${models.join('')}</ul>`,
        `<pre>${escaped(curl)}</pre>`,
      ]),
    );
  });
}
