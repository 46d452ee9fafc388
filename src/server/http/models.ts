import type { ServedModel } from '../catalog';
import type { App, Services } from './context';

/** `GET /v1/models` and `/v1/models/{id}`. */
export function modelRoutes(app: App, { catalog }: Services): void {
  app.get('/v1/models', c => c.json({ object: 'list', data: catalog.models.map(modelAnswer) }));
  app.get('/v1/models/:id', c => c.json(modelAnswer(catalog.model(c.req.param('id')))));
}

function modelAnswer({ id, kind, size, created }: ServedModel) {
  return {
    id,
    object: 'model',
    created,
    owned_by: 'ertacache',
    kind: kind === 'clip' ? 'video' : 'image',
    size: `${size.width}x${size.height}`,
    ...(kind === 'clip' && { frames: size.frames }),
  };
}
