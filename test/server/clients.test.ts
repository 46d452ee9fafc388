/** The server as people's clients see it: the official packages, as they are. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import OpenAI, { toFile } from 'openai';
import sharp from 'sharp';
import { receiptFromXmp } from '../../src/media/xmp';
import { inspectMp4 } from '../media/mp4';
import { type Running, start } from './running';

jest.setTimeout(240_000);

const KEY = 'a-key-of-the-tests-0123456789';
const PICTURES = 'fluent-emoji';
const CLIPS = 'fluent-emoji-video';
/** Fields of ours that the interface lacks. */
const quick = { steps: 4, policy: 'none' } as const;

/** The package for Node 20, and the one for Node 22 and later, where that runs. */
const OFFICIAL: [string, typeof OpenAI][] = [['openai', OpenAI]];
if (Number(process.versions.node.split('.')[0]) >= 22) OFFICIAL.push(['openai for Node 22', require('openai-node22')]);

let running: Running;
/** What the models draw. */
const sizes: Record<string, string> = {};

beforeAll(async () => {
  running = await start({ apiKeys: [KEY], headersAfterMs: 1500 });
  const client = new OpenAI({ baseURL: `${running.url}/v1`, apiKey: KEY, maxRetries: 0 });
  for await (const model of client.models.list()) sizes[model.id] = (model as unknown as { size: string }).size;
});
afterAll(() => running?.end());

const sizeOf = async (bytes: Buffer): Promise<string> => {
  const { width, height } = await sharp(bytes).metadata();
  return `${width}x${height}`;
};

