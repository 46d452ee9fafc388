import type { HttpBindings } from '@hono/node-server';
import type { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { Refusal } from '../jobs/faults';
import type { Services } from './context';

/**
 * The fields of a body of JSON or of a form.
 * @throws Refusal naming the field that is wrong, and for a body that is too large, before it is held whole
 */
export async function readBody<Schema extends z.ZodObject>(
  c: Context,
  schema: Schema,
  { limits, settings }: Pick<Services, 'limits' | 'settings'>,
): Promise<z.output<Schema>> {
  const header = c.req.header('content-type') ?? '';
  const type = header.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json' && type !== 'multipart/form-data') {
    throw new Refusal(415, 'unsupported_media_type', 'The body has to be application/json or multipart/form-data.');
  }
  const isForm = type === 'multipart/form-data';
  const bytes = await bodyOf(c, isForm ? limits.uploadBytes : limits.jsonBytes);
  const value = isForm ? await form(bytes, header, schema) : json(bytes);
  refuseUnserved(value, schema);
  const parsed = (settings.strict ? schema.strict() : schema).safeParse(value);
  if (parsed.success) return parsed.data as z.output<Schema>;
  const [issue] = parsed.error.issues;
  if (issue?.code === 'unrecognized_keys') {
    const field = issue.keys[0] as string;
    throw new Refusal(400, 'unknown_field', `The field ${short(field)} is not known here.`, { param: short(field) });
  }
  const field = issue?.path.join('.') || 'body';
  // The schema knows what any server takes; this one may take less.
  const reason = OF_STEPS.includes(field) ? `must be a whole number from 1 to ${limits.steps}` : issue?.message;
  throw new Refusal(400, 'invalid_value', `The ${field} of the request is wrong: ${reason}.`, {
    param: issue?.path.length ? field : undefined,
  });
}

/** Fields that count denoising steps. */
const OF_STEPS = ['steps', 'forwards'];

/**
 * Fields of `draw`, and of the interface, that change the picture and are not served: passed over, another picture would
 * be drawn.
 */
const UNSERVED = [
  ...['loras', 'lora', 'transformer', 'transformer2', 'init', 'embeddings', 'dtype', 'variant'],
  ...['mask', 'image', 'images', 'input_reference'],
];

function refuseUnserved(body: unknown, { shape }: z.ZodObject): void {
  if (typeof body !== 'object' || body === null) return;
  const field = UNSERVED.find(name => Object.hasOwn(body, name) && !Object.hasOwn(shape, name));
  if (field === undefined) return;
  throw new Refusal(400, 'unsupported', `The field ${field} cannot be used here: omit it.`, { param: field });
}

/** Bytes that may be held twice. */
const SMALL = 65_536;

/** The bytes of a body, whatever length it says that it has. */
async function bodyOf(c: Context, most: number): Promise<Buffer> {
  const { raw } = c.req;
  const { headers } = raw;
  const tooLarge = (): Refusal =>
    new Refusal(413, 'body_too_large', `The body has more than the ${most} bytes that are taken here.`);
  const told = headers.get('content-length');
  if (Number(told ?? 0) > most) throw tooLarge();
  const { incoming } = (c.env ?? {}) as Partial<HttpBindings>;
  // Node gives no more than was told; its adapter then needs no stream, which costs more than all else that is done here.
  if (incoming && told !== null && Number(told) <= SMALL && headers.get('transfer-encoding') === null) {
    return Buffer.from(await raw.arrayBuffer());
  }
  const parts: Uint8Array[] = [];
  let length = 0;
  // Node's streams are iterable; the DOM's types do not say so of its own.
  for await (const part of (raw.body ?? []) as unknown as AsyncIterable<Uint8Array>) {
    length += part.length;
    if (length > most) throw tooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts);
}

const short = (text: string): string => text.slice(0, 64);

function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new Refusal(400, 'invalid_json', 'The body is not JSON.');
  }
}

/** Fields of forms are texts; those of the schema that are numbers or truths become so again. */
async function form(bytes: Buffer, type: string, schema: z.ZodObject): Promise<Record<string, unknown>> {
  const whole = new Response(new Uint8Array(bytes), { headers: { 'content-type': type } });
  const data = await whole.formData().catch(() => {
    throw new Refusal(400, 'invalid_form', 'The body is not a form with the boundary that its header names.');
  });
  const fields: Record<string, unknown> = {};
  for (const [given, value] of data.entries()) {
    // Some clients name files as those of a list.
    const name = given.replace(/\[\]$/, '');
    if (Object.hasOwn(fields, name)) {
      throw new Refusal(400, 'invalid_value', `The field ${short(name)} is given twice.`, { param: short(name) });
    }
    Object.defineProperty(fields, name, {
      value:
        typeof value === 'string'
          ? saidBy(value, Object.hasOwn(schema.shape, name) ? (schema.shape[name] as z.ZodType) : undefined)
          : value,
      enumerable: true,
    });
  }
  return fields;
}

/** The text itself, or the number, the numbers or the truth that it says where the field takes no text. */
function saidBy(text: string, field: z.ZodType | undefined): unknown {
  if (field?.safeParse(text).success ?? true) return text;
  if (text === 'true' || text === 'false') return text === 'true';
  const numbers = text.split(',').map(part => (part.trim() === '' ? Number.NaN : Number(part)));
  if (numbers.some(Number.isNaN)) return text;
  return numbers.length === 1 ? numbers[0] : numbers;
}
