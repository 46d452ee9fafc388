/**
 * Open-Sora 1.2 (Zheng et al., 2024): cleaned prompts, T5's states with a mask, a learned null prompt, classifier-free
 * guidance from one call on [prompt, null], the velocity in the first half of the output's channels.
 */
import * as tf from '@tensorflow/tfjs-core';
import { parseConfig } from '../../io/parse-config';
import { release, tidy } from '../../nn/scope';
import type { TextRequest } from '../../sampling/embeddings';
import { batchedGuidance, denoiserBranch, doubled, single, unguided, within } from '../../sampling/guidance';
import { refusePicture } from '../../sampling/initial-picture';
import type {
  BatchRequest,
  GuidanceRequest,
  Job,
  PictureSize,
  Pipeline,
  ScheduleRequest,
  TextsRequest,
} from '../../sampling/pipeline';
import { checkRows, noiseSource, releasing, requestedSize, requireTextTokens, usualSize } from '../../sampling/rows';
import { levelsOf, requireFixedShift, type Schedule } from '../../sampling/schedule';
import { refuseNegativePrompt, refuseSecondGuidance, refuseTrueGuidance, steeringOf } from '../../sampling/steering';
import { velocityOnly } from '../../transformer/velocity-only';
import { decodeLatents } from '../decode-latents';
import type { PipelineParts } from '../pipeline-parts';
import { nullCaptions, type OpenSoraCondition, openSoraConfig } from './transformer';
import { OPEN_SORA_FRAMES, OPEN_SORA_SIZE, openSoraUsualRun } from './usual';

const FPS = 24;
/** What the model is told of a picture, which has no frame rate. */
const IMAGE_FPS = 120;
const TRIAL = { width: 96, height: 64, frames: 17 };

/** Open-Sora 1.2 from its parts, which the pipeline disposes. */
export function openSoraPipeline(parts: PipelineParts): Pipeline {
  const { geometry, scheduler, watch } = parts;
  requireFixedShift(scheduler);
  const config = parseConfig(openSoraConfig, parts.config('transformer'), 'transformer/config.json');
  const usual = usualSize(parts.info.parameters, OPEN_SORA_SIZE, TRIAL);

  function sizeOf(request: ScheduleRequest): PictureSize {
    refusePicture(request, parts.info.id);
    refuseTrueGuidance(request, parts.info.id);
    refuseSecondGuidance(request, parts.info.id);
    refuseNegativePrompt(request, parts.info.id);
    // What does not fill a patch is padded, so any multiple of the autoencoder's will do.
    return requestedSize(request, usual, geometry.compression.space, OPEN_SORA_FRAMES);
  }

  const scheduleOf = ({ steps, shift }: ScheduleRequest, size: PictureSize): Schedule =>
    scheduler.schedule({ steps, shift, ...size });

  /** The size that is asked for; refuses what cannot be drawn, before anything is loaded. */
  function checked(request: BatchRequest): PictureSize {
    checkRows(request, parts.info.id, ['fps']);
    requireTextTokens(request, config.model_max_length, parts.info.id);
    const size = sizeOf(request);
    const [, ...latent] = geometry.latentShape(size);
    parts.requireMemory({
      size,
      tokens: latent.reduce((all, count, i) => all * Math.ceil(count / config.patch_size[i]!), 1),
      width: config.hidden_size,
      rows: request.prompts.length * (isGuided(request) ? 2 : 1),
    });
    return size;
  }

  const isGuided = ({ guidance }: GuidanceRequest): boolean => guidance !== 1;

  async function textOf({ prompts }: TextsRequest): Promise<TextRequest> {
    const { cleanOpenSoraPrompt } = await import('../../text/cleaning');
    return {
      encoder: 'text_encoder',
      tokenizer: 'tokenizer',
      texts: prompts.map(prompt => cleanOpenSoraPrompt(prompt)),
      length: config.model_max_length,
      masked: true,
    };
  }

  return {
    info: {
      ...parts.info,
      kind: 'clip',
      fps: FPS,
      defaults: openSoraUsualRun(config, scheduler.config),
    },
    textLoss: async request => parts.textLoss([await textOf(request)]),
    schedule: request => ({
      ...levelsOf(scheduleOf(request, sizeOf(request))),
      ...steeringOf(request, { isGuided: isGuided(request) }),
    }),

    prepare: (request, options) =>
      releasing(async (own): Promise<Job> => {
        const size = checked(request);
        const shape = geometry.latentShape(size);
        const rows = request.prompts.length;
        const guided = isGuided(request);

        const { ids, mask, states } = own(await parts.encode(await textOf(request), options));
        watch('input_ids', ids.flat());
        watch('attention_mask', mask.flat());
        watch('prompt_embeds', states);

        const model = velocityOnly(await parts.transformer(), config.in_channels, 1);
        const condition = (): OpenSoraCondition => ({
          captions: guided ? tf.concat([states, nullCaptions(model.weights, rows)]) : states,
          // Repeated over the null rows, which so attend to as many tokens as the prompts have.
          mask,
          fps: request.fps ?? (size.frames === 1 ? IMAGE_FPS : FPS),
          height: size.height,
          width: size.width,
        });
        const schedule = scheduleOf(request, size);
        const { latents, context } = tidy(() => ({
          latents: noiseSource(request.seeds, shape)(),
          context: model.prepare(condition(), [guided ? 2 * rows : rows, ...shape]),
        }));
        return {
          branches: [
            denoiserBranch({
              name: guided ? 'guided' : 'conditional',
              model,
              context,
              expand: guided ? doubled : single,
            }),
          ],
          guide: guided ? within(batchedGuidance(request.guidance), request.guidanceInterval) : unguided,
          latents,
          size,
          ...levelsOf(schedule),
          ...steeringOf(request, { isGuided: guided }),
          solver: schedule.solver,
          channelAxis: 1,
          release: () => release([context, latents]),
        };
      }),

    async encodePrompts(request, options) {
      checked(request);
      release(await parts.encode(await textOf(request), options));
    },
    embeddings: parts.embeddings,
    decode(latents, size, options) {
      const latentFrames = latents.shape[2] as number;
      // One latent frame may be up to four frames of a clip; without a word on it, it is a picture.
      const frames = size?.frames ?? (latentFrames === 1 ? 1 : geometry.clipFrames(latentFrames));
      return decodeLatents(parts, latents, options, frames);
    },
    dispose: () => parts.dispose(),
  };
}