describe.each(OFFICIAL)('the package %s', (_, Client) => {
  const { APIError, AuthenticationError, BadRequestError, NotFoundError } = Client;
  let client: OpenAI;
  beforeAll(() => {
    client = new Client({ baseURL: `${running.url}/v1`, apiKey: KEY, maxRetries: 0 });
  });

  test('lists the models and asks for one', async () => {
    expect(Object.keys(sizes).sort()).toEqual([PICTURES, CLIPS]);
    expect(await client.models.retrieve(PICTURES)).toMatchObject({ id: PICTURES, object: 'model' });
  });

  test('draws a picture with its receipt', async () => {
    const answer = await client.images.generate({
      model: PICTURES,
      prompt: 'red heart',
      size: sizes[PICTURES] as 'auto',
      ...quick,
      seed: 7,
    } as OpenAI.ImageGenerateParamsNonStreaming);
    const [picture] = answer.data as [{ b64_json: string; seed: number; schedule: string; forwards: number }];
    const bytes = Buffer.from(picture.b64_json, 'base64');
    expect(await sizeOf(bytes)).toBe(sizes[PICTURES]);
    expect(picture).toMatchObject({ seed: 7, schedule: '####', forwards: 4, size: sizes[PICTURES] });
    const { xmp } = await sharp(bytes).metadata();
    expect(receiptFromXmp(xmp!.toString())).toMatchObject({ prompt: 'red heart', seed: 7, model: { path: PICTURES } });
  });

  test('draws several, in other formats, with the policy that fits', async () => {
    const answer = await client.images.generate({
      prompt: 'blue star',
      n: 2,
      output_format: 'webp',
      output_compression: 80,
      background: 'auto',
      forwards: 15,
      seed: '18446744073709551600',
    } as unknown as OpenAI.ImageGenerateParamsNonStreaming);
    const pictures = answer.data as unknown as { b64_json: string; seed: string; schedule: string; forwards: number }[];
    expect(pictures.map(({ seed }) => seed)).toEqual(['18446744073709551600', '18446744073709551601']);
    for (const { b64_json, schedule, forwards } of pictures) {
      expect((await sharp(Buffer.from(b64_json, 'base64')).metadata()).format).toBe('webp');
      expect(schedule).toHaveLength(30);
      expect(forwards).toBeCloseTo(15, 0);
    }
    expect(pictures[0]!.b64_json).not.toBe(pictures[1]!.b64_json);
  });

  test('draws by what is to be kept, and by how much faster it is to be', async () => {
    const drawn = async (body: Record<string, unknown>) => {
      const answer = await client.images.generate({
        prompt: 'blue star',
        seed: 5,
        ...body,
      } as unknown as OpenAI.ImageGenerateParamsNonStreaming);
      return (answer.data as unknown as { forwards: number }[])[0]!.forwards;
    };
    expect(await drawn({ speedup: 1.5 })).toBeCloseTo(20, 0);
    expect(await drawn({ psnr: 0 })).toBeLessThan(10);
    expect(await drawn({ psnr: 99 })).toBe(30);
    expect(await drawn({ guarantee: '99dB@90%' })).toBe(30);
    expect(await drawn({ guarantee: '30dB', prompt: 'red heart' })).toBeLessThan(20);
  });

  test('hears previews and the picture in a stream', async () => {
    const stream = await client.images.generate({
      prompt: 'red heart',
      stream: true,
      partial_images: 3,
      output_format: 'jpeg',
      ...quick,
      steps: 8,
    } as OpenAI.ImageGenerateParamsStreaming);
    const events: OpenAI.ImageGenStreamEvent[] = [];
    for await (const event of stream) events.push(event);
    expect(events.map(({ type }) => type)).toEqual([
      ...Array(3).fill('image_generation.partial_image'),
      'image_generation.completed',
    ]);
    const partial = events.slice(0, 3) as OpenAI.ImageGenPartialImageEvent[];
    expect(partial.map(event => event.partial_image_index)).toEqual([0, 1, 2]);
    expect(new Set(events.map(event => (event as { size: string }).size))).toEqual(new Set([sizes[PICTURES]]));
    for (const { b64_json } of events) {
      expect(await sizeOf(Buffer.from(b64_json, 'base64'))).toBe(sizes[PICTURES]);
    }
    expect(new Set(events.map(({ b64_json }) => b64_json)).size).toBe(4);
  });

  test('draws on a picture', async () => {
    const image = await sharp({ create: { width: 40, height: 30, channels: 3, background: '#d22' } })
      .png()
      .toBuffer();
    const answer = await client.images.edit({
      image: await toFile(image, 'mine.png', { type: 'image/png' }),
      prompt: 'red heart',
      ...quick,
      strength: 0.5,
    } as OpenAI.ImageEditParamsNonStreaming);
    const [picture] = answer.data as unknown as [{ b64_json: string; receipt: { init: object } }];
    expect(await sizeOf(Buffer.from(picture.b64_json, 'base64'))).toBe(sizes[PICTURES]);
    expect(picture.receipt.init).toMatchObject({ path: 'image', strength: 0.5 });
    const stream = await client.images.edit({
      image: await toFile(image, 'mine.png', { type: 'image/png' }),
      prompt: 'red heart',
      ...quick,
      stream: true,
      partial_images: 1,
    } as OpenAI.ImageEditParamsStreaming);
    const types: string[] = [];
    for await (const { type } of stream) types.push(type);
    expect(types).toEqual(['image_edit.partial_image', 'image_edit.completed']);
    for (const wrong of [Buffer.from('no picture'), image.subarray(0, 60)]) {
      const asked = { image: await toFile(wrong, 'a.png'), prompt: 'x', ...quick } as never;
      const error = await client.images.edit(asked).catch(thrown => thrown);
      expect(error).toBeInstanceOf(BadRequestError);
      expect(error.message).toContain('is not a picture that can be read');
      expect([error.type, error.param, error.code]).toEqual(['invalid_request_error', 'image', 'invalid_image']);
    }
  });

  test('makes a clip, from its creation to its content, and removes it', async () => {
    let video = await client.videos.create({ model: CLIPS, prompt: 'red heart', seconds: '1.6', ...quick } as never);
    expect(['queued', 'in_progress']).toContain(video.status);
    for (let i = 0; i < 600 && !['completed', 'failed'].includes(video.status); i++) {
      await new Promise(resolve => setTimeout(resolve, 200));
      video = await client.videos.retrieve(video.id);
    }
    expect(video).toMatchObject({
      status: 'completed',
      progress: 100,
      error: null,
      size: sizes[CLIPS],
      seconds: '1.6',
    });
    const content = await client.videos.downloadContent(video.id);
    expect(content.headers.get('content-type')).toBe('video/mp4');
    const track = inspectMp4(Buffer.from(await content.arrayBuffer()));
    expect(`${track.width}x${track.height}`).toBe(sizes[CLIPS]);
    expect((await client.videos.list()).data.map(({ id }) => id)).toContain(video.id);
    expect(await client.videos.delete(video.id)).toMatchObject({ id: video.id, deleted: true });
    await expect(client.videos.retrieve(video.id)).rejects.toThrow(NotFoundError);
  });

  test('is told each kind of error', async () => {
    const draw = (body: object) => client.images.generate({ prompt: 'x', ...body } as never);
    const stranger = new Client({ baseURL: `${running.url}/v1`, apiKey: 'wrong', maxRetries: 0 });
    await expect(stranger.images.generate({ prompt: 'x' })).rejects.toThrow(AuthenticationError);
    await expect(draw({ model: 'dall-e-3' })).rejects.toThrow(NotFoundError);
    const refusals: [object, string | null][] = [
      [{ n: 11 }, 'n'],
      [{ size: '1x' }, 'size'],
      [{ size: '999999x999999' }, 'size'],
      [{ steps: 1000 }, 'steps'],
      [{ prompt: '' }, 'prompt'],
      [{ prompt: 'x'.repeat(10_001) }, 'prompt'],
      [{ model: CLIPS }, 'model'],
      [{ policy: '../../etc/passwd' }, 'policy'],
      [{ guarantee: '40 decibels' }, 'guarantee'],
      [{ speedup: 2, psnr: 40 }, 'psnr'],
      [{ policy: 'none', forwards: 15 }, 'forwards'],
    ];
    for (const [body, param] of refusals) {
      const error = await draw(body).catch(thrown => thrown);
      expect(error).toBeInstanceOf(APIError);
      expect(error).toBeInstanceOf(BadRequestError);
      expect([error.type, error.param]).toEqual(['invalid_request_error', param]);
    }
    // Refused by those who draw, in the words of the command line.
    await expect(draw({ policy: 'nobody-has-this' })).rejects.toThrow('There is no policy "nobody-has-this".');
    await expect(draw({ size: '48x16' })).rejects.toThrow('draws pictures of one size');
    await expect(draw({ forwards: 2 })).rejects.toThrow(/it takes at least \d+/);
  });
});

describe('the package @ai-sdk/openai-compatible', () => {
  const options = { aspectRatio: undefined, seed: undefined, files: undefined, mask: undefined };

  test('draws pictures', async () => {
    const provider = createOpenAICompatible({ name: 'ertacache', baseURL: `${running.url}/v1`, apiKey: KEY });
    const { images } = await provider.imageModel(PICTURES).doGenerate({
      ...options,
      prompt: 'red heart',
      n: 2,
      size: sizes[PICTURES] as `${number}x${number}`,
      providerOptions: { ertacache: { ...quick, seed: 3 } },
    });
    expect(images).toHaveLength(2);
    for (const image of images) expect(await sizeOf(Buffer.from(image as string, 'base64'))).toBe(sizes[PICTURES]);
  });

  test('is told of errors', async () => {
    const provider = createOpenAICompatible({ name: 'ertacache', baseURL: `${running.url}/v1`, apiKey: KEY });
    const asked = { ...options, prompt: 'red heart', n: 1, size: undefined, providerOptions: {} };
    await expect(provider.imageModel('nothing').doGenerate(asked)).rejects.toThrow('There is no model "nothing".');
  });
});
