import { z } from '@hono/zod-openapi';
import { VERSION } from '../../version';
import type { App } from './context';
import { editBody, errorSchema, imageBody, jobBody, videoBody } from './schemas';

type Registry = App['openAPIRegistry'];
type Path = Parameters<Registry['registerPath']>[0];

const anything = z.object({}).openapi({ description: 'See the page on the server.' });
const json = (schema: z.ZodType) => ({ 'application/json': { schema } });
const form = (schema: z.ZodType) => ({ 'multipart/form-data': { schema } });
const id = { params: z.object({ id: z.string() }) };
const cursors = {
  query: z.object({
    limit: z.string().optional(),
    after: z.string().optional(),
    order: z.enum(['asc', 'desc']).optional(),
  }),
};
const withBody = (content: Record<string, { schema: z.ZodType }>) => ({ body: { required: true, content } });

/** Every path: what it is for, and what it takes. */
const PATHS: readonly (Pick<Path, 'method' | 'path' | 'summary' | 'request'> & { readonly answer?: string })[] = [
  { method: 'get', path: '/v1/models', summary: 'The models that there are.' },
  { method: 'get', path: '/v1/models/{id}', summary: 'One model.', request: id },
  {
    method: 'post',
    path: '/v1/images/generations',
    summary: 'Draws pictures from a prompt; with `stream`, answers with server-sent events.',
    request: withBody(json(imageBody)),
  },
  {
    method: 'post',
    path: '/v1/images/edits',
    summary: 'Draws pictures that begin with a given one.',
    request: withBody(form(editBody)),
  },
  {
    method: 'post',
    path: '/v1/videos',
    summary: 'Begins a clip.',
    request: withBody({ ...json(videoBody), ...form(videoBody) }),
  },
  { method: 'get', path: '/v1/videos', summary: 'Your clips, the newest first.', request: cursors },
  { method: 'get', path: '/v1/videos/{id}', summary: 'How far a clip is.', request: id },
  { method: 'get', path: '/v1/videos/{id}/content', summary: 'The file of a clip.', request: id, answer: 'video/mp4' },
  { method: 'delete', path: '/v1/videos/{id}', summary: 'Ends and removes a clip.', request: id },
  {
    method: 'post',
    path: '/v1/jobs',
    summary: 'Begins pictures or a clip that are drawn while nobody waits.',
    request: withBody(json(jobBody)),
  },
  { method: 'get', path: '/v1/jobs', summary: 'Your jobs, the newest first.', request: cursors },
  { method: 'get', path: '/v1/jobs/{id}', summary: 'How far a job is, and its files.', request: id },
  { method: 'post', path: '/v1/jobs/{id}/cancel', summary: 'Ends a job; once more does nothing.', request: id },
  { method: 'delete', path: '/v1/jobs/{id}', summary: 'Ends and removes a job.', request: id },
  {
    method: 'get',
    path: '/v1/files/{token}/{name}',
    summary: 'A kept file; its address is the key to it.',
    request: { params: z.object({ token: z.string(), name: z.string() }) },
    answer: 'image/png',
  },
  { method: 'get', path: '/healthz', summary: 'The server answers.' },
  { method: 'get', path: '/readyz', summary: 'Something can be drawn.' },
  { method: 'get', path: '/metrics', summary: 'Figures for Prometheus.', answer: 'text/plain' },
];

/** `GET /openapi.json`, and `/docs`, the same to read. */
export function documentRoutes(app: App): void {
  for (const { answer = 'application/json', ...path } of PATHS) {
    app.openAPIRegistry.registerPath({
      ...path,
      responses: {
        200: { description: 'Done.', content: { [answer]: { schema: anything } } },
        '4XX': { description: 'The request is at fault.', content: json(errorSchema) },
        '5XX': { description: 'The server is at fault.', content: json(errorSchema) },
      },
    });
  }
  const document = () => app.getOpenAPI31Document({ openapi: '3.1.0', info: { title: 'ertacache', version: VERSION } });
  app.get('/openapi.json', c => c.json(document()));
  app.get('/docs', c => c.html(readable(JSON.parse(JSON.stringify(document())) as Document)));
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}
interface Operation {
  readonly summary?: string;
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}
interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
}

/** The document as a page without scripts. */
function readable({ paths, components }: Document): string {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { summary = '', requestBody }]) => {
      const names = Object.values(requestBody?.content ?? {}).map(({ schema }) => nameOf(schema));
      const link = names[0] ? ` <a href="#${names[0]}">${names[0]}</a>` : '';
      return `<tr><td>${method.toUpperCase()}</td><td><code>${escaped(path)}</code></td><td>${marked(summary)}${link}</td></tr>`;
    }),
  );
  const schemas = Object.entries(components?.schemas ?? {}).map(
    ([name, { properties = {}, required = [] }]) =>
      `<h2 id="${name}">${name}</h2><table>${Object.entries(properties)
        .map(
          ([field, schema]) =>
            `<tr><td><code>${field}</code>${required.includes(field) ? ' *' : ''}</td><td>${escaped(typeOf(schema))}</td><td>${marked(schema.description ?? '')}</td></tr>`,
        )
        .join('')}</table>`,
  );
  return pageOf('The interface', [
    '<p><a href="openapi.json">openapi.json</a>. Fields with a * are needed.</p>',
    `<table>${operations.join('')}</table>`,
    ...schemas,
  ]);
}

const nameOf = ({ $ref = '' }: Schema): string => $ref.split('/').at(-1) as string;

function typeOf({ type, enum: values, anyOf }: Schema): string {
  if (values) return values.map(value => JSON.stringify(value)).join(', ');
  if (anyOf) return anyOf.map(typeOf).join(' or ');
  return [type ?? 'any'].flat().join(' or ');
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Text as HTML. */
export const escaped = (text: string): string => text.replace(/[&<>"]/g, character => ENTITIES[character] as string);
const marked = (text: string): string => escaped(text).replace(/`([^`]+)`/g, '<code>$1</code>');

/** A plain page. */
export function pageOf(title: string, body: readonly string[]): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>ertacache: ${title}</title><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td{padding:.2rem .8rem .2rem 0;vertical-align:top}
</style><h1>${title}</h1>${body.join('\n')}</html>`;
}
