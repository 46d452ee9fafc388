import { VERSION } from '../../version';
import { type App, baseUrl, type Services } from './context';
import { escaped, pageOf } from './document';
import { hasPlayground } from './playground';

/** `GET /`: what is here. @param path another path for it */
export function homeRoutes(app: App, { catalog, settings }: Services, path = '/'): void {
  // Beside this page, also where a proxy cuts off a path that the server knows nothing of.
  const below = settings.basePath === '' ? '' : `${settings.basePath}/`;
  app.get(path, c => {
    const models = catalog.models.map(({ id, kind, size }) => {
      const what = kind === 'clip' ? `clips of ${size.frames} frames, ` : 'pictures, ';
      return `<li><code>${escaped(id)}</code>: ${what}${size.width} × ${size.height} unless asked otherwise</li>`;
    });
    const curl = [
      `curl ${baseUrl(settings, c.req.url)}/v1/images/generations \\`,
      `  -H 'content-type: application/json' \\`,
      ...(settings.keys.length > 0 ? [`  -H 'authorization: Bearer YOUR-KEY' \\`] : []),
      `  -d '{"prompt":"red heart","seed":1}'`,
    ].join('\n');
    return c.html(
      pageOf('ertacache', [
        `<p>Pictures and clips over HTTP, version ${VERSION}. <a href="${below}docs">The interface</a>.${
          hasPlayground() ? ` <a href="${below}playground/">The playground</a> draws in the browser itself.` : ''
        }</p>`,
        `<ul>${models.join('')}</ul>`,
        `<pre>${escaped(curl)}</pre>`,
      ]),
    );
  });
}
